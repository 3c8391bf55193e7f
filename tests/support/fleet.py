"""What Prometheus knows about a fleet whose every scrape a test decides."""

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.support.histories import SCRAPE_INTERVAL, Change, History
from tests.support.promql import RangeSelector

EMPTY = "05-drained"
HOLDING = "02-steady-ok"


@dataclass
class Aggregator:
    """One aggregator: what it shows when it is scraped, and since when it has been empty."""

    history: History
    capture: str | None = HOLDING  # None: scrapes fail
    vanished: bool = False  # Prometheus does not know the target any more
    changes: tuple[Change, ...] = ()
    empty_since: float | None = None

    def catch_up(self, now: float) -> None:
        while self.history.now + SCRAPE_INTERVAL <= now:
            if self.vanished:
                self.history.is_silent(SCRAPE_INTERVAL)
            elif self.capture is None:
                self.history.fails(SCRAPE_INTERVAL)
            else:
                self.history.shows(self.capture, SCRAPE_INTERVAL, *self.changes)


@dataclass
class Fleet:
    """A ``lifecycle.adapters.prometheus.Querier`` that answers as Prometheus does."""

    clock: Callable[[], float]
    aggregators: dict[str, Aggregator] = field(default_factory=dict)
    queries: list[str] = field(default_factory=list)
    failure: Exception | None = None

    def launch(self, instance_id: str, address: str, capture: str = HOLDING) -> None:
        history = History(f"{address}:24231", instance_id=instance_id, start=self.clock())
        self.aggregators[instance_id] = Aggregator(history, capture)

    def shows(self, instance_id: str, capture: str, *changes: Change) -> None:
        """From now on every scrape of the instance sees this capture."""
        aggregator = self._up_to_now(instance_id)
        if capture == EMPTY and not changes:
            if aggregator.empty_since is None:
                aggregator.empty_since = self.clock()
        else:
            aggregator.empty_since = None
        aggregator.capture, aggregator.changes, aggregator.vanished = capture, changes, False

    def loses_exporter(self, instance_id: str) -> None:
        """From now on every scrape of the instance fails."""
        self._up_to_now(instance_id).capture = None

    def loses_target(self, instance_id: str) -> None:
        """From now on Prometheus does not scrape the instance at all."""
        self._up_to_now(instance_id).vanished = True

    def custom_query(self, query: str, params: dict[str, Any] | None = None) -> Any:
        """Answer as ``prometheus_api_client`` does: with ``data.result``."""
        self.queries.append(query)
        if self.failure is not None:
            raise self.failure
        assert params is not None
        selector, now = RangeSelector.parse(query), float(params["time"])
        result = []
        for aggregator in self.aggregators.values():
            if not selector.matches_some(aggregator.history.target):
                continue
            aggregator.catch_up(now)
            for series in aggregator.history.series():
                labels = dict(series.labels)
                if not selector.matches(labels):
                    continue
                samples = series.samples
                first = bisect_right(samples, (now - selector.seconds, math.inf))
                last = bisect_right(samples, (now, math.inf))
                values = [[time, repr(value)] for time, value in samples[first:last]]
                if values:
                    result.append({"metric": labels, "values": values})
        return result

    def _up_to_now(self, instance_id: str) -> Aggregator:
        aggregator = self.aggregators[instance_id]
        aggregator.catch_up(self.clock())
        return aggregator
