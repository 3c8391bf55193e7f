"""What Prometheus knows of one instance's Fluentd, laid out for ``buffer`` to judge.

Raw samples, never ``*_over_time`` results: those keep answering an old 0 after an exporter died,
and a subquery even counts samples that do not exist.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

from pydantic import ConfigDict, Field

from lifecycle.decisions.targets import Output, is_up_of, may_be_a_worker, output_of, told
from lifecycle.settings import MetricPrefix

BUFFER_METRICS = ("buffer_total_bytes", "buffer_stage_length", "buffer_queue_length")
EMIT_RECORDS = "emit_records"
NUM_ERRORS = "num_errors"
WRITE_COUNT = "write_count"  # of the writes that were begun
METRICS = (*BUFFER_METRICS, EMIT_RECORDS, NUM_ERRORS, WRITE_COUNT)  # all are needed for a proof
UP = "up"

Sample = tuple[float, float]
# All labels of a series but its name: what the metrics of one copy of an output share.
Copy = frozenset[tuple[str, str]]
# The `up` series of the scrapes that a series comes from, and the worker that it is about.
Scrape = tuple[frozenset[int], str]

_SHOWN_FIRST = ("plugin_id", "worker_id", "job", "instance")
_NOT_SHOWN = ("type",)
_LONGEST_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Series:
    """One time series: labels with ``__name__``, and (epoch seconds, value) in order of time."""

    labels: Mapping[str, str]
    samples: Sequence[Sample]

    def __str__(self) -> str:
        """Return the name and the labels: what it is about, its target, who observed it."""
        names = dict.fromkeys([*_SHOWN_FIRST, *sorted(self.labels)])
        told_apart = told(self.labels).keys() - _NOT_SHOWN
        shown = [f"{name}={self.labels[name]}" for name in names if name in told_apart]
        name = self.labels.get("__name__", "?")
        return f"{name}{{{','.join(shown)[:_LONGEST_SHOWN]}}}" if shown else name

    @property
    def copy(self) -> Copy:
        """Which copy of its output it belongs to."""
        return frozenset(told(self.labels).items())

    @property
    def output(self) -> Output:
        """Which output it is about."""
        return output_of(self.labels)

    @property
    def newest(self) -> float:
        """The newest value."""
        return self.samples[-1][1]

    @property
    def rise(self) -> float:
        """By how much the value grew, falls (restarts) not counted."""
        values = [value for _, value in self.samples if math.isfinite(value)]
        return sum(max(0.0, b - a) for a, b in pairwise(values))

    @property
    def last_change(self) -> float | None:
        """Time of the newest sample that differs from the one before it."""
        pairs = pairwise(self.samples)
        changes = [later[0] for earlier, later in pairs if earlier[1] != later[1]]
        return changes[-1] if changes else None

    @property
    def last_nonzero(self) -> float | None:
        """Time of the newest sample that is not 0."""
        times = [time for time, value in self.samples if value != 0]
        return times[-1] if times else None


@dataclass(frozen=True, slots=True)
class Rules:
    """What counts as proof; durations in seconds. It travels in a question."""

    empty_for_seconds: float
    settle_seconds: Annotated[float, Field(ge=0)]
    scrape_interval_seconds: Annotated[float, Field(gt=0)]
    metric_prefix: MetricPrefix = "fluentd_output_status_"
    expected_buffered_outputs: Annotated[int, Field(ge=1)] | None = None
    heartbeat_plugin_id: str | None = None

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    def __post_init__(self) -> None:
        """Refuse a window in which too few samples have room to prove anything."""
        if self.empty_for_seconds < 3 * self.scrape_interval_seconds:
            raise ValueError("empty_for_seconds must be at least 3 x scrape_interval_seconds")

    @property
    def fresh_seconds(self) -> float:
        """Age up to which a newest sample is fresh, and the longest gap between two samples."""
        return 2 * self.scrape_interval_seconds

    @property
    def heartbeat_seconds(self) -> float:
        """How long ago the heartbeat output must have moved.

        The sample that shows it is up to one scrape younger than the gauges that moved with it;
        those must be of the window, or nothing was observed since forwarders stopped sending.
        """
        in_the_window = self.empty_for_seconds - self.scrape_interval_seconds
        return min(2 * self.fresh_seconds, in_the_window)

    @property
    def range_seconds(self) -> float:
        """How far back samples are needed: the window and the sample just before it."""
        return self.empty_for_seconds + 2 * self.fresh_seconds

    @property
    def unbroken_seconds(self) -> float:
        """How long after a question the next one still sees every change since."""
        return self.range_seconds - self.fresh_seconds

    @property
    def fewest_samples(self) -> int:
        """How many samples of every series the window must hold."""
        return math.floor(self.empty_for_seconds / self.scrape_interval_seconds)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One instance's series, by metric (without prefix).

    ``up`` is of the targets that Fluentd's series come from; ``further_up`` of targets that show
    no series, but may be workers of the same Fluentd.
    """

    outputs: Mapping[str, Sequence[Series]]
    up: Sequence[Series]
    further_up: Sequence[Series]
    now: float
    rules: Rules

    @classmethod
    def gather(cls, series: Sequence[Series], now: float, rules: Rules) -> "Evidence":
        """Sort an instance's series; those without samples are as good as absent."""
        outputs: dict[str, list[Series]] = {}
        ups: list[Series] = []
        for one in series:
            name = one.labels.get("__name__", "")
            if one.samples and name == UP:
                ups.append(one)
            elif one.samples and name.startswith(rules.metric_prefix):
                outputs.setdefault(name.removeprefix(rules.metric_prefix), []).append(one)
        shown = [one.labels for series_of in outputs.values() for one in series_of]
        own = [any(is_up_of(up.labels, labels) for labels in shown) for up in ups]
        further = [
            up
            for up, is_own in zip(ups, own, strict=True)
            if not is_own and any(may_be_a_worker(up.labels, labels) for labels in shown)
        ]
        return cls(
            outputs=outputs,
            up=[up for up, is_own in zip(ups, own, strict=True) if is_own],
            further_up=further,
            now=now,
            rules=rules,
        )

    @property
    def window_start(self) -> float:
        """Start of the window over which everything must hold (epoch seconds)."""
        return self.now - self.rules.empty_for_seconds

    def of(self, metric: str) -> Sequence[Series]:
        """Return all series of one metric."""
        return self.outputs.get(metric, [])

    def worst_of(self, metric: str, value: Callable[[Series], float]) -> Mapping[Output, float]:
        """Return a value of each output, once: the highest of its copies."""
        worst: dict[Output, float] = {}
        for series in self.of(metric):
            worst[series.output] = max(value(series), worst.get(series.output, -math.inf))
        return worst

    @property
    def buffers(self) -> Sequence[Series]:
        """All series of the three buffer gauges."""
        return [series for metric in BUFFER_METRICS for series in self.of(metric)]

    @property
    def buffered_outputs(self) -> set[Output]:
        """The outputs that have a buffer; others have no buffer gauges at all."""
        return {series.output for series in self.buffers}

    @property
    def copies(self) -> set[Copy]:
        """The copies of the outputs that have a buffer."""
        return {series.copy for series in self.buffers}

    @property
    def emitted(self) -> Sequence[Series]:
        """``emit_records`` of the outputs that have a buffer."""
        copies = self.copies
        return [series for series in self.of(EMIT_RECORDS) if series.copy in copies]

    def beside(self, series: Series, metric: str) -> Mapping[float, float]:
        """Return another metric of the same copy of an output, by the times of its scrapes."""
        return {t: v for one in self.of(metric) if one.copy == series.copy for t, v in one.samples}

    def scrape_of(self, series: Series) -> Scrape:
        """Return which scrapes a series of Fluentd comes from; no number, no ``up`` of its own."""
        numbers = [n for n, up in enumerate(self.up) if is_up_of(up.labels, series.labels)]
        worker_id, _, _ = series.output
        return frozenset(numbers), worker_id

    def emitted_by(self, plugin_id: str) -> Sequence[Series]:
        """Return ``emit_records`` of an output, which may have no buffer."""
        return [series for series in self.of(EMIT_RECORDS) if series.output[1] == plugin_id]

    @property
    def required(self) -> Sequence[Series]:
        """Every series without which nothing is proven."""
        return [*self.buffers, *self.emitted, *self.up]

    def window(self, series: Series) -> Sequence[Sample]:
        """Return the samples of the window and the one before it, which brackets its start."""
        before = [sample for sample in series.samples if sample[0] <= self.window_start]
        return [*before[-1:], *(s for s in series.samples if s[0] > self.window_start)]

    def gap(self, series: Series) -> str | None:
        """Say where a series does not cover the whole window, None if it does."""
        samples = self.window(series)
        if samples[0][0] > self.window_start:
            late = samples[0][0] - self.window_start
            return f"no sample before the window; the first comes {late:.0f} s after its start"
        times = [time for time, _ in samples]
        widest = max((b - a for a, b in pairwise(times)), default=0.0)
        if widest > self.rules.fresh_seconds:
            return f"{widest:.0f} s without a sample"
        if len(samples) < self.rules.fewest_samples:
            return f"{len(samples)} samples in the window, {self.rules.fewest_samples} needed"
        return None
