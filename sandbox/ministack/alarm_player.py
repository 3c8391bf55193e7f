"""Plays CloudWatch's alarms on the Lambda emulator.

The emulator keeps alarms, notifies SNS when their state changes and reports the functions' own
metrics. It does not report queue depths, does not read metrics out of log lines (Embedded Metric
Format), and holds an alarm against every series of a metric's name whatever its dimensions, so
that one full queue would raise the alarms of all. Here the metrics are gathered and the alarms
judged as CloudWatch does; `SetAlarmState` does the rest.

One thing differs from AWS: schedules do not run here (`plugins.schedules`), so a scheduled function
sends no data by itself. An alarm that treats missing data as breaching keeps its state until there
is data: it never fires by itself, but a run of the function that it watches ends it.
"""

import logging
import operator
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, cast

from mypy_boto3_cloudwatch import CloudWatchClient
from mypy_boto3_lambda import LambdaClient
from mypy_boto3_sqs import SQSClient

from sandbox.ministack.function_logs import FunctionLogs

logger = logging.getLogger(__name__)

EVALUATION_SECONDS = 2.0
KEPT_SECONDS = 3600.0
QUEUE_METRICS = {
    "ApproximateNumberOfMessages": "ApproximateNumberOfMessagesVisible",
    "ApproximateNumberOfMessagesNotVisible": "ApproximateNumberOfMessagesNotVisible",
}
State = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
STATISTICS: dict[str, Callable[[list[float]], float]] = {
    "Maximum": max,
    "Minimum": min,
    "Sum": sum,
    "SampleCount": len,
    "Average": statistics.fmean,
}
# The one expression that this project's alarms use.
SUM_OF_ALL = "SUM(METRICS())"


class UnsupportedAlarmError(Exception):
    """An alarm asks for something that is not judged here, and would never fire."""


@dataclass(frozen=True)
class Series:
    """One metric with its dimensions."""

    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, metric: Mapping[str, Any]) -> "Series":
        dimensions = {(one["Name"], one["Value"]) for one in metric.get("Dimensions", [])}
        return cls(metric["Namespace"], metric["MetricName"], frozenset(dimensions))


@dataclass
class Samples:
    """Values by series and time, of the last hour."""

    _values: dict[Series, list[tuple[float, float]]] = field(default_factory=dict)

    def add(self, series: Series, at: float, value: float) -> None:
        kept = [one for one in self._values.get(series, []) if one[0] > at - KEPT_SECONDS]
        self._values[series] = [*kept, (at, value)]

    def between(self, series: Series, start: float, end: float) -> list[float]:
        """The values after `start`, up to `end`."""
        return [value for at, value in self._values.get(series, []) if start < at <= end]


