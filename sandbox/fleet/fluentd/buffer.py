"""Fluentd's buffer, in files or in memory: what is staged, queued, in flight to the destination.

One lock guards it. Every change is reported to `on_change` while the lock is held, so that a
reader of the history never sees an outdated state.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sandbox.fleet.fluentd.chunks import QUEUED, STAGED, Chunk, MemoryChunk, leftover_chunks
from sandbox.fleet.fluentd.history import BufferState

OnChange = Callable[[str, BufferState], None]


def _ignore(_event: str, _state: BufferState) -> None:
    """Do nothing about a change."""


@dataclass(frozen=True, slots=True)
class StagingPolicy:
    """When a staged chunk is enqueued.

    Without a timekey: when it is `flush_interval_seconds` old (`flush_mode interval`). With one:
    when its slice of time is over (`flush_mode lazy`, the default of `out_s3`). In both, as soon as
    it reaches `chunk_limit_bytes`.
    """

    flush_interval_seconds: float = 5.0
    timekey_seconds: int | None = None
    timekey_wait_seconds: float = 0.0
    chunk_limit_bytes: int = 8 * 1024 * 1024
    immediate: bool = False
    """`flush_mode immediate`: with the entries that made it."""

    def timekey(self, now: float) -> int | None:
        if self.timekey_seconds is None:
            return None
        return int(now) // self.timekey_seconds * self.timekey_seconds

    def due_at(self, chunk: Chunk) -> float:
        """The time at which a staged chunk is to be enqueued."""
        if chunk.timekey is None or self.timekey_seconds is None:
            return chunk.created_at + self.flush_interval_seconds
        return chunk.timekey + self.timekey_seconds + self.timekey_wait_seconds


class Buffer:
    """Chunks on disk, from the first entry staged to the moment the destination has them.

    Without a directory they are in memory. `evacuated` is where a retry limit moves chunk files.
    """

    def __init__(  # noqa: PLR0913 - as many as a buffer section has
        self,
        directory: Path | None,
        backup: Path,
        policy: StagingPolicy,
        *,
        evacuated: Path | None = None,
        on_change: OnChange = _ignore,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._directory = directory
        self._backup = backup
        self._evacuated = evacuated or backup
        self.miscounted_bytes = 0
        self._policy = policy
        self._on_change = on_change
        self._clock = clock
        self._lock = threading.RLock()
        self.changed = threading.Condition(self._lock)
        self._staged: dict[int | None, Chunk] = {}
        self._queue: deque[Chunk] = deque()
        self._in_flight: dict[str, Chunk] = {}
        self._set_aside: list[Chunk] = []
        with self._lock:
            self._resume()

    def append(self, entries: bytes, records: int) -> None:
        """Stage entries. They are in a chunk file when this returns."""
        with self._lock:
            now = self._clock()
            timekey = self._policy.timekey(now)
            chunk = self._staged.get(timekey)
            if chunk and chunk.size and chunk.size + len(entries) > self._policy.chunk_limit_bytes:
                self._enqueue(timekey)
                chunk = None
            if chunk is None:
                chunk = self._staged[timekey] = self._create(now, timekey)
            chunk.append(entries, records)
            if self._policy.immediate or chunk.size >= self._policy.chunk_limit_bytes:
                self._enqueue(timekey)
            self._report("staged")

    def enqueue_due(self) -> None:
        with self._lock:
            now = self._clock()
            due = [key for key, chunk in self._staged.items() if self._policy.due_at(chunk) <= now]
            self._enqueue_keys(due)

    def enqueue_all(self) -> None:
        """Enqueue everything that is staged now, as SIGUSR1 asks; later entries are staged anew."""
        with self._lock:
            self._enqueue_keys(list(self._staged))

    def take(self) -> Chunk | None:
        """The oldest queued chunk, now in flight: out of the queue, its bytes still counted."""
        with self._lock:
            if not self._queue:
                return None
            chunk = self._queue.popleft()
            self._in_flight[chunk.chunk_id] = chunk
            self._report("in_flight")
            return chunk

    def commit(self, chunk: Chunk) -> None:
        """The destination has the chunk: delete it."""
        with self._lock:
            chunk.purge()
            del self._in_flight[chunk.chunk_id]
            self._report("written")

    def give_back(self, chunk: Chunk) -> None:
        """The destination did not take the chunk: back to the head of the queue."""
        with self._lock:
            del self._in_flight[chunk.chunk_id]
            self._queue.appendleft(chunk)
            self._report("given_back")

    def set_aside(self, chunk: Chunk) -> None:
        """The destination will never take the chunk: to the backup folder, out of every gauge."""
        with self._lock:
            chunk.set_aside(self._backup)
            del self._in_flight[chunk.chunk_id]
            self._set_aside.append(chunk)
            self._report("set_aside")

    def clear_queue(self) -> None:
        """A retry limit is reached: what is queued goes, and its bytes count as 0 from now on.

        A chunk in flight is taken off the count again when it is written: below zero, for ever.
        """
        with self._lock:
            for chunk in self._queue:
                chunk.evacuate(self._evacuated)
            self._queue.clear()
            self.miscounted_bytes = -sum(chunk.size for chunk in self._in_flight.values())
            self._report("cleared")

    def set_aside_chunks(self) -> list[Chunk]:
        with self._lock:
            return list(self._set_aside)

    def forget(self, chunk: Chunk) -> None:
        """The operator has copied a backed-up chunk to S3: delete it."""
        with self._lock:
            chunk.purge()
            self._set_aside.remove(chunk)
            self._report("rescued")

    @property
    def is_queued(self) -> bool:
        return bool(self._queue)

    def next_due_at(self) -> float | None:
        """When the next staged chunk is to be enqueued, None when nothing is staged."""
        with self._lock:
            return min(map(self._policy.due_at, self._staged.values()), default=None)

    def timekeys(self) -> list[int]:
        with self._lock:
            held = [*self._staged.values(), *self._queue, *self._in_flight.values()]
            return [chunk.timekey for chunk in held if chunk.timekey is not None]

    def state(self) -> BufferState:
        with self._lock:
            staged, queued = self._staged.values(), self._queue
            in_flight, set_aside = self._in_flight.values(), self._set_aside
            return BufferState(
                staged_bytes=sum(chunk.size for chunk in staged),
                staged_chunks=len(staged),
                queued_bytes=sum(chunk.size for chunk in queued),
                queued_chunks=len(queued),
                in_flight_bytes=sum(chunk.size for chunk in in_flight),
                in_flight_chunks=len(in_flight),
                set_aside_bytes=sum(chunk.size for chunk in set_aside),
                set_aside_chunks=len(set_aside),
                lines=sum(chunk.records for chunk in (*staged, *queued, *in_flight, *set_aside)),
            )

    def _create(self, now: float, timekey: int | None) -> Chunk:
        if self._directory is None:
            return MemoryChunk(now, timekey)
        return Chunk.create(self._directory, now, timekey)

    def _enqueue_keys(self, timekeys: list[int | None]) -> None:
        for timekey in timekeys:
            self._enqueue(timekey)
        if timekeys:
            self._report("enqueued")

    def _enqueue(self, timekey: int | None) -> None:
        chunk = self._staged.pop(timekey)
        chunk.enqueue()
        self._queue.append(chunk)

    def _resume(self) -> None:
        """What an earlier process left staged is enqueued: no process writes to it any more."""
        if self._directory is not None:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._queue.extend(leftover_chunks(self._directory, QUEUED))
            for chunk in leftover_chunks(self._directory, STAGED):
                chunk.enqueue()
                self._queue.append(chunk)
        self._set_aside.extend(_set_aside_chunks(self._backup))
        self._report("started")

    def _report(self, event: str) -> None:
        self._on_change(event, self.state())
        self.changed.notify_all()


def _set_aside_chunks(backup: Path) -> list[Chunk]:
    chunks = []
    for path in backup.glob("*.log"):
        chunk = Chunk(path, path.stem, path.stat().st_mtime, None)
        chunk.measure()
        chunks.append(chunk)
    return chunks
