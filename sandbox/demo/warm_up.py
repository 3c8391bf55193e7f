"""Starts the workers of the functions that a drain waits for, before they are needed.

On AWS a cold start takes about a second. The emulator's takes up to ten on a busy machine, as long
as a whole drain here, and would hide a waiter that releases an aggregator too early.
"""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

_EMPTY_BATCH = json.dumps({"Records": []}).encode()
_ABOUT_A_STRANGER = json.dumps(
    {
        "version": 1,
        "instances": {"i-00000000": {"label_value": "i-00000000", "deregistered_at": 1}},
        "instance_label": "instance_id",
        "rules": {"empty_for_seconds": 10, "settle_seconds": 0, "scrape_interval_seconds": 1},
    }
).encode()


class WarmUpFailed(Exception):
    """The function cannot even do nothing; says what it answered."""


@contextmanager
def warmed_up(functions: Any, names: Sequence[str]) -> Iterator[None]:  # noqa: ANN401 - boto3
    """Invoke functions while the block runs; they are warm when it ends."""
    with ThreadPoolExecutor(len(names)) as pool:
        answers = [pool.submit(_take_nothing, functions, name) for name in names]
        yield
        for answer in answers:
            answer.result()


def _take_nothing(functions: Any, name: str) -> None:  # noqa: ANN401 - boto3
    payload = _ABOUT_A_STRANGER if name.endswith("-evidence") else _EMPTY_BATCH
    answer = functions.invoke(FunctionName=name, Payload=payload)
    if "FunctionError" in answer:
        raise WarmUpFailed(f"{name} cannot be invoked: {answer['Payload'].read().decode()}")
