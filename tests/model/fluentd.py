"""The truth about one aggregator: what it holds, what still comes in, what its exporter says.

It behaves as Fluentd 1.18 with fluent-plugin-prometheus 2.2.1 was measured to behave; the traps are
numbered as in ``tests/fixtures/fluentd-metrics``. Sizes are bytes, times epoch seconds.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

TICK = 5.0  # prometheus_output_monitor's interval, and the step of the simulation
CHUNK = 1000
HEARTBEAT = "out_heartbeat"
BUFFERED = "out_s3"


class Traffic(StrEnum):
    """How records come in, and what the buffer does with them."""

    LAZY = "lazy"  # staged until the chunk's time has come
    STEADY = "steady"  # flushed every few seconds
    SPARSE = "sparse"  # now and then a record, flushed at once: no scrape ever sees it
    NONE = "none"


_STAGED_FOR = {Traffic.LAZY: 90.0, Traffic.STEADY: 10.0}
_SPARSE_EVERY = 35.0  # shorter than any window, as the traffic of a fleet that matters
FLUSH_INTERVAL = 40.0  # of the forwarders: none is silent for longer while it has records


@dataclass
class Worker:
    """One worker process with one buffered output, and the gauges that its monitor last saw."""

    staged: int = 0
    staged_since: float = 0.0
    queued: list[int] = field(default_factory=list)
    in_flight: int = 0
    lands_at: float = 0.0
    emitted: int = 100
    errors: int = 0
    writes: int = 0
    beats: int = 0
    drift: int = 0
    gauges: dict[str, float] = field(default_factory=dict)

    @property
    def held(self) -> int:
        """Bytes that would be lost with the instance."""
        return self.staged + sum(self.queued) + self.in_flight

    def look(self) -> None:
        """Let the monitor refresh its gauges."""
        self.gauges = {
            "buffer_total_bytes": self.held + self.drift,
            "buffer_stage_length": int(self.staged > 0),
            "buffer_queue_length": len(self.queued),
            "emit_records": self.emitted,
            "num_errors": self.errors,
            "write_count": self.writes,
            "beats": self.beats,
        }

    def close_stage(self) -> None:
        """Enqueue the staged chunk."""
        if self.staged:
            self.queued.append(self.staged)
            self.staged = 0


@dataclass
class Fluentd:
    """One aggregator. ``lets_go_at`` is when the last forwarder stops sending to it."""

    traffic: Traffic
    workers: list[Worker]
    flight_seconds: float
    now: float
    lets_go_at: float | None = None  # None: forwarders have it in their lists
    receives: bool = False  # until it is in service discovery for the first time
    is_running: bool = True
    boots_at: float | None = None  # when it runs at last; None once it did, or if it never will
    kept: int = 0  # how often it refused what forwarders sent: they keep it, and send it again
    is_gone: bool = False  # terminated behind everybody's back
    destination_up: bool = True
    set_aside: int = 0
    timer_died: bool = False  # trap 9: the monitor's
    silent_until: float = 0.0  # trap 10
    last_record_at: float = 0.0
    ended_at: float | None = None
    lost_by_itself: int = 0  # chunks that Fluentd dropped at its retry limit

    @property
    def holds(self) -> bool:
        """Whether a log would be lost with it, the set-aside ones not counted."""
        return any(worker.held for worker in self.workers)

    def may_receive(self, at: float) -> bool:
        """Whether a forwarder can still send to it."""
        return self.receives and (self.lets_go_at is None or at < self.lets_go_at)

    def was_quiet_for(self, seconds: float) -> bool:
        """Whether nothing came in for so long."""
        return self.now - self.last_record_at >= seconds

    def run_until(self, now: float) -> None:
        """Let time pass."""
        while self.now + TICK <= now:
            self.now += TICK
            self._tick()

    def _tick(self) -> None:
        if self.is_gone:
            return
        if self.boots_at is not None and self.now >= self.boots_at:
            self.boots_at = None
            self.restart()
        if not self.is_running:
            self.kept = self.kept + 1 if self.may_receive(self.now) else 0
            return
        for worker in self.workers:
            worker.beats += 1
        if self.may_receive(self.now):
            self._receive()
        for worker in self.workers:
            self._work(worker)
            if not self.timer_died:
                worker.look()

    def _receive(self) -> None:
        if self.traffic is Traffic.NONE:
            return
        if self.traffic is Traffic.SPARSE:
            if self.now - self.last_record_at < _SPARSE_EVERY:
                return
            self.last_record_at, self.kept = self.now, 0
            worker = self.workers[-1]
            worker.emitted += 1
            if not self.destination_up:
                worker.queued.append(CHUNK)
            return
        self.last_record_at = self.now
        rounds, self.kept = 1 + self.kept, 0
        for worker in self.workers:
            worker.emitted += 10 * rounds
            worker.staged_since = worker.staged_since if worker.staged else self.now
            worker.staged += CHUNK * rounds

    def _work(self, worker: Worker) -> None:
        if worker.staged and self.now - worker.staged_since >= _STAGED_FOR.get(self.traffic, 0.0):
            worker.close_stage()
        if worker.in_flight and self.now >= worker.lands_at:
            if not self.destination_up:
                worker.queued.insert(0, worker.in_flight)
            worker.in_flight = 0
        if worker.queued and not worker.in_flight and self.destination_up:
            worker.in_flight = worker.queued.pop(0)
            worker.writes += 1
            worker.lands_at = self.now + self.flight_seconds

    def signal(self) -> None:
        """SIGUSR1: enqueue what is staged; it cancels no back-off."""
        for worker in self.workers:
            worker.close_stage()

    def chunks(self) -> Iterator[int]:
        """The chunk files on its disk."""
        for worker in self.workers:
            yield from (size for size in (worker.staged, *worker.queued, worker.in_flight) if size)

    def hit_retry_limit(self) -> None:
        """Traps 2 and 4: the queue is dropped, and with a chunk in flight the count goes wrong."""
        for worker in self.workers:
            worker.close_stage()
            if worker.queued and not worker.in_flight:
                worker.in_flight = worker.queued.pop(0)
            dropped = len(worker.queued) + int(worker.in_flight > 0)
            if not dropped:
                continue
            self.lost_by_itself += dropped
            worker.errors += 1
            worker.drift -= worker.in_flight
            worker.queued, worker.in_flight = [], 0

    def set_a_chunk_aside(self) -> None:
        """Trap 4: an unrecoverable error; every gauge looks as after success."""
        worker = self.workers[0]
        worker.close_stage()
        if worker.queued:
            worker.queued.pop(0)
            worker.writes += 1
            self.set_aside += 1

    def miscount(self) -> None:
        """Trap 3: the total sticks above the truth."""
        self.workers[0].drift += 812

    def stop(self) -> None:
        """The process dies; what is on its disk stays there."""
        self.is_running, self.boots_at = False, None

    def boot(self, seconds: float) -> None:
        """Its instance starts; until it has booted, nothing listens there."""
        self.is_running, self.boots_at = False, self.now + seconds if seconds else None
        self.restart()

    def restart(self) -> None:
        """It comes back with its chunks; counters start anew, and first there are no samples."""
        if self.boots_at is not None:
            return  # by itself, once its instance has booted
        self.is_running, self.timer_died = True, False
        self.silent_until = self.now + 2 * TICK
        for worker in self.workers:
            worker.queued += [worker.in_flight] if worker.in_flight else []
            worker.in_flight = worker.drift = worker.emitted = worker.errors = 0
            worker.writes = worker.beats = 0
            worker.look()

    def recover(self) -> None:
        """The operator repaired what was broken, and rescued what was lost or backed up."""
        if not self.is_running or self.timer_died or any(one.drift for one in self.workers):
            self.restart()
        self.destination_up = True
        self.set_aside = 0
