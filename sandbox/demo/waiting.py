"""Bounded waits: a scenario never hangs, and says what it waited for in vain."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Found = TypeVar("Found")

_INTERVAL_SECONDS = 0.2


class WaitedInVain(Exception):
    """Something the scenario relies on did not come in time."""


def wait_until(
    what: str,
    probe: Callable[[], Found | None],
    timeout_seconds: float,
    *,
    situation: Callable[[], str] = str,
) -> Found:
    """Ask `probe` until it answers with something that is not false, and return that.

    `what` completes the sentence "waited in vain for ..."; `situation` describes how things stand
    when time is up.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() >= deadline:
            raise WaitedInVain(_complaint(what, timeout_seconds, situation()))
        time.sleep(_INTERVAL_SECONDS)


def _complaint(what: str, seconds: float, situation: str) -> str:
    complaint = f"Waited {seconds:g} s in vain for {what}."
    return f"{complaint} {situation}" if situation else complaint
