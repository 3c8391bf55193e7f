"""What the terminal shows, apart from how: the newest sample, and what became of everyone."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from types import TracebackType

    from sandbox.demo.model import InstanceSample, JournalEntry, Notification, Sample

GONE = "Terminated"
_NOTES_KEPT = 6
_KILO = 1000

# What a person wants to read of the journal; heartbeats and the like would drown it.
_TOLD: dict[str, str] = {
    "launched": "launched",
    "pending_wait": "waits in Pending:Wait",
    "in_service": "is in service",
    "terminating_wait": "waits in Terminating:Wait",
    "registered": "is registered in Cloud Map",
    "deregistered": "is out of Cloud Map",
    "completed": "lifecycle action completed",
    "expired": "lifecycle action EXPIRED",
    "retained": "is retained",
    "terminated": "is terminated",
    "operation_failed": "Cloud Map operation failed",
    "command_sent": "is told to flush",
    "command_ended": "flush command",
}


class View(Protocol):
    """Where a scenario tells how it is going. Methods may be called from any thread."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def phase(self, at: float, name: str) -> None:
        """A new part of the scenario began."""

    def progress(self, text: str) -> None:
        """A slow step moved on; the text replaces the one before."""

    def note(self, at: float, text: str) -> None:
        """Something happened that is worth a line of its own."""

    def sample(self, sample: Sample) -> None:
        """The world as it was just seen."""


@dataclass(frozen=True, slots=True)
class Note:
    """A line of the event list."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class BoardState:
    """A consistent copy of the board, to be rendered at leisure."""

    phase: str
    phase_since: float
    progress: str
    notes: tuple[Note, ...]
    sample: Sample | None
    instances: tuple[InstanceSample, ...]


class Board:
    """The state behind a view; safe to be used by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._phase = ("", 0.0)
        self._progress = ""
        self._notes: deque[Note] = deque(maxlen=_NOTES_KEPT)
        self._sample: Sample | None = None
        self._instances: dict[str, InstanceSample] = {}

    def phase(self, at: float, name: str) -> None:
        with self._lock:
            self._phase = (name, at)
            self._progress = ""

    def progress(self, text: str) -> None:
        with self._lock:
            self._progress = text

    def note(self, at: float, text: str) -> None:
        with self._lock:
            self._notes.append(Note(at, text))

    def sample(self, sample: Sample) -> None:
        """Take over the sample; instances it no longer names stay on the board as gone."""
        with self._lock:
            self._sample = sample
            seen = {instance.instance_id: instance for instance in sample.instances}
            for instance_id, last in self._instances.items():
                if instance_id not in seen:
                    self._instances[instance_id] = _gone(last, sample)
            self._instances.update(seen)

    def state(self) -> BoardState:
        with self._lock:
            return BoardState(
                phase=self._phase[0],
                phase_since=self._phase[1],
                progress=self._progress,
                notes=tuple(self._notes),
                sample=self._sample,
                instances=tuple(self._instances.values()),
            )


def _gone(last: InstanceSample, sample: Sample) -> InstanceSample:
    """The row of an instance that is no longer there, with the last words on it."""
    verdict, reason = sample.verdicts.get(last.instance_id, (last.verdict, last.reason))
    return replace(
        last,
        lifecycle_state=GONE,
        registered=False,
        buffer_bytes=None,
        verdict=verdict,
        reason=reason,
    )


def told(entry: JournalEntry) -> str | None:
    """A journal entry as a sentence for people; None: not worth one."""
    text = _TOLD.get(entry.event)
    if text is None:
        return None
    result = entry.details.get("result")
    if entry.event == "command_ended":
        result = entry.details.get("status_details")
    return f"{entry.instance_id} {text}" + (f" ({result})" if result else "")


def announced(notification: Notification) -> str:
    """A notification as a sentence for people."""
    return f"SNS notified the operator: {notification.alarm} is {notification.state}"


def human_size(size: int | None) -> str:
    """A buffer's size, short enough for a table's cell."""
    if size is None:
        return ""
    if abs(size) < _KILO:
        return f"{size} B"
    if abs(size) < _KILO**2:
        return f"{size / _KILO:.1f} kB"
    return f"{size / _KILO**2:,.1f} MB"


def clock(seconds: float) -> str:
    """Minutes and seconds since the start."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes:02d}:{rest:02d}"
