"""For random faults: notes which worker runs a function, and sends messages twice.

Runs in MiniStack's own environment, inside its process. Only if `SANDBOX_CHAOS_DIRECTORY` is set;
then that folder holds

    running/PID       while a function runs in that process: its name and the number of the run
    duplicates.json   {"probability": 0.2, "seed": "..."}: how many check messages come twice
    duplicated        a line for each that did, the name of the queue

A standard queue delivers at least once: a duplicate message is no error
(docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/standard-queues-at-least-once-delivery.html).
"""

import json
import os
import random
from pathlib import Path
from typing import Any

from ministack.core import lambda_runtime  # type: ignore[import-not-found] # its own environment
from ministack.services import sqs  # type: ignore[import-not-found] # its own environment

# There is no public way to add an action, so all that is private is named here, once.
ACTIONS = sqs._HANDLERS  # noqa: SLF001


def register() -> None:
    """Wrap what runs functions and what takes messages."""
    directory = os.environ.get("SANDBOX_CHAOS_DIRECTORY")
    if directory is None:
        return
    _note_runs(Path(directory) / "running")
    _send_twice(Path(directory))


def _note_runs(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    run = lambda_runtime.Worker.invoke

    def noted(worker: Any, event: Any, request_id: str, **details: Any) -> Any:  # noqa: ANN401
        lambda_runtime.ensure_spawned(worker)
        process = worker._proc  # noqa: SLF001
        note = folder / str(process.pid)
        note.write_text(json.dumps({"function": worker.func_name, "run": request_id}))
        try:
            return run(worker, event, request_id, **details)
        finally:
            note.unlink(missing_ok=True)

    lambda_runtime.Worker.invoke = noted


def _send_twice(directory: Path) -> None:
    send = ACTIONS["SendMessage"]
    dice: dict[str, random.Random] = {}

    def sent(request: dict[str, Any], url: str) -> Any:  # noqa: ANN401
        answer = send(request, url)
        settings = _settings(directory / "duplicates.json")
        seed = str(settings.get("seed"))
        draw = dice.setdefault(seed, random.Random(seed)).random()
        if _is_check(request) and draw < float(settings.get("probability", 0)):
            send(request, url)
            with (directory / "duplicated").open("a") as log:
                log.write(f"{request.get('QueueUrl', url).rsplit('/', 1)[-1]}\n")
        return answer

    ACTIONS["SendMessage"] = sent


def _settings(path: Path) -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return loaded


def _is_check(request: dict[str, Any]) -> bool:
    """Whether it is a stage's message, and not sent to a dead-letter queue."""
    to = str(request.get("QueueUrl", ""))
    return not to.endswith("-dlq") and '"action"' in str(request.get("MessageBody", ""))
