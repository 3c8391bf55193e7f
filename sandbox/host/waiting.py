"""Bounded waits: a scenario never hangs, and says what it waited for."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

_INTERVAL_SECONDS = 0.2


class CheckFailed(Exception):
    """Something that had to happen did not, or not in time."""


def wait_until(
    what: str,
    probe: Callable[[], Found | None],
    timeout_seconds: float,
    *,
    situation: Callable[[], str] = str,
) -> Found:
    """Ask `probe` until it answers with something that is not false, and return that.

    `what` completes the sentence "waited 5 s without success for ..."; `situation` describes how
    things stand when time is up.
    """
    deadline = time.monotonic() + timeout_seconds
    while not (found := probe()):
        if time.monotonic() >= deadline:
            complaint = f"Waited {timeout_seconds:g} s without success for {what}. {situation()}"
            raise CheckFailed(complaint.strip())
        time.sleep(_INTERVAL_SECONDS)
    return found
