"""What an aggregator really held, moment by moment, written by the aggregator itself.

Metrics lag, can freeze and can lie. The demo judges the pipeline against this record instead: one
JSON line at every change, appended before the change is visible to anybody else.
"""

import bisect
import json
import os
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class BufferState:
    """Everything that dies with the instance: what is staged, queued and being written.

    Chunks that were set aside as unrecoverable are no longer in the buffer, but they are still
    logs that only this instance has, so they are counted as held.
    """

    staged_bytes: int = 0
    staged_chunks: int = 0
    queued_bytes: int = 0
    queued_chunks: int = 0
    in_flight_bytes: int = 0
    in_flight_chunks: int = 0
    set_aside_bytes: int = 0
    set_aside_chunks: int = 0
    lines: int = 0

    @property
    def buffer_bytes(self) -> int:
        """The bytes in the buffer: Fluentd's `buffer_total_bytes`."""
        return self.staged_bytes + self.queued_bytes + self.in_flight_bytes

    @property
    def held_bytes(self) -> int:
        """The bytes that would be lost if the instance went away now."""
        return self.buffer_bytes + self.set_aside_bytes


@dataclass(frozen=True, slots=True)
class Moment:
    """The state from one moment on, and the event that made it so."""

    at: float
    event: str
    state: BufferState


class HistoryWriter:
    """Appends moments to a file; each is complete in the file when `record` returns."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def record(self, at: float, event: str, state: BufferState) -> None:
        """Append one moment."""
        line = json.dumps({"at": round(at, 6), "event": event, **asdict(state)})
        os.write(self._descriptor, line.encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


class History:
    """The moments of one aggregator, read from its file as it grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._moments: list[Moment] = []
        self._lock = threading.Lock()

    @property
    def moments(self) -> Sequence[Moment]:
        """Every moment so far, oldest first."""
        with self._lock:
            if self._path.exists():
                self._read_on()
            return self._moments

    def state_at(self, at: float) -> BufferState | None:
        """The state at a time, None before the aggregator had one."""
        moments = self.moments
        index = bisect.bisect_right(moments, at, key=lambda moment: moment.at)
        return moments[index - 1].state if index else None

    def latest(self) -> BufferState | None:
        """The last state so far, None before the aggregator had one."""
        return self.state_at(float("inf"))

    def empty_for_good_at(self) -> float | None:
        """Since when nothing was held, up to the end of the record; None if something still is."""
        since: float | None = None
        for moment in reversed(self.moments):
            if moment.state.held_bytes:
                break
            since = moment.at
        return since

    def _read_on(self) -> None:
        with self._path.open("rb") as file:
            file.seek(self._offset)
            # What follows the last line break is still being written.
            complete, line_break, _rest = file.read().rpartition(b"\n")
        self._offset += len(complete + line_break)
        self._moments += [_moment(line) for line in complete.splitlines()]


def _moment(line: bytes) -> Moment:
    fields = json.loads(line)
    at, event = fields.pop("at"), fields.pop("event")
    return Moment(at=at, event=event, state=BufferState(**fields))
