"""Starts the waiters' workers before they are needed.

On AWS a cold start takes about a second. The emulator's takes up to ten on a busy machine, as long
as a whole drain here, and would hide a waiter that lets an aggregator go too early.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_WORKERS_EACH = 2
_EMPTY_BATCH = json.dumps({"Records": []}).encode()


class WarmUpFailed(Exception):
    """A function cannot even take an empty batch; says what it answered."""


@contextmanager
def warmed_up(functions: Any, names: Iterable[str]) -> Iterator[None]:  # noqa: ANN401 - boto3
    """Invoke each function beside the block; they are warm when the block ends."""
    calls = [name for name in names for _ in range(_WORKERS_EACH)]
    with ThreadPoolExecutor(len(calls)) as pool:
        answers = [pool.submit(_take_nothing, functions, name) for name in calls]
        yield
        for answer in answers:
            answer.result()


def _take_nothing(functions: Any, name: str) -> None:  # noqa: ANN401 - boto3
    answer = functions.invoke(FunctionName=name, Payload=_EMPTY_BATCH)
    if "FunctionError" in answer:
        raise WarmUpFailed(f"{name} cannot be invoked: {answer['Payload'].read().decode()}")
