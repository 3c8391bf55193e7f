"""A buffered Fluentd output: stages what comes in, writes chunks out, backs off when that fails.

Threads, as in Fluentd: one enqueues staged chunks when their time has come, the others write queued
chunks. SIGUSR1 (`flush`) enqueues everything staged, once, and wakes the writer unless it is in
back-off, which it does not cut short.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sandbox.fleet.fluentd.backoff import Backoff, BackoffPolicy
from sandbox.fleet.fluentd.buffer import Buffer
from sandbox.fleet.fluentd.chunks import Chunk
from sandbox.fleet.fluentd.destination import Destination, UnrecoverableError, WriteFailedError
from sandbox.fleet.fluentd.protocol import Batch

SLOW_FLUSH_SECONDS = 20.0
IDLE_SECONDS = 1.0

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Counters:
    """What Fluentd counts for one output, since the process started."""

    emit_count: int = 0
    emit_records: int = 0
    write_count: int = 0
    rollback_count: int = 0
    num_errors: int = 0
    flush_time_count: int = 0
    """In milliseconds."""
    slow_flush_count: int = 0
    write_secondary_count: int = 0


class Part(Protocol):
    """A part of a Fluentd process with threads of its own."""

    def start(self) -> object: ...

    def stop(self) -> object: ...


class Output:
    """One buffered output."""

    def __init__(  # noqa: PLR0913 - as many as a match section has
        self,
        buffer: Buffer,
        destination: Destination,
        backoff_policy: BackoffPolicy,
        *,
        secondary: Destination | None = None,
        threads: int = 1,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.buffer = buffer
        self.counters = Counters()
        self.backoff: Backoff | None = None
        self._destination = destination
        self._backoff_policy = backoff_policy
        self._secondary = secondary
        self._threads = threads
        self._clock = clock
        self._stopping = threading.Event()

    def emit(self, batch: Batch) -> None:
        """Take in a batch. Its entries are in a file when this returns."""
        self.buffer.append(batch.entries, batch.records)
        self.counters.emit_count += 1
        self.counters.emit_records += batch.records

    def flush(self) -> None:
        """SIGUSR1: enqueue everything staged, to be written now or when the back-off ends."""
        self.buffer.enqueue_all()

    def rescue(self) -> None:
        """Write the backed-up chunks to S3 and delete them: the operator's work, not Fluentd's."""
        for chunk in self.buffer.set_aside_chunks():
            self._destination.write(chunk.chunk_id, chunk.read())
            self.buffer.forget(chunk)

    def write_next(self) -> bool:
        """Write one queued chunk, if there is one and no back-off forbids it. True if it was."""
        if self.backoff and self._clock() < self.backoff.next_attempt_at:
            return False
        chunk = self.buffer.take()
        if chunk is None:
            return False
        self.counters.write_count += 1
        started_at = self._clock()
        try:
            self._write(chunk)
        except UnrecoverableError:
            logger.exception("chunk %s is backed up", chunk.chunk_id)
            self.buffer.set_aside(chunk)
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the chunk is kept
            self._failed(chunk, error)
        else:
            self._written(chunk, self._clock() - started_at)
            return True
        return False

    def _write(self, chunk: Chunk) -> None:
        backoff = self.backoff
        if self._secondary and backoff and backoff.turn_to_secondary(self._clock()):
            self._secondary.write(chunk.chunk_id, chunk.read())
            self.counters.write_secondary_count += 1
        else:
            self._destination.write(chunk.chunk_id, chunk.read())

    def start(self) -> None:
        """Start its threads: one that enqueues, `flush_thread_count` that write."""
        writers = [("flush", self._write_for_ever)] * self._threads
        for name, run in (("enqueue", self._enqueue_for_ever), *writers):
            threading.Thread(target=run, name=name, daemon=True).start()

    def stop(self) -> None:
        """End the threads; what is in the buffer stays on disk (`flush_at_shutdown false`)."""
        self._stopping.set()
        with self.buffer.changed:
            self.buffer.changed.notify_all()

    def _written(self, chunk: Chunk, seconds: float) -> None:
        self.buffer.commit(chunk)
        self.backoff = None
        self.counters.flush_time_count += int(seconds * 1000)
        if seconds >= SLOW_FLUSH_SECONDS:
            self.counters.slow_flush_count += 1

    def _failed(self, chunk: Chunk, error: Exception) -> None:
        self.buffer.give_back(chunk)
        self.counters.rollback_count += 1
        self.counters.num_errors += 1
        now = self._clock()
        if self.backoff is None:
            self.backoff = Backoff(self._backoff_policy, now)
        else:
            self.backoff.failed(now)
        if self._secondary:
            self.backoff.turn_to_secondary(now)
        elif self.backoff.is_over:
            logger.error("hit limit for retries: dropping all chunks in the buffer queue")
            self.buffer.clear_queue()
            self.backoff = None
            return
        wait = self.backoff.next_attempt_at - now
        known = isinstance(error, WriteFailedError)
        logger.warning(
            "chunk %s is kept, next attempt in %.1f s: %s",
            chunk.chunk_id, wait, error, exc_info=None if known else error,
        )  # fmt: skip

    def _enqueue_for_ever(self) -> None:
        while not self._stopping.is_set():
            self.buffer.enqueue_due()
            self._wait_until(self.buffer.next_due_at(), lambda: False)

    def _write_for_ever(self) -> None:
        while not self._stopping.is_set():
            if not self.write_next():
                self._wait_until(self._next_write_at(), self._may_write)

    def _next_write_at(self) -> float | None:
        if self.backoff and self.buffer.is_queued:
            return self.backoff.next_attempt_at
        return None

    def _may_write(self) -> bool:
        return self.buffer.is_queued and self.backoff is None

    def _wait_until(self, at: float | None, ready: Callable[[], bool]) -> None:
        """Sleep until `at` (one idle turn at most), or until something is ready earlier."""
        seconds = IDLE_SECONDS if at is None else max(0.0, min(IDLE_SECONDS, at - self._clock()))
        with self.buffer.changed:
            self.buffer.changed.wait_for(lambda: self._stopping.is_set() or ready(), seconds)
