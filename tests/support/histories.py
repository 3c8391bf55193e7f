"""Builds what Prometheus would have stored, out of captures of real Fluentd.

A history is a sequence of stretches; during each, every scrape sees one capture
(``tests/fixtures/fluentd-metrics``, taken from Fluentd 1.18 with fluent-plugin-prometheus 2.2.1).
"""

import random
from collections.abc import Callable
from functools import cache
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from lifecycle.decisions.buffer import Verdict, judge
from lifecycle.decisions.evidence import Rules, Series

CAPTURES = Path(__file__).parents[1] / "fixtures" / "fluentd-metrics"
INSTANCE_ID = "i-0123456789abcdef0"
SCRAPE_INTERVAL = 15.0
START = 1_795_290_000.0
RULES = Rules(empty_for_seconds=300, settle_seconds=75, scrape_interval_seconds=SCRAPE_INTERVAL)

Exposition = dict[tuple[tuple[str, str], ...], float]
Change = Callable[[Exposition, int], Exposition]


@cache
def capture(name: str) -> Exposition:
    """Read one text exposition: labels (with ``__name__``) to value. Not to be changed in place."""
    text = (CAPTURES / f"{name}.prom").read_text()
    return {
        tuple(sorted({**sample.labels, "__name__": sample.name}.items())): sample.value
        for family in text_string_to_metric_families(_one_type_each(text))
        for sample in family.samples
    }


def setting(metric: str, value: float, plugin_id: str | None = None) -> Change:
    return changing(metric, lambda _value, _scrape: value, plugin_id)


def counting(metric: str, plugin_id: str) -> Change:
    return changing(metric, lambda value, scrape: value + scrape, plugin_id)


def changing(
    metric: str, change: Callable[[float, int], float], plugin_id: str | None = None
) -> Change:

    def apply(exposition: Exposition, scrape: int) -> Exposition:
        return {
            key: change(value, scrape)
            if dict(key)["__name__"] == f"fluentd_output_status_{metric}"
            and plugin_id in {None, dict(key).get("plugin_id")}
            else value
            for key, value in exposition.items()
        }

    return apply


def without(metric: str, plugin_id: str | None = None) -> Change:

    def apply(exposition: Exposition, _scrape: int) -> Exposition:
        return {
            key: value
            for key, value in exposition.items()
            if dict(key)["__name__"] != f"fluentd_output_status_{metric}"
            or plugin_id not in {None, dict(key).get("plugin_id")}
        }

    return apply


class History:
    """Samples of one scrape target, growing stretch by stretch."""

    def __init__(
        self,
        target: str = "10.0.0.1:24231",
        jitter: float = 0.0,
        *,
        instance_id: str = INSTANCE_ID,
        start: float = START,
    ) -> None:
        self.now = start
        self._target = {"instance": target, "job": "fluentd", "instance_id": instance_id}
        self._samples: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = {}
        self._jitter = random.Random(1)
        self._jitter_seconds = jitter

    @property
    def target(self) -> dict[str, str]:
        return dict(self._target)

    def shows(self, name: str, seconds: float, *changes: Change) -> "History":
        """Every scrape for this long answers the capture of this name, changed as said."""
        exposition = capture(name)
        for scrape in range(round(seconds / SCRAPE_INTERVAL)):
            at = self._scrape({"__name__": "up"}, 1)
            seen = exposition
            for change in changes:
                seen = change(seen, scrape)
            for key, value in seen.items():
                self._store(dict(key), at, value)
        return self

    def fails(self, seconds: float) -> "History":
        """Every scrape for this long fails: ``up`` is 0, nothing else is stored."""
        for _ in range(round(seconds / SCRAPE_INTERVAL)):
            self._scrape({"__name__": "up"}, 0)
        return self

    def is_silent(self, seconds: float) -> "History":
        """Nothing is stored for this long: Prometheus is down, or has lost the target."""
        self.now += seconds
        return self

    def series(self) -> list[Series]:
        return [Series(dict(key), samples) for key, samples in self._samples.items()]

    def verdict(
        self, *, deregistered_at: float = START - 1000, later: float = 1.0, rules: Rules = RULES
    ) -> Verdict:
        return judge(
            self.series(), deregistered_at=deregistered_at, now=self.now + later, rules=rules
        )

    def _scrape(self, labels: dict[str, str], up: float) -> float:
        self.now += SCRAPE_INTERVAL
        at = self.now + self._jitter.uniform(-self._jitter_seconds, self._jitter_seconds)
        self._store(labels, at, up)
        return at

    def _store(self, labels: dict[str, str], at: float, value: float) -> None:
        key = tuple(sorted({**labels, **self._target}.items()))
        self._samples.setdefault(key, []).append((at, value))


def _one_type_each(text: str) -> str:
    # Families without samples are legal in the wild, but the parser wants no repeated TYPE lines.
    return "\n".join(line for line in text.splitlines() if not line.startswith("#")) + "\n"
