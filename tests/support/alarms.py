"""When the alarms on the functions' metrics would have gone off, judged as CloudWatch does."""

import math
from collections.abc import Iterator
from typing import Any

from lifecycle.telemetry import Metric
from sandbox.ministack.alarm_player import STATISTICS, judge
from tests.support.recording import RecordingTelemetry

_PERIOD_SECONDS = 60
# As in terraform/alarms.tf where polls are at most ten minutes apart: one bad minute of eleven.
_ON_METRICS: dict[str, dict[str, Any]] = {
    "heartbeats-failing": {"Metric": Metric.HEARTBEATS_FAILED, "Threshold": 1, "Minutes": 11},
    "heartbeats-overdue": {"Metric": Metric.HEARTBEATS_FAILED, "Threshold": 2, "Minutes": 11},
    "check-message-dead-lettered": {"Metric": Metric.CHECK_MESSAGE_DEAD_LETTERED},
    "lifecycle-action-expired": {"Metric": Metric.LIFECYCLE_ACTION_EXPIRED},
    "unclean-termination": {"Metric": Metric.UNCLEAN_TERMINATION},
}


def first_alarms(telemetry: RecordingTelemetry, until: float) -> dict[str, float]:
    return {
        suffix: min(times)
        for suffix, settings in _ON_METRICS.items()
        if (times := list(_alarm_times(telemetry, settings, until)))
    }


def _alarm_times(
    telemetry: RecordingTelemetry, settings: dict[str, Any], until: float
) -> Iterator[float]:
    measured = [
        (at, value)
        for at, (metric, value) in zip(telemetry.times, telemetry.values, strict=True)
        if metric is settings["Metric"]
    ]
    if not measured:
        return
    minutes = settings.get("Minutes", 1)
    alarm = {
        "StateValue": "OK",
        "EvaluationPeriods": minutes,
        "DatapointsToAlarm": 1,
        "Threshold": settings.get("Threshold", 0),
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    }
    first = math.floor(measured[0][0] / _PERIOD_SECONDS)
    for minute in range(first, math.ceil(until / _PERIOD_SECONDS) + 1):
        values = [_value(measured, minute - back) for back in range(minutes)]
        if judge(alarm, values) == "ALARM":
            yield float((minute + 1) * _PERIOD_SECONDS)


def _value(measured: list[tuple[float, float]], minute: int) -> float | None:
    values = [value for at, value in measured if math.floor(at / _PERIOD_SECONDS) == minute]
    return float(STATISTICS["Maximum"](values)) if values else None
