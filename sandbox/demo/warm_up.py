"""Starts the workers of the waiters that a drain waits for, before they are needed.

On AWS a cold start takes about a second. The emulator's takes up to ten on a busy machine, as long
as a whole drain here, and would hide a waiter that releases an aggregator too early.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_EMPTY_BATCH = json.dumps({"Records": []}).encode()


class WarmUpFailed(Exception):
    """The function cannot even take an empty batch; says what it answered."""


@contextmanager
def warmed_up(functions: Any, names: Sequence[str]) -> Iterator[None]:  # noqa: ANN401 - boto3
    """Invoke functions while the block runs; they are warm when it ends."""
    with ThreadPoolExecutor(len(names)) as pool:
        answers = [pool.submit(_take_nothing, functions, name) for name in names]
        yield
        for answer in answers:
            answer.result()


def _take_nothing(functions: Any, name: str) -> None:  # noqa: ANN401 - boto3
    answer = functions.invoke(FunctionName=name, Payload=_EMPTY_BATCH)
    if "FunctionError" in answer:
        raise WarmUpFailed(f"{name} cannot be invoked: {answer['Payload'].read().decode()}")
