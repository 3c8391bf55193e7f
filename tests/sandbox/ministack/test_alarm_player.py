"""Alarms are judged as CloudWatch judges them, each on its own series."""

import json
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from sandbox.emulator import extended_aws
from sandbox.ministack.alarm_player import Alarms, Samples, Series, UnsupportedAlarmError, judge

REGION = "ap-northeast-1"
DEPTH = Series("AWS/SQS", "ApproximateNumberOfMessagesVisible", frozenset({("QueueName", "q")}))


def alarm(**settings: Any) -> dict[str, Any]:
    defaults = {
        "AlarmName": "a",
        "StateValue": "OK",
        "EvaluationPeriods": 1,
        "Threshold": 0.0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    }
    return {**defaults, **settings}


class TestJudging:
    @pytest.mark.parametrize(
        ("treatment", "state"),
        [
            ("notBreaching", "OK"),
            ("breaching", "ALARM"),
            ("missing", "INSUFFICIENT_DATA"),
            ("ignore", "ALARM"),
        ],
    )
    def test_missing_data_is_treated_as_the_alarm_says(self, treatment: str, state: str) -> None:
        ringing = alarm(StateValue="ALARM", TreatMissingData=treatment)
        assert judge(ringing, [None]) == state

    def test_as_many_periods_must_breach_as_the_alarm_says(self) -> None:
        three = alarm(EvaluationPeriods=3)
        assert judge(three, [1.0, 1.0, 0.0]) == "OK"
        assert judge(three, [1.0, 1.0, 1.0]) == "ALARM"
        assert judge({**three, "DatapointsToAlarm": 2}, [1.0, 0.0, 1.0]) == "ALARM"


class TestSamples:
    def test_only_values_of_the_window_and_the_series_count(self) -> None:
        samples = Samples()
        other = Series("AWS/SQS", DEPTH.name, frozenset({("QueueName", "other")}))
        for at, value in ((10.0, 1.0), (70.0, 2.0), (130.0, 3.0)):
            samples.add(DEPTH, at, value)
            samples.add(other, at, 9.0)
        assert samples.between(DEPTH, 10.0, 70.0) == [2.0]


class FunctionLogsStub:
    def __init__(self) -> None:
        self.written: list[dict[str, Any]] = []

    def records(self, function_name: str) -> list[dict[str, Any]]:
        return self.written


class FunctionsStub:
    def list_functions(self) -> dict[str, Any]:
        return {"Functions": [{"FunctionName": "waiter"}]}


@pytest.fixture
def watched() -> Iterator[Alarms]:
    """Alarms on moto's queues and CloudWatch, and on a function's log lines."""
    session = boto3.Session("AKIATESTTESTTESTTEST", "secret", region_name=REGION)
    with extended_aws():
        stubs: Any = (FunctionsStub(), FunctionLogsStub())
        yield Alarms(session.client("cloudwatch"), session.client("sqs"), *stubs)


def put(watched: Alarms, name: str, **settings: Any) -> None:
    defaults: Any = {
        "AlarmName": name,
        "EvaluationPeriods": 1,
        "Threshold": 0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    }
    watched.cloudwatch.put_metric_alarm(**{**defaults, **settings})


def reported(metric: str, service: str = "fluentd") -> dict[str, Any]:
    """What an alarm on a metric of the functions' own is set to."""
    return {
        "Namespace": "FluentdLifecycle",
        "MetricName": metric,
        "Dimensions": [{"Name": "service", "Value": service}],
        "Statistic": "Sum",
        "Period": 60,
    }


def write(watched: Alarms, metric: str, value: float | list[float]) -> None:
    """Let a function write a metric of its own to its log."""
    directive = {
        "Namespace": "FluentdLifecycle",
        "Dimensions": [["service"]],
        "Metrics": [{"Name": metric, "Unit": "Count"}],
    }
    metadata = {"Timestamp": time.time() * 1000 - 1000, "CloudWatchMetrics": [directive]}
    logs: Any = watched.logs
    logs.written.append({"_aws": metadata, "service": "fluentd", metric: value})


def put_on_queue(watched: Alarms, queue: str) -> str:
    put(
        watched,
        queue,
        Namespace="AWS/SQS",
        MetricName=DEPTH.name,
        Dimensions=[{"Name": "QueueName", "Value": queue}],
        Statistic="Maximum",
        Period=60,
    )
    return watched.queues.create_queue(QueueName=queue)["QueueUrl"]


