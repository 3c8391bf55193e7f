"""The same Fluentd, seen by several observers: replicas, jobs, federating servers."""

from collections.abc import Iterator, Mapping, Sequence

from lifecycle.decisions.buffer import Verdict, judge
from lifecycle.decisions.evidence import Rules, Series
from tests.support.histories import RULES, START, Change, History

WINDOW = 330.0
OUTPUTS = 5  # buffered ones, in the capture of a drained Fluentd
FLUENTD = "10.0.0.1:24231"
NODE = "10.0.0.1:9100"
NOW = START + WINDOW + 1


def drained(seconds: float = WINDOW, *changes: Change, target: str = FLUENTD) -> list[Series]:
    return History(target).shows("05-drained", seconds, *changes).series()


def holding(target: str = FLUENTD) -> list[Series]:
    return History(target).shows("02-steady-ok", WINDOW).series()


def seen_by(series: Sequence[Series], **observer: str) -> list[Series]:
    """The same series with other labels, `up` included."""
    return [Series({**one.labels, **observer}, one.samples) for one in series]


def is_up(series: Series) -> bool:
    return series.labels["__name__"] == "up"


def told_by_fluentd(series: Sequence[Series], **labels: str) -> list[Series]:
    return [one if is_up(one) else Series({**one.labels, **labels}, one.samples) for one in series]


def without_up(series: Sequence[Series]) -> list[Series]:
    return [one for one in series if not is_up(one)]


def up(value: float, labels: Mapping[str, str], seconds: float = WINDOW) -> Series:
    """An `up` with one value over a stretch that ends with the window."""
    history = History(start=START + WINDOW - seconds)
    if value:
        history.shows("05-drained", seconds)
    else:
        history.fails(seconds)
    [made] = [one for one in history.series() if is_up(one)]
    return Series({**made.labels, **labels}, made.samples)


def verdict(
    *series: Series, rules: Rules = RULES, now: float = NOW, deregistered_at: float = START - 1000
) -> Verdict:
    """Judge what the product's query would have found."""
    first = now - rules.range_seconds
    asked_for = [
        Series(one.labels, [sample for sample in one.samples if first < sample[0] <= now])
        for one in series
    ]
    return judge(asked_for, deregistered_at=deregistered_at, now=now, rules=rules)


def replicas(a: Sequence[Series], b: Sequence[Series]) -> Iterator[Series]:
    """What Thanos or Mimir answers without deduplication."""
    yield from seen_by(a, prometheus_replica="a", cluster="eu")
    yield from seen_by(b, prometheus_replica="b", cluster="eu")
