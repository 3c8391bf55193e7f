"""What Prometheus stored about the aggregators, and what it says when it is asked.

The truth is the aggregators'; every distortion is one of those that were seen with a real
Prometheus (``tests/fixtures/fluentd-metrics``). Answers take the way of the product's own client.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any

import requests

from lifecycle.adapters.prometheus_session import Querier
from tests.model.fluentd import BUFFERED, HEARTBEAT, Fluentd, Traffic, Worker
from tests.support.prometheus_wire import querier
from tests.support.promql import RangeSelector

SCRAPE_INTERVAL = 15.0
_PREFIX = "fluentd_output_status_"
NEIGHBOUR_PORT = 9100  # node_exporter's
_GAUGES = (
    *("buffer_total_bytes", "buffer_stage_length", "buffer_queue_length"),
    *("num_errors", "write_count"),
)


class Scraping(StrEnum):
    """How the scrapes of one aggregator go."""

    SOUND = "sound"
    EXPORTER_DEAD = "exporter_dead"  # trap 6: `up` is 0
    TARGET_GONE = "target_gone"  # trap 8: nothing is stored, not even `up`
    ONE_WORKER_ONLY = "one_worker_only"  # trap 11
    LAST_WORKER_DEAD = "last_worker_dead"  # its `up` is 0, and its series end


class Answering(StrEnum):
    """How Prometheus answers."""

    SOUND = "sound"
    DOWN = "down"
    HTML = "html"
    EMPTY = "empty"  # trap 7: after a restart
    STALE = "stale"  # a replica that lags behind
    PARTIAL = "partial"  # a store is missing: some series are left out
    OTHER_FORM = "other_form"
    WARNED = "warned"  # a store is missing, and the answer says so (remote read, Thanos)
    IS_PARTIAL = "is_partial"  # the same in the words of VictoriaMetrics


# What an answer says of itself when one of the stores is missing.
_QUALIFIED: dict[Answering, dict[str, Any]] = {
    Answering.WARNED: {"warnings": ["remote_read: connection refused"]},
    Answering.IS_PARTIAL: {"isPartial": True},
}


@dataclass(frozen=True)
class Observer:
    """A replica of Prometheus: the labels that it adds, and when it stopped, if it did."""

    labels: dict[str, str] = field(default_factory=dict)
    stopped_at: float = math.inf


@dataclass
class Target:
    """One aggregator as Prometheus sees it."""

    fluentd: Fluentd
    instance_id: str
    address: str
    next_scrape: float
    scraping: Scraping = Scraping.SOUND
    samples: dict[tuple[str, int, str], list[tuple[float, float]]] = field(default_factory=dict)

    def scrape_until(self, now: float) -> None:
        """Let time pass for the aggregator, and scrape it when it is due."""
        while self.next_scrape <= now:
            self.fluentd.run_until(self.next_scrape)
            self._scrape(self.next_scrape)
            self.next_scrape += SCRAPE_INTERVAL
        self.fluentd.run_until(now)

    def skip_until(self, now: float) -> None:
        """Let time pass unseen: Prometheus is down."""
        while self.next_scrape <= now:
            self.next_scrape += SCRAPE_INTERVAL
        self.fluentd.run_until(now)

    def _scrape(self, at: float) -> None:
        fluentd = self.fluentd
        if self.scraping is Scraping.TARGET_GONE:
            return
        answers = fluentd.is_running and not fluentd.is_gone
        for number, worker in enumerate(fluentd.workers):
            if number and self.scraping is Scraping.ONE_WORKER_ONLY:
                return
            if not answers or self._is_dead(number):
                self._store("up", number, "", at, 0)
                continue
            self._store("up", number, "", at, 1)
            if at >= fluentd.silent_until:
                self._store_worker(worker, number, at)

    def _is_dead(self, worker: int) -> bool:
        if self.scraping is Scraping.LAST_WORKER_DEAD:
            return worker == len(self.fluentd.workers) - 1
        return self.scraping is Scraping.EXPORTER_DEAD

    def _store_worker(self, worker: Worker, number: int, at: float) -> None:
        if not worker.gauges:
            return
        for metric in (*_GAUGES, "emit_records"):
            self._store(_PREFIX + metric, number, BUFFERED, at, worker.gauges[metric])
        self._store(f"{_PREFIX}emit_records", number, HEARTBEAT, at, worker.gauges["beats"])

    def _store(self, name: str, worker: int, plugin_id: str, at: float, value: float) -> None:
        self.samples.setdefault((name, worker, plugin_id), []).append((at, float(value)))

    def labels(self, name: str, worker: int, plugin_id: str) -> dict[str, str]:
        """The labels of one series."""
        labels = {
            "__name__": name,
            "job": "fluentd",
            "instance": f"{self.address}:{24231 + worker}",
            "instance_id": self.instance_id,
        }
        if plugin_id:
            labels |= {"plugin_id": plugin_id, "type": "s3", "worker_id": str(worker)}
        return labels

    def neighbour(self) -> tuple[dict[str, str], list[tuple[float, float]]]:
        """Another exporter on the same host and of the same job, which is down."""
        labels = self.labels("up", 0, "") | {"instance": f"{self.address}:{NEIGHBOUR_PORT}"}
        return labels, [(at, 0.0) for at, _ in self.samples.get(("up", 0, ""), [])]

    def is_seen_down(self, now: float) -> bool:
        """Whether the newest scrape of a worker failed, and is no longer ago than two scrapes."""
        newest = [
            samples[-1] for (name, *_), samples in self.samples.items() if name == "up" and samples
        ]
        return any(not value and now - at <= 2 * SCRAPE_INTERVAL for at, value in newest)

    def newest(self, metric: str, worker: int = 0) -> float | None:
        """What the last scrape saw of the buffered output."""
        samples = self.samples.get((_PREFIX + metric, worker, BUFFERED))
        return samples[-1][1] if samples else None


@dataclass
class Monitoring:
    """Prometheus. ``count`` gets each fault that an answer was affected by."""

    clock: Callable[[], float]
    count: Callable[[str], None]
    targets: dict[str, Target] = field(default_factory=dict)
    answering: Answering = Answering.SOUND
    is_scraping: bool = True
    observers: tuple[Observer, ...] = (Observer(),)
    has_neighbours: bool = False
    lag: float = 45.0
    # Whether the last answer about an instance said that it is not whole, by instance id.
    was_partial: dict[str, bool] = field(default_factory=dict)
    _counted: set[tuple[str, str]] = field(default_factory=set)

    def watch(self, instance_id: str, address: str, fluentd: Fluentd) -> None:
        """Start to scrape an aggregator: soon, or each third one when it has booted."""
        number = len(self.targets)
        found_at = (number % 3 == 2 and fluentd.boots_at) or self.clock()
        # As Prometheus does where a port follows.
        host = f"[{address}]" if ":" in address else address
        first = found_at + 1.0 + number % 5
        self.targets[instance_id] = Target(fluentd, instance_id, host, first)

    def catch_up(self) -> None:
        """Let time pass for every aggregator."""
        now = self.clock()
        for target in self.targets.values():
            if target.fluentd.ended_at is None:
                (target.scrape_until if self.is_scraping else target.skip_until)(now)

    def restart(self) -> None:
        """Trap 7: no stale markers, and what was not yet on its disk is gone."""
        for target in self.targets.values():
            for samples in target.samples.values():
                del samples[-2:]
        self.count("Prometheus: restarted, newest samples lost")

    def have_replicas(self, *, one_stops: bool) -> None:
        """From now on two replicas answer, without deduplication; one of them stops now, or not."""
        stopped_at = self.clock() if one_stops else math.inf
        self.observers = (Observer({"replica": "a"}), Observer({"replica": "b"}, stopped_at))

    @property
    def misleads(self) -> bool:
        """Whether it answers anything but what each aggregator shows."""
        return (
            self.answering is not Answering.SOUND
            or len(self.observers) > 1
            or any(target.scraping is not Scraping.SOUND for target in self.targets.values())
        )

    def querier(self) -> Querier:
        """Build the product's client, with this at the other end of its connection."""
        return querier(self.answer)

    def answer(self, query: str, at: float) -> Any:
        """Answer as the API does."""
        self.catch_up()
        if self.answering is not Answering.SOUND:
            self.count(f"Prometheus: {self.answering}")
        match self.answering:
            case Answering.DOWN:
                raise requests.ConnectionError("refused")
            case Answering.HTML:
                return "<html>Sign in</html>"
            case Answering.EMPTY:
                result: list[Any] = []
            case Answering.OTHER_FORM:
                result = [{"metric": {"instance_id": "i-0"}, "value": [1, "0"]}]
            case _:
                result = self._result(RangeSelector.parse(query), at)
        data = {"resultType": "matrix", "result": result}
        return {"status": "success", "data": data, **_QUALIFIED.get(self.answering, {})}

    def _result(self, selector: RangeSelector, at: float) -> list[Any]:
        newest = at - self.lag if self.answering is Answering.STALE else at
        result = []
        for target in self.targets.values():
            if not selector.matches_some({"instance_id": target.instance_id, "job": "fluentd"}):
                continue
            self._count_traps(target)
            self.was_partial[target.instance_id] = self.answering in _QUALIFIED
            for labels, samples in self._stored(target):
                if not selector.matches(labels):
                    continue
                for observer in self.observers:
                    first = bisect_right(samples, (at - selector.seconds, math.inf))
                    last = bisect_right(samples, (min(newest, observer.stopped_at), math.inf))
                    if samples[first:last]:
                        values = [[time, repr(value)] for time, value in samples[first:last]]
                        result.append({"metric": labels | observer.labels, "values": values})
        return result

    def _stored(self, target: Target) -> Iterator[tuple[dict[str, str], list[tuple[float, float]]]]:
        """What the stores that answer have of an aggregator, the times not looked at."""
        left_out = f"{_PREFIX}buffer_stage_length" if self.answering is Answering.PARTIAL else ""
        last_worker = len(target.fluentd.workers) - 1
        lost_worker = last_worker if self.answering in _QUALIFIED and last_worker else None
        for (name, worker, plugin_id), samples in target.samples.items():
            if name != left_out and worker != lost_worker:
                yield target.labels(name, worker, plugin_id), samples
        if self.has_neighbours:
            yield target.neighbour()

    def _count_once(self, target: Target, trap: str) -> None:
        if (target.instance_id, trap) not in self._counted:
            self._counted.add((target.instance_id, trap))
            self.count(trap)

    def _count_traps(self, target: Target) -> None:
        """Note each trap once an instance, when the product asks about it."""
        count = partial(self._count_once, target)
        for trap, is_set in self._traps(target).items():
            if is_set:
                count(trap)

    def _traps(self, target: Target) -> dict[str, object]:
        fluentd = target.fluentd
        total = target.newest("buffer_total_bytes") or 0
        stage, queue = target.newest("buffer_stage_length"), target.newest("buffer_queue_length")
        only_total = total > 0 and not stage and not queue
        drifted = fluentd.workers[0].drift > 0
        return {
            "Prometheus: replicas, not deduplicated": len(self.observers) > 1,
            "Prometheus: one of the replicas stopped": self.observers[-1].stopped_at < math.inf,
            "scraping: another exporter of the host is down": self.has_neighbours,
            f"scraping: {target.scraping}": target.scraping is not Scraping.SOUND,
            "Fluentd: instance gone": fluentd.is_gone,
            "Fluentd: total stuck above 0": only_total and drifted,
            "Fluentd: last chunk in flight": only_total and not drifted,
            "Fluentd: staged, queue empty": total > 0 and stage and not queue,
            "Fluentd: negative for ever": total < 0,
            "Fluentd: dropped its queue, looks drained": fluentd.lost_by_itself,
            "Fluentd: chunk backed up, looks drained": fluentd.set_aside,
            "Fluentd: exporter's timer died": fluentd.timer_died,
            "Fluentd: process down": not fluentd.is_running and fluentd.boots_at is None,
            "Fluentd: its instance boots": fluentd.boots_at is not None and target.samples,
            "Fluentd: refuses what forwarders keep": fluentd.kept,
            "scraping: not found before it has booted": fluentd.boots_at and not target.samples,
            "Fluentd: destination down": not fluentd.destination_up,
            "Fluentd: no samples after a start": self.clock() - fluentd.silent_until < 15,
            "Fluentd: receives, buffers 0 at every scrape": fluentd.traffic is Traffic.SPARSE
            and fluentd.may_receive(self.clock()),
            "Fluentd: several workers": len(fluentd.workers) > 1,
        }
