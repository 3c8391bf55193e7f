"""Starts the buffer waiter's worker before it is needed.

On AWS a cold start takes about a second. The emulator's takes up to ten on a busy machine, as long
as a whole drain here, and would hide a waiter that lets an aggregator go too early.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_EMPTY_BATCH = json.dumps({"Records": []}).encode()


class WarmUpFailed(Exception):
    """The function cannot even take an empty batch; says what it answered."""


@contextmanager
def warmed_up(functions: Any, name: str) -> Iterator[None]:  # noqa: ANN401 - boto3
    """Invoke a function beside the block; it is warm when the block ends."""
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(_take_nothing, functions, name)
        yield
        answer.result()


def _take_nothing(functions: Any, name: str) -> None:  # noqa: ANN401 - boto3
    answer = functions.invoke(FunctionName=name, Payload=_EMPTY_BATCH)
    if "FunctionError" in answer:
        raise WarmUpFailed(f"{name} cannot be invoked: {answer['Payload'].read().decode()}")