@dataclass
class Alarms:
    """Gathers metrics and judges every deployed alarm, once a call of `evaluate`."""

    cloudwatch: CloudWatchClient
    queues: SQSClient
    functions: LambdaClient
    logs: FunctionLogs
    samples: Samples = field(default_factory=Samples)
    _lines_read: dict[str, int] = field(default_factory=dict)

    def evaluate(self) -> None:
        """Gather what is new, then bring every alarm into the state it should have."""
        now = time.time()
        self._read_queues(now)
        self._read_logs(now)
        for page in self.cloudwatch.get_paginator("describe_alarms").paginate():
            for alarm in page["MetricAlarms"]:
                self._judge(dict(alarm), now)

    def _read_queues(self, now: float) -> None:
        for url in self.queues.list_queues().get("QueueUrls", []):
            answer = self.queues.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
            attributes = cast("dict[str, str]", answer["Attributes"])
            dimensions = frozenset({("QueueName", url.rsplit("/", 1)[-1])})
            for attribute, metric in QUEUE_METRICS.items():
                value = float(attributes.get(attribute, "0"))
                self.samples.add(Series("AWS/SQS", metric, dimensions), now, value)

    def _read_logs(self, now: float) -> None:
        for function in self.functions.list_functions()["Functions"]:
            name = function["FunctionName"]
            records = self.logs.records(name)
            for record in records[self._lines_read.get(name, 0) :]:
                for series, at, value in _embedded_metrics(record):
                    # CloudWatch evaluates late data afterwards; an alarm here sees it now.
                    self.samples.add(series, max(at, now - EVALUATION_SECONDS), value)
            self._lines_read[name] = len(records)

    def _judge(self, alarm: dict[str, Any], now: float) -> None:
        if alarm.get("TreatMissingData") == "breaching":
            alarm["TreatMissingData"] = "ignore"
        state = judge(alarm, [self._value(alarm, *one) for one in _periods(alarm, now)])
        if state != alarm["StateValue"]:
            logger.info("alarm %s: %s", alarm["AlarmName"], state)
            self.cloudwatch.set_alarm_state(
                AlarmName=alarm["AlarmName"],
                StateValue=state,
                StateReason=f"Threshold {alarm['Threshold']} {alarm['ComparisonOperator']}",
            )

    def _value(self, alarm: dict[str, Any], start: float, end: float) -> float | None:
        stats = _summed(alarm)
        if not stats:
            return self._statistic(Series.of(alarm), alarm["Statistic"], start, end)
        parts = [
            self._statistic(Series.of(one["Metric"]), one["Stat"], start, end) for one in stats
        ]
        known = [part for part in parts if part is not None]
        return sum(known) if known else None

    def _statistic(self, series: Series, stat: str, start: float, end: float) -> float | None:
        if series.namespace == "AWS/Lambda":
            return self._reported(series, stat, start, end)
        values = self.samples.between(series, start, end)
        return float(STATISTICS[stat](values)) if values else None

    def _reported(self, series: Series, stat: str, start: float, end: float) -> float | None:
        # boto3's stubs want one of five words; here it is the word of the alarm.
        cloudwatch: Any = self.cloudwatch
        answer = cloudwatch.get_metric_statistics(
            Namespace=series.namespace,
            MetricName=series.name,
            Dimensions=[{"Name": name, "Value": value} for name, value in series.dimensions],
            StartTime=datetime.fromtimestamp(start, UTC),
            # The API counts in whole seconds: what was reported in this one counts as well.
            EndTime=datetime.fromtimestamp(end + 1, UTC),
            Period=60,
            Statistics=[stat],
        )
        values = [point[stat] for point in answer["Datapoints"]]
        combine = max if stat == "Maximum" else sum
        return float(combine(values)) if values else None


def judge(alarm: Mapping[str, Any], values: list[float | None]) -> State:
    """The state of an alarm whose last periods have these values, the newest first."""
    missing = alarm.get("TreatMissingData", "missing")
    if all(value is None for value in values):
        if missing == "ignore":
            return cast("State", alarm["StateValue"])
        if missing == "missing":
            return "INSUFFICIENT_DATA"
    breaches = COMPARISONS[alarm["ComparisonOperator"]]
    verdicts = [
        missing == "breaching" if value is None else breaches(value, alarm["Threshold"])
        for value in values
    ]
    wanted = alarm.get("DatapointsToAlarm") or alarm["EvaluationPeriods"]
    return "ALARM" if sum(verdicts) >= wanted else "OK"


def _summed(alarm: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The metrics that an alarm on a sum adds up; none if it is about a single metric."""
    metrics = alarm.get("Metrics", [])
    expressions = [one["Expression"] for one in metrics if "Expression" in one]
    if metrics and expressions != [SUM_OF_ALL]:
        raise UnsupportedAlarmError(f"{alarm['AlarmName']}: {expressions}")
    return [one["MetricStat"] for one in metrics if "MetricStat" in one]


def _periods(alarm: Mapping[str, Any], now: float) -> Iterator[tuple[float, float]]:
    """The start and end of each period that counts, the newest first."""
    stats = _summed(alarm)
    seconds = alarm["Period"] if not stats else max(stat["Period"] for stat in stats)
    for number in range(alarm["EvaluationPeriods"]):
        yield now - (number + 1) * seconds, now - number * seconds


def _embedded_metrics(record: Mapping[str, Any]) -> Iterator[tuple[Series, float, float]]:
    """The metrics in one log line, by CloudWatch's Embedded Metric Format."""
    metadata = record.get("_aws")
    if not isinstance(metadata, dict):
        return
    at = metadata.get("Timestamp", 0) / 1000
    for directive in metadata.get("CloudWatchMetrics", []):
        for names in directive.get("Dimensions", [[]]):
            dimensions = frozenset((name, str(record[name])) for name in names)
            for metric in directive.get("Metrics", []):
                series = Series(directive["Namespace"], metric["Name"], dimensions)
                values = record[metric["Name"]]
                for value in values if isinstance(values, list) else [values]:
                    yield series, at, float(value)
