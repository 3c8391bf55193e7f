"""The history of each instance, from the journal and the simulator's own records.

Pure functions. The journal says what the services did; the aggregator's history says what was
really in its buffer. Neither uses what Prometheus or the waiters believed: this is the truth that
they are compared with.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sandbox.demo.model import JournalEntry, Run
from sandbox.fleet.fluentd.history import History

_LAUNCHING = "launching"
_TERMINATING = "terminating"


class Outcome(StrEnum):
    """How an instance's story stood at the end of the run."""

    IN_SERVICE = "in_service"
    # The module completed the terminate hook's action with CONTINUE.
    RELEASED = "released"
    # Still held by a hook: nothing was proven yet.
    WAITING = "waiting"
    # The module (or an operator) answered ABANDON, or Auto Scaling kept the instance.
    ABANDONED = "abandoned"
    RETAINED = "retained"
    # The hook's heartbeat timed out, or the instance ended without passing the hook.
    EXPIRED = "expired"
    TERMINATED = "terminated"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class HookWait:
    """A stay in Pending:Wait or Terminating:Wait; `until` is None if it never ended."""

    transition: str
    since: float
    until: float | None


@dataclass(frozen=True, slots=True)
class InstanceStory:
    """One instance, from launch to release; None: it did not happen."""

    instance_id: str
    launched_at: float | None
    registered_at: float | None
    deregistered_at: float | None
    drained_at: float | None
    released_at: float | None
    outcome: Outcome
    buffer_bytes_at_release: int | None
    last_received_at: float | None
    waits: tuple[HookWait, ...]
    group: str | None = None

    @property
    def left_at(self) -> float | None:
        """When it last began to wait for its termination."""
        leaving = [wait.since for wait in self.waits if wait.transition == _TERMINATING]
        return leaving[-1] if leaving else None

    @property
    def release_seconds(self) -> float | None:
        if self.left_at is None or self.released_at is None:
            return None
        return self.released_at - self.left_at


def tell(run: Run) -> tuple[InstanceStory, ...]:
    """Every instance the journal names, in the order of their launch."""
    entries: dict[str, list[JournalEntry]] = {}
    for entry in sorted(run.journal, key=lambda entry: entry.at):
        entries.setdefault(entry.instance_id, []).append(entry)
    return tuple(
        _story(instance_id, own, run.histories.get(instance_id, History()))
        for instance_id, own in entries.items()
        if instance_id
    )


def _story(instance_id: str, entries: Sequence[JournalEntry], history: History) -> InstanceStory:
    waits = hook_waits(entries)
    released_at = _released_at(entries)
    at_release = None if released_at is None else history.state_at(released_at)
    leaving = any(wait.transition == _TERMINATING for wait in waits)
    return InstanceStory(
        instance_id=instance_id,
        launched_at=_first(entries, {"launched", "pending_wait", "in_service"}),
        registered_at=_first(entries, {"registered"}),
        deregistered_at=_last(entries, {"deregistered"}),
        drained_at=history.empty_for_good_at() if leaving else None,
        released_at=released_at,
        outcome=_outcome(entries, released_at),
        buffer_bytes_at_release=None if at_release is None else at_release.held_bytes,
        last_received_at=history.last_received_at,
        waits=waits,
        group=_group(entries),
    )


def hook_waits(entries: Sequence[JournalEntry]) -> tuple[HookWait, ...]:
    """The stays in a wait state, in order; each is ended by whatever came next that can end it."""
    begins = {"pending_wait": _LAUNCHING, "terminating_wait": _TERMINATING}
    ends = {"completed", "expired", "retained", "terminated", "in_service", "terminating_wait"}
    waits: list[HookWait] = []
    for entry in entries:
        if entry.event in ends and waits and waits[-1].until is None:
            waits[-1] = HookWait(waits[-1].transition, waits[-1].since, entry.at)
        if entry.event in begins:
            waits.append(HookWait(begins[entry.event], entry.at, None))
    return tuple(waits)


def _released_at(entries: Sequence[JournalEntry]) -> float | None:
    """When the terminate hook was completed with CONTINUE."""
    completion = _terminate_completion(entries)
    if completion is None or _result(completion) != "CONTINUE":
        return None
    return completion.at


def _terminate_completion(entries: Sequence[JournalEntry]) -> JournalEntry | None:
    waiting = None
    for entry in entries:
        if entry.event in ("pending_wait", "terminating_wait"):
            waiting = entry.event
        if entry.event == "completed" and waiting == "terminating_wait":
            return entry
    return None


def _result(completion: JournalEntry) -> str:
    return str(completion.details.get("result", "CONTINUE"))


_OUTCOME_OF_LAST_EVENT: Mapping[str, Outcome] = {
    "in_service": Outcome.IN_SERVICE,
    "pending_wait": Outcome.WAITING,
    "terminating_wait": Outcome.WAITING,
    "retained": Outcome.RETAINED,
    "expired": Outcome.EXPIRED,
    "terminated": Outcome.TERMINATED,
}


def _outcome(entries: Sequence[JournalEntry], released_at: float | None) -> Outcome:
    if released_at is not None:
        return Outcome.RELEASED
    if any(entry.event == "retained" for entry in entries):
        return Outcome.RETAINED
    if any(entry.event == "expired" for entry in entries):
        return Outcome.EXPIRED
    if _terminate_completion(entries) is not None:
        return Outcome.ABANDONED
    decisive = [entry.event for entry in entries if entry.event in _OUTCOME_OF_LAST_EVENT]
    return _OUTCOME_OF_LAST_EVENT[decisive[-1]] if decisive else Outcome.UNKNOWN


def _group(entries: Iterable[JournalEntry]) -> str | None:
    """The Auto Scaling group that it was launched in."""
    names = (entry.details.get("autoscaling_group_name") for entry in entries)
    return next((str(name) for name in names if name), None)


def _first(entries: Iterable[JournalEntry], events: set[str]) -> float | None:
    return next((entry.at for entry in entries if entry.event in events), None)


def _last(entries: Sequence[JournalEntry], events: set[str]) -> float | None:
    return next((entry.at for entry in reversed(entries) if entry.event in events), None)
