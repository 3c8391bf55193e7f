"""Message move tasks, which MiniStack's SQS lacks: the redrive of a dead-letter queue.

Runs in MiniStack's own environment, inside its process; `entry` registers the actions.
Contract: docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.
A moved message is a new message with the same body and attributes. Messages that are received and
not yet deleted stay where they are, as in AWS until they become visible again.
"""

import json
import time
from typing import Any
from uuid import uuid4

from ministack.services import sqs  # type: ignore[import-not-found] # in its own environment

# There is no public way to add an action, so all that is private is named here, once.
ACTIONS = sqs._HANDLERS  # noqa: SLF001
QUEUES = sqs._queues  # noqa: SLF001
URLS = sqs._queue_name_to_url  # noqa: SLF001
Refusal = sqs._Err  # noqa: SLF001
queue_by_arn = sqs._queue_by_arn  # noqa: SLF001
send_message = sqs._act_send_message  # noqa: SLF001

TASKS_SHOWN = 10

_tasks: list[dict[str, Any]] = []


def register() -> None:
    """Add both actions to MiniStack's SQS."""
    ACTIONS["StartMessageMoveTask"] = start
    ACTIONS["ListMessageMoveTasks"] = tasks


def start(request: dict[str, Any], _url: str) -> dict[str, Any]:
    """StartMessageMoveTask: moves at once what is visible."""
    source = _queue(request.get("SourceArn", ""))
    if not _is_dead_letter_queue(source):
        message = "Source queue must be configured as a Dead Letter Queue."
        raise Refusal("InvalidParameterValue", message)
    destination_arn = request.get("DestinationArn")
    if destination_arn is not None:
        _queue(destination_arn)
    task = {
        "TaskHandle": uuid4().hex,
        "SourceArn": request["SourceArn"],
        "StartedTimestamp": int(time.time() * 1000),
        **({"DestinationArn": destination_arn} if destination_arn else {}),
    }
    _tasks.insert(0, {**task, **_move(source, destination_arn)})
    return {"TaskHandle": task["TaskHandle"]}


def tasks(request: dict[str, Any], _url: str) -> dict[str, Any]:
    """ListMessageMoveTasks: the newest first."""
    source_arn = request.get("SourceArn", "")
    _queue(source_arn)
    wanted = min(TASKS_SHOWN, int(request.get("MaxResults") or 1))
    found = [task for task in _tasks if task["SourceArn"] == source_arn]
    # AWS gives the handle, which cancels a task, only while it runs.
    shown = [{k: v for k, v in task.items() if k != "TaskHandle"} for task in found]
    return {"Results": shown[:wanted]}


def _move(source: dict[str, Any], destination_arn: str | None) -> dict[str, Any]:
    now = time.time()
    visible = [one for one in source["messages"] if one["visible_at"] <= now]
    moved = 0
    for message in visible:
        arn = destination_arn or message.get("sys", {}).get("DeadLetterQueueSourceArn")
        if arn is None:
            break
        source["messages"].remove(message)
        _send(arn, message)
        moved += 1
    failed = moved < len(visible)
    return {
        "Status": "FAILED" if failed else "COMPLETED",
        **({"FailureReason": "CouldNotDetermineMessageSource"} if failed else {}),
        "ApproximateNumberOfMessagesToMove": len(visible),
        "ApproximateNumberOfMessagesMoved": moved,
    }


def _send(queue_arn: str, message: dict[str, Any]) -> None:
    url = URLS.get(queue_arn.rsplit(":", 1)[-1])
    attributes = message.get("message_attributes") or {}
    body = {"QueueUrl": url, "MessageBody": message["body"], "MessageAttributes": attributes}
    send_message(body, url)


def _queue(arn: str) -> dict[str, Any]:
    queue: dict[str, Any] | None = queue_by_arn(arn)
    if queue is None:
        message = f"The resource that you specified for {arn} doesn't exist."
        raise Refusal("ResourceNotFoundException", message)
    return queue


def _is_dead_letter_queue(queue: dict[str, Any]) -> bool:
    arn = queue["attributes"]["QueueArn"]
    policies = [QUEUES[url]["attributes"].get("RedrivePolicy") for url in QUEUES]
    return any(
        json.loads(policy).get("deadLetterTargetArn") == arn for policy in policies if policy
    )