def states(watched: Alarms) -> dict[str, str]:
    watched.evaluate()
    described = watched.cloudwatch.describe_alarms()["MetricAlarms"]
    return {one["AlarmName"]: one["StateValue"] for one in described}


class TestLooking:
    def test_a_full_queue_raises_its_own_alarm_only(self, watched: Alarms) -> None:
        url = put_on_queue(watched, "full")
        put_on_queue(watched, "empty")
        watched.queues.send_message(QueueUrl=url, MessageBody="stuck")
        assert states(watched) == {"full": "ALARM", "empty": "OK"}

    def test_metrics_in_log_lines_count(self, watched: Alarms) -> None:
        for name in ("fluentd", "other"):
            put(watched, name, **reported("LifecycleActionExpired", service=name))
        assert states(watched) == {"fluentd": "OK", "other": "OK"}
        logs: Any = watched.logs
        logs.written.append({"message": "no metric"})
        write(watched, "LifecycleActionExpired", [1.0, 1.0])
        assert states(watched) == {"fluentd": "ALARM", "other": "OK"}

    def test_a_second_dead_letter_is_told_though_the_first_lies_there_still(
        self, watched: Alarms, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Only a change notifies: the queue's alarm cannot tell of the second, the metric's can."""
        now = time.time()
        monkeypatch.setattr("sandbox.ministack.alarm_player.time.time", lambda: now)
        url = put_on_queue(watched, "dlq")
        put(watched, "again", **reported("CheckMessageDeadLettered"))
        seen = []
        for _ in range(2):
            watched.queues.send_message(QueueUrl=url, MessageBody="stuck")
            write(watched, "CheckMessageDeadLettered", 1.0)
            seen.append(states(watched))
            now += 120
            seen.append(states(watched))
        told = {"dlq": "ALARM", "again": "ALARM"}
        quiet = {"dlq": "ALARM", "again": "OK"}
        assert seen == [told, quiet, told, quiet]

    def test_silence_raises_no_alarm_where_schedules_stand_still_and_a_run_ends_one(
        self, watched: Alarms
    ) -> None:
        put(
            watched,
            "silent",
            **{
                **reported("InServiceInstances"),
                "Statistic": "SampleCount",
                "EvaluationPeriods": 3,
                "Threshold": 1,
                "ComparisonOperator": "LessThanThreshold",
                "TreatMissingData": "breaching",
            },
        )
        [before] = watched.cloudwatch.describe_alarms()["MetricAlarms"]
        assert states(watched) == {"silent": before["StateValue"]}
        assert before["StateValue"] != "ALARM"
        watched.cloudwatch.set_alarm_state(
            AlarmName="silent", StateValue="ALARM", StateReason="as CloudWatch would by now"
        )
        assert states(watched) == {"silent": "ALARM"}
        write(watched, "InServiceInstances", 0.0)
        assert states(watched) == {"silent": "OK"}

    def test_errors_of_any_function_add_up(self, watched: Alarms) -> None:
        def errors(function: str) -> Any:
            dimensions = [{"Name": "FunctionName", "Value": function}]
            return {"MetricName": "Errors", "Dimensions": dimensions}

        parts: Any = [{"Id": "all", "Expression": "SUM(METRICS())", "ReturnData": True}]
        for name in ("handler", "waiter"):
            metric = {"Namespace": "AWS/Lambda", **errors(name)}
            stat = {"Metric": metric, "Period": 60, "Stat": "Sum"}
            parts.append({"Id": name, "ReturnData": False, "MetricStat": stat})
        put(watched, "errors", Metrics=parts)
        assert states(watched) == {"errors": "OK"}
        watched.cloudwatch.put_metric_data(
            Namespace="AWS/Lambda", MetricData=[errors("waiter") | {"Value": 1}]
        )
        assert states(watched) == {"errors": "ALARM"}

    def test_an_expression_that_is_not_understood_is_not_passed_over(self, watched: Alarms) -> None:
        metrics: Any = json.loads('[{"Id": "a", "Expression": "MAX(METRICS())"}]')
        put(watched, "unjudged", Metrics=metrics)
        with pytest.raises(UnsupportedAlarmError, match="unjudged"):
            watched.evaluate()
