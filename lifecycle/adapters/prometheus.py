"""Prometheus: one request a batch, for raw samples; ``decisions.buffer`` judges them.

An instant query of a range selector returns the samples as stored, so staleness look-back, gaps
and dead exporters cannot hide behind a function's result. Works with Prometheus, Thanos, Mimir,
VictoriaMetrics and Amazon Managed Service for Prometheus. An answer counts only if it is whole
(``adapters.prometheus_session``).
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import requests
from prometheus_api_client.exceptions import PrometheusApiClientException

from lifecycle.adapters.prometheus_session import Querier, shortened
from lifecycle.decisions.evidence import METRICS, UP, Series
from lifecycle.errors import PrometheusFailed


@dataclass(frozen=True, slots=True)
class Selection:
    """Which series to fetch: those whose ``label`` holds one of ``values``.

    A value also matches with a port behind it, as Prometheus's own ``instance`` label has one; an
    IPv6 address has brackets then.
    """

    values: Sequence[str]
    label: str
    metric_prefix: str
    range_seconds: float

    @property
    def query(self) -> str:
        """The range selector, in PromQL."""
        names = "|".join([*(self.metric_prefix + metric for metric in METRICS), UP])
        instances = "|".join(_quote(_spelled(value)) for value in self.values)
        window = math.ceil(self.range_seconds)
        return f'{{__name__=~"{names}",{self.label}=~"({instances})(:[0-9]+)?"}}[{window}s]'


def fetch(querier: Querier, selection: Selection, now: float) -> dict[str, list[Series]]:
    """Fetch the samples up to ``now`` (epoch seconds) and group the series by label value.

    A value without series is left out. Raises PrometheusFailed for anything but a whole answer.
    """
    try:
        result = querier.custom_query(selection.query, params={"time": f"{now:.3f}"})
        series = _all_series(result)
    except PrometheusFailed:
        raise
    except (requests.RequestException, PrometheusApiClientException) as error:
        raise PrometheusFailed(shortened(f"{type(error).__name__}: {error}")) from error
    except Exception as error:
        # The client raises whatever json or a look-up raises for a body that is no answer
        # (HTML of a login page, say).
        raise PrometheusFailed(f"not a Prometheus answer ({type(error).__name__})") from error
    return _grouped(series, selection)


def _grouped(series: Sequence[Series], selection: Selection) -> dict[str, list[Series]]:
    grouped: dict[str, list[Series]] = {}
    for one in series:
        value = _without_port(one.labels.get(selection.label, ""))
        if value in selection.values:
            grouped.setdefault(value, []).append(one)
    return grouped


def _spelled(value: str) -> str:
    """Return a regular expression for a value; an IPv6 address may have brackets."""
    pattern = re.escape(value)
    return rf"\[?{pattern}\]?" if ":" in value else pattern


def _without_port(label: str) -> str:
    """Return a label's value as it is asked for: the last group of an IPv6 address is no port."""
    bracketed = re.fullmatch(r"\[(.+)\](?::[0-9]+)?", label)
    if bracketed:
        return bracketed[1]
    return label if label.count(":") > 1 else re.sub(r":[0-9]+$", "", label)


def _all_series(result: Any) -> list[Series]:  # noqa: ANN401 (whatever the JSON holds)
    if not isinstance(result, list):
        raise PrometheusFailed(f"a result that is no list: {str(result)[:200]}")
    series = [_series(item) for item in result]
    known: set[frozenset[tuple[str, str]]] = set()
    for one in series:
        labels = frozenset(one.labels.items())
        if labels in known:
            raise PrometheusFailed(f"one series twice: {one}")
        known.add(labels)
    return series


def _series(item: Any) -> Series:  # noqa: ANN401 (whatever the JSON holds)
    labels, values = item["metric"], item["values"]
    if (
        item.keys() != {"metric", "values"}  # histograms, say
        or not isinstance(labels, dict)
        or not all(isinstance(value, str) for value in labels.values())
        or not isinstance(values, list)
    ):
        raise PrometheusFailed(f"a series of an unexpected form: {str(item)[:200]}")
    "".join([*labels, *labels.values()]).encode()  # no halves of characters: they get logged
    samples = sorted((float(time), float(value)) for time, value in values)
    if not all(math.isfinite(time) for time, _ in samples):
        raise PrometheusFailed(f"a series with a time that is none: {str(item)[:200]}")
    return Series(labels=labels, samples=samples)


def _quote(pattern: str) -> str:
    """Escape a regular expression for a double-quoted PromQL string."""
    return pattern.replace("\\", "\\\\").replace('"', '\\"')
