"""Until when a hook keeps an instance whose heartbeats fail. Pure: no call here.

EC2 Auto Scaling does not show when it last recorded a heartbeat, and a waiter keeps no state. So
each heartbeat that fails writes a tag on its instance, and the next one that fails reads it. What
cannot be known counts from the oldest moment that is possible: too early a page costs less than a
lost instance.
"""

import re
from dataclasses import dataclass
from enum import IntEnum

from lifecycle.decisions.marks import read_moment, written

HEARTBEATS_TAG_KEY = "fluentd-lifecycle-heartbeats-failing"
_FORM = re.compile(r"since (\S+) last (\S+) receive ([0-9]+) of (\S+)")

# Shares of a hook's timeout without a recorded heartbeat: then the operator is paged, and then the
# stage times out. A third of the timeout is left for the operator.
_OVERDUE_SHARE = 1 / 2
_TIMEOUT_SHARE = 2 / 3


class Urgency(IntEnum):
    """Value of the metric of a failed heartbeat; alarms compare it."""

    FIRST = 1  # of this instance, as far as its tag says
    REPEATED = 2  # at least the second poll in a row, or that cannot be known
    OVERDUE = 3  # no heartbeat was recorded for half of the hook's timeout


@dataclass(frozen=True, slots=True)
class Receive:
    """One receive of a check message; times in epoch seconds."""

    message_id: str
    count: int
    sent_at: float
    at: float


@dataclass(frozen=True, slots=True)
class HookClock:
    """What a hook's time is counted with: its heartbeat timeout, and its queue's two pauses.

    In seconds. A poll comes at most ``longest_pause_seconds`` after the one before; a receive that
    got lost costs ``visibility_timeout_seconds``.
    """

    timeout_seconds: float
    longest_pause_seconds: float
    visibility_timeout_seconds: float


@dataclass(frozen=True, slots=True)
class Failing:
    """What the tag says: the last heartbeat was recorded at ``since`` or later (epoch seconds).

    The other members tell which receive failed last.
    """

    since: float
    last_at: float
    receive_count: int
    message_id: str

    def __str__(self) -> str:
        """Return the tag's value."""
        return (
            f"since {written(self.since)} last {written(self.last_at)} "
            f"receive {self.receive_count} of {self.message_id}"
        )


@dataclass(frozen=True, slots=True)
class Silence:
    """How long a hook has gone without a recorded heartbeat, at most; times in epoch seconds."""

    since: float
    is_repeated: bool
    hook: HookClock

    @property
    def kept_until(self) -> float:
        """Return until when EC2 Auto Scaling keeps the instance at least."""
        return self.since + self.hook.timeout_seconds

    @property
    def times_out_at(self) -> float:
        """Return when the stage times out, whatever else it waits for."""
        return self.since + _TIMEOUT_SHARE * self.hook.timeout_seconds

    def has_timed_out(self, now: float) -> bool:
        """Tell whether the stage times out; a single failure is tried again first."""
        return self.is_repeated and now >= self.times_out_at

    def urgency(self, now: float) -> Urgency:
        """Return how urgent the failure is."""
        if not self.is_repeated:
            return Urgency.FIRST
        is_overdue = now >= self.since + _OVERDUE_SHARE * self.hook.timeout_seconds
        return Urgency.OVERDUE if is_overdue else Urgency.REPEATED

    def __str__(self) -> str:
        """Say it in the words of a page."""
        return (
            f"heartbeats fail: none is known to be recorded after {written(self.since)}, "
            f"so the instance is kept until {written(self.kept_until)} at least"
        )


def read_failing(value: str | None) -> Failing | None:
    """Read a tag's value, None for no tag; raises ValueError for one of another form."""
    if value is None:
        return None
    found = _FORM.fullmatch(value)
    if found is None:
        raise ValueError(f"{HEARTBEATS_TAG_KEY}: has another form (got {value!r})")
    since, last_at, receive_count, message_id = found.groups()
    return Failing(read_moment(since), read_moment(last_at), int(receive_count), message_id)


def is_in_a_row(
    before: Failing | None, receive: Receive, hook: HookClock, started_at: float
) -> bool:
    """Tell whether no heartbeat was recorded since the failure that the tag tells of.

    The tag stays where the poll that succeeded ran in another process. Its counts tell: if a
    receive in between was not lost, its heartbeat was recorded, or the tag would tell of it. In
    doubt none was recorded. A tag of an earlier wait of the instance tells nothing.
    """
    if before is None or before.last_at < int(started_at):
        return False
    if receive.message_id == before.message_id:
        between = receive.count - before.receive_count - 1
    else:  # the next stage's message, a duplicate, or one that was redriven
        between = receive.count - 1 if receive.sent_at >= before.last_at else 0
    return not _one_ran(between, receive.at - before.last_at, hook)


def failing_now(
    before: Failing | None, receive: Receive, hook: HookClock, started_at: float
) -> Failing:
    """Return what the tag has to say after one more failed heartbeat."""
    since = (
        before.since
        if before is not None and is_in_a_row(before, receive, hook, started_at)
        else _recorded_since(receive, hook, started_at)
    )
    return Failing(since, receive.at, receive.count, receive.message_id)


def _recorded_since(receive: Receive, hook: HookClock, started_at: float) -> float:
    """Return the oldest moment at which the last heartbeat before this one can have been recorded.

    That is the poll before, if the message had one. If not, it may be the wait's first poll, late:
    the hook's own time began with the wait. It is not if that time would be over.
    """
    if _one_ran(receive.count - 1, receive.at - receive.sent_at, hook):
        newest = receive.at
    elif receive.at - started_at >= hook.timeout_seconds:
        newest = receive.sent_at
    else:
        return started_at
    return max(started_at, newest - hook.longest_pause_seconds)


def _one_ran(receives: int, seconds: float, hook: HookClock) -> bool:
    """Tell whether at least one of so many receives in so many seconds was not lost."""
    return receives > 0 and seconds < receives * hook.visibility_timeout_seconds


def unknown_silence(receive: Receive, hook: HookClock, started_at: float) -> Silence:
    """Return the longest silence that is possible: no tag can be read, or written."""
    return Silence(min(receive.sent_at, started_at), is_repeated=True, hook=hook)
