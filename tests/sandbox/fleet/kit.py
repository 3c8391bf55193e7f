"""What the fleet's tests are made of: numbered lines, a clock moved by hand, a buffer's inside."""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.fleet.fluentd.buffer import Buffer, StagingPolicy
from sandbox.fleet.fluentd.destination import UnrecoverableError, WriteFailedError
from sandbox.fleet.fluentd.history import BufferState
from sandbox.fleet.fluentd.protocol import Batch, pack_entry
from sandbox.fleet.lines import log_record

PROJECT = Path(__file__).parents[3]


@dataclass
class Clock:
    now: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class FakeDestination:
    """Does to writes what a test says; `watch` looks at the world while a write is under way."""

    failure: Exception | None = None
    watch: Callable[[], object] = lambda: None
    written: list[bytes] = field(default_factory=list)

    def write(self, chunk_id: str, entries: bytes) -> None:
        self.watch()
        if self.failure is not None:
            raise self.failure
        self.written.append(entries)

    def refuse(self) -> None:
        self.failure = WriteFailedError("503 SlowDown")

    def reject(self) -> None:
        self.failure = UnrecoverableError("400")

    def accept(self) -> None:
        self.failure = None


def entries(count: int, forwarder: str = "forwarder-01", first: int = 1) -> bytes:
    """Numbered lines, packed as they travel and as they lie on disk."""
    now = 1_700_000_000.0
    return b"".join(
        pack_entry(now, log_record(forwarder, n, now)) for n in range(first, first + count)
    )


def batch(count: int, **options: Any) -> Batch:
    return Batch("tag", entries(count, **options), count, chunk_id="chunk")


def create_bucket(client: Any) -> str:
    """A bucket of the test's own: the moto server outlives tests."""
    name = f"logs-{uuid.uuid4()}"
    client.create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": client.meta.region_name}
    )
    return name


def wait_until(done: Callable[[], object], seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


@dataclass
class BufferKit:
    """A buffer in a temporary directory, with everything a test wants to look at."""

    directory: Path
    clock: Clock = field(default_factory=Clock)
    moments: list[tuple[str, BufferState]] = field(default_factory=list)

    def open(self, **policy: Any) -> Buffer:
        """The buffer of a process that starts on this directory."""
        return Buffer(
            self.directory / "buffer",
            self.directory / "backup",
            StagingPolicy(**policy),
            on_change=lambda event, state: self.moments.append((event, state)),
            clock=self.clock,
        )

    def files(self, pattern: str = "*.log") -> list[Path]:
        return sorted((self.directory / "buffer").glob(pattern))
