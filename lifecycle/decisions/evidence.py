"""What Prometheus knows of one instance's Fluentd, laid out for ``buffers`` to judge.

Raw samples, never ``*_over_time`` results: those keep answering an old 0 after an exporter died,
and a subquery even counts samples that do not exist.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

BUFFER_METRICS = ("buffer_total_bytes", "buffer_stage_length", "buffer_queue_length")
EMIT_RECORDS = "emit_records"
NUM_ERRORS = "num_errors"
UP = "up"

Sample = tuple[float, float]
# All labels of a series but its name: what the metrics of one output of one worker share.
OutputKey = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Series:
    """One time series: labels with ``__name__``, and (epoch seconds, value) in order of time."""

    labels: Mapping[str, str]
    samples: Sequence[Sample]

    def __str__(self) -> str:
        """Return the name and the labels that tell outputs apart."""
        shown = [f"{k}={self.labels[k]}" for k in ("plugin_id", "worker_id") if k in self.labels]
        name = self.labels.get("__name__", "?")
        return f"{name}{{{','.join(shown)}}}" if shown else name

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
    """What counts as proof; durations in seconds."""

    empty_for_seconds: float
    settle_seconds: float
    scrape_interval_seconds: float
    metric_prefix: str = "fluentd_output_status_"
    expected_buffered_outputs: int | None = None
    heartbeat_plugin_id: str | None = None

    @property
    def fresh_seconds(self) -> float:
        """Age up to which a newest sample is fresh, and the longest gap between two samples."""
        return 2 * self.scrape_interval_seconds

    @property
    def heartbeat_seconds(self) -> float:
        """How long ago the heartbeat output must have moved.

        The sample that shows it is up to one scrape younger than the gauges that moved with it;
        those must be of the window, or nobody looked since forwarders let go.
        """
        in_the_window = self.empty_for_seconds - self.scrape_interval_seconds
        return min(2 * self.fresh_seconds, in_the_window)

    @property
    def range_seconds(self) -> float:
        """How far back samples are needed: the window and the sample just before it."""
        return self.empty_for_seconds + 2 * self.fresh_seconds

    @property
    def fewest_samples(self) -> int:
        """How many samples of every series the window must hold."""
        return math.floor(self.empty_for_seconds / self.scrape_interval_seconds)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One instance's series, by metric (without prefix) and by output."""

    outputs: Mapping[str, Mapping[OutputKey, Series]]
    up: Sequence[Series]
    now: float
    rules: Rules

    @classmethod
    def gather(cls, series: Sequence[Series], now: float, rules: Rules) -> "Evidence":
        """Sort an instance's series; those without samples are as good as absent."""
        outputs: dict[str, dict[OutputKey, Series]] = {}
        ups: list[Series] = []
        for one in series:
            name = one.labels.get("__name__", "")
            if one.samples and name == UP:
                ups.append(one)
            elif one.samples and name.startswith(rules.metric_prefix):
                key = tuple(sorted(item for item in one.labels.items() if item[0] != "__name__"))
                outputs.setdefault(name.removeprefix(rules.metric_prefix), {})[key] = one
        # Another exporter on the same instance may carry the same label: only the `up` of the
        # jobs that scrape Fluentd counts.
        jobs = {dict(key).get("job") for outputs_of in outputs.values() for key in outputs_of}
        return cls(outputs, [up for up in ups if up.labels.get("job") in jobs], now, rules)

    @property
    def window_start(self) -> float:
        """Start of the window over which everything must hold (epoch seconds)."""
        return self.now - self.rules.empty_for_seconds

    def of(self, metric: str) -> Sequence[Series]:
        """Return the series of one metric, one an output and worker."""
        return list(self.outputs.get(metric, {}).values())

    @property
    def buffers(self) -> Sequence[Series]:
        """All series of the three buffer gauges."""
        return [series for metric in BUFFER_METRICS for series in self.of(metric)]

    @property
    def buffered_outputs(self) -> set[OutputKey]:
        """The outputs that have a buffer; others have no buffer gauges at all."""
        return {key for metric in BUFFER_METRICS for key in self.outputs.get(metric, {})}

    @property
    def emitted(self) -> Sequence[Series]:
        """``emit_records`` of the outputs that have a buffer."""
        emit_records = self.outputs.get(EMIT_RECORDS, {})
        return [series for key, series in emit_records.items() if key in self.buffered_outputs]

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
