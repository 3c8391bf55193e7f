"""One simulated forwarder: numbered lines, sent at least once.

It makes lines at a rate, packs them into chunks and sends the chunks to its targets in turn. A
chunk leaves its memory when an aggregator has acknowledged it and not before; a chunk without an
acknowledgement is sent again, to the next target, unchanged. So a line can arrive twice; it cannot
get lost on the way.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.fleet.fluentd.protocol import new_chunk_id, pack_entry, pack_message
from sandbox.fleet.forwarders.connection import Connections, NotAcknowledgedError
from sandbox.fleet.forwarders.discovery import Discoveries, ServiceDiscovery, Target
from sandbox.fleet.lines import log_record

TAG = "kubernetes.containers"
CHUNK_LINES = 500
RECOVER_SECONDS = 2.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OutgoingChunk:
    """Lines in transit, packed once: a repetition is the same bytes."""

    chunk_id: str
    message: bytes
    lines: int


@dataclass(frozen=True, slots=True)
class ForwarderReport:
    """What a forwarder has done so far. `sent` is its highest line number."""

    sent: int
    acknowledged: int
    pending: int
    """The lines that no aggregator has acknowledged yet."""
    repeated_chunks: int
    targets: tuple[str, ...]


class Forwarder:
    """Lines 1, 2, 3, ... of one forwarder. Not thread-safe: one thread calls `make` and `send`."""

    def __init__(
        self,
        name: str,
        discovery: ServiceDiscovery | Discoveries,
        connections: Connections,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self._discovery = discovery
        self._connections = connections
        self._clock = clock
        self._pending: deque[OutgoingChunk] = deque()
        self._sent = self._acknowledged = self._repeated_chunks = self._turn = 0
        self._unavailable_until: dict[Target, float] = {}

    def make(self, lines: int) -> None:
        """Make so many new lines; they are kept until they are acknowledged."""
        while lines > 0:
            size = min(lines, CHUNK_LINES)
            self._pending.append(self._chunk(size))
            lines -= size

    def send(self) -> None:
        """Send what is kept, oldest first, until all is acknowledged or no target takes it."""
        while self._pending and self._deliver(self._pending[0]):
            chunk = self._pending.popleft()
            self._acknowledged += chunk.lines

    def report(self) -> ForwarderReport:
        return ForwarderReport(
            sent=self._sent,
            acknowledged=self._acknowledged,
            pending=self._sent - self._acknowledged,
            repeated_chunks=self._repeated_chunks,
            targets=tuple(target.address for target in self._discovery.targets),
        )

    def _chunk(self, lines: int) -> OutgoingChunk:
        now = self._clock()
        numbers = range(self._sent + 1, self._sent + lines + 1)
        entries = b"".join(pack_entry(now, log_record(self.name, n, now)) for n in numbers)
        self._sent += lines
        chunk_id = new_chunk_id()
        return OutgoingChunk(chunk_id, pack_message(TAG, entries, lines, chunk_id), lines)

    def _deliver(self, chunk: OutgoingChunk) -> bool:
        """Try each available target once, in turn."""
        for target in self._available_targets():
            try:
                self._connections.send(target, chunk.message, chunk.chunk_id)
            except NotAcknowledgedError as error:
                logger.info("%s sends a chunk again: %s", self.name, error)
                self._unavailable_until[target] = self._clock() + RECOVER_SECONDS
                self._repeated_chunks += 1
            else:
                return True
        return False

    def _available_targets(self) -> list[Target]:
        """The targets from the next in turn on, without those that failed a moment ago."""
        targets = self._discovery.targets
        self._turn += 1
        now = self._clock()
        in_turn = (targets[(self._turn + n) % len(targets)] for n in range(len(targets)))
        return [target for target in in_turn if self._unavailable_until.get(target, 0.0) <= now]
