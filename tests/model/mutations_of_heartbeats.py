"""Deliberate bugs of failed heartbeats: deadlines that count from now, failures without a page."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from lifecycle.decisions import heartbeats
from lifecycle.decisions.heartbeats import Failing, HookClock, Receive, Silence, Urgency
from lifecycle.decisions.polling import PollPolicy
from lifecycle.flows.heartbeats import Heartbeats
from lifecycle.telemetry import LogEvent
from tests.model.bugs import Mutation, each

MODEL = "tests/model/test_histories.py"
_DECISION = "tests/unit/decisions/test_heartbeats.py"
_POLLING = "tests/unit/decisions/test_polling.py"
_FLOW = "tests/unit/flows/test_heartbeats.py"
_IN_TIME = "the page comes a third of the hook's time before its end"

_failing_now = heartbeats.failing_now
_pause_seconds = PollPolicy.pause_seconds


def _from_now(
    before: Failing | None, receive: Receive, hook: HookClock, started_at: float
) -> Failing:
    return replace(_failing_now(before, receive, hook, started_at), since=receive.at)


def _unknown_from_now(receive: Receive, hook: HookClock, started_at: float) -> Silence:
    del started_at
    return Silence(receive.at, is_repeated=True, hook=hook)


def _only_warn(
    self: Heartbeats, silence: Silence, fields: Mapping[str, object], now: float
) -> None:
    del silence, now
    self.runtime.telemetry.warning(LogEvent.HEARTBEAT_FAILED, **fields)


def failures() -> Iterator[Mutation]:
    """Each lets a hook end without a page in time, or pages about a healthy drain."""
    decision = "lifecycle.decisions.heartbeats"
    silence = f"{decision}:Silence"
    only_a_warning: dict[str, Callable[..., object]] = {
        "lifecycle.flows.heartbeats:Heartbeats._report": _only_warn,
        f"{silence}.has_timed_out": lambda self, now: False,
    }
    yield from each(
        _DECISION,
        {
            "a deadline that counts from now": {f"{decision}:failing_now": _from_now},
            "a deadline that counts from now where no tag can be read": {
                f"{decision}:unknown_silence": _unknown_from_now
            },
        },
    )
    yield Mutation("a failed heartbeat is only a warning", only_a_warning, MODEL, breaks=_IN_TIME)
    yield from each(
        _DECISION,
        {
            "a heartbeat that fails each time taken for the first failure each time": {
                f"{decision}:is_in_a_row": lambda before, receive, hook, started_at: False
            },
            "one failed heartbeat that pages": {
                f"{silence}.urgency": lambda self, now: Urgency.REPEATED
            },
        },
    )
    yield Mutation(
        "a tag that stays when heartbeats are recorded again",
        {"lifecycle.flows.heartbeats:Heartbeats._remove_tag": lambda self, action: None},
        _FLOW,
    )
    yield Mutation(
        "a poll that comes after the deadline",
        {
            "lifecycle.decisions.polling:PollPolicy.pause_seconds": (
                lambda self, not_before, deadline, now: _pause_seconds(
                    self, not_before, math.inf, now
                )
            )
        },
        _POLLING,
    )
