"""Logs and metrics: the closed vocabulary that alarms, runbooks and the demo lean on."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lifecycle.messages import Transition
from lifecycle.telemetry import LogEvent, Metric, PowertoolsTelemetry, begin_invocation

ROOT = Path(__file__).parents[2]
# A name that changes here changes alarms, dashboards and queries that users have saved: say so in
# the changelog, and change the documentation with it.
_LOG_EVENTS = """
buffer_verdict check_failed check_message_dead_lettered check_message_enqueued
check_message_invalid configuration_invalid correction_failed correction_made
correction_not_needed dead_letter_failed deregistration_requested discrepancy_found
evidence_failed flush_not_requested flush_requested flush_verdict heartbeat_failed
instance_ended instance_gone instance_left_group
instance_not_provable interruption_dead_lettered interruption_ignored
interruption_invalid interruption_put_back interruption_received interruption_step_failed
last_aggregator_waits look_requested lifecycle_action_already_ended lifecycle_action_completed
lifecycle_action_expired lifecycle_event_ignored lifecycle_event_invalid
lifecycle_event_received lifecycle_state_unknown mark_failed operation_failed operation_pending
operation_requested_again operation_succeeded output_errors_rose prometheus_failed
readiness_verdict reconciled
registration_requested registration_withdrawn shard_changed shard_overflows still_registered
unclean_termination visibility_change_failed
"""
LOG_EVENTS = set(_LOG_EVENTS.split())
_METRICS = """
CapacityShort
CheckMessageDeadLettered CorrectionsFailed CorrectionsMade DrainSeconds HeartbeatsFailed
InServiceInstances InstancesLeftGroup
InstancesNotProvable LifecycleActionCompleted LifecycleActionExpired
MembershipUnknown
OldestWaitSeconds OutputErrors ReadinessUnknown RegisteredInstances RetentionPolicyMissing
ShardOverflow UncleanTermination WaitingInstances
"""
METRICS = set(_METRICS.split())


class TestVocabulary:
    def test_the_names_of_log_events_do_not_drift(self) -> None:
        assert {str(event) for event in LogEvent} == LOG_EVENTS

    def test_the_names_of_metrics_do_not_drift(self) -> None:
        assert {str(metric) for metric in Metric} == METRICS

    def test_every_log_event_that_a_document_quotes_exists(self) -> None:
        pattern = r"""message\s*=\s*\\?["']([a-z_]+)\\?["']"""
        pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
        quoted = {name for page in pages for name in re.findall(pattern, page.read_text())}
        assert quoted <= LOG_EVENTS

    def test_every_metric_is_documented(self) -> None:
        text = (ROOT / "docs" / "operating.md").read_text()
        assert {metric for metric in METRICS if f"`{metric}`" in text} == METRICS


@pytest.fixture(autouse=True)
def _environment(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "FluentdLifecycle")
    monkeypatch.setenv("POWERTOOLS_LOG_LEVEL", "INFO")


def printed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    # Not `splitlines`: U+2028 ends no line of a log.
    return [json.loads(line) for line in capsys.readouterr().out.split("\n") if line]


class TestLines:
    def test_a_line_is_one_json_object_with_the_event_as_its_message(
        self, service: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        telemetry = PowertoolsTelemetry()
        telemetry.info(
            LogEvent.BUFFER_VERDICT,
            instance_id="i-0123456789abcdef0",
            transition=Transition.TERMINATING,
            buffer_bytes=None,
            not_before=15.5,
        )
        [line] = printed(capsys)
        assert line["message"] == "buffer_verdict"
        assert (line["level"], line["service"]) == ("INFO", service)
        assert line["instance_id"] == "i-0123456789abcdef0"
        assert line["transition"] == "terminating"
        assert line["not_before"] == 15.5
        assert "buffer_bytes" not in line  # what is None is left out
        assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", line["timestamp"])

    def test_each_severity_has_its_level(self, capsys: pytest.CaptureFixture[str]) -> None:
        telemetry = PowertoolsTelemetry()
        telemetry.info(LogEvent.OPERATION_PENDING, operation_id="operation-1")
        telemetry.warning(LogEvent.HEARTBEAT_FAILED, operation_id="operation-1")
        telemetry.error(LogEvent.CHECK_FAILED, operation_id="operation-1")
        lines = printed(capsys)
        assert [line["level"] for line in lines] == ["INFO", "WARNING", "ERROR"]
        assert {line["operation_id"] for line in lines} == {"operation-1"}

    def test_lines_name_the_request_of_their_own_invocation(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        telemetry = PowertoolsTelemetry()
        for request_id in ("request-1", "request-2"):
            begin_invocation(SimpleNamespace(aws_request_id=request_id))
            telemetry.info(LogEvent.OPERATION_PENDING)
        begin_invocation(None)
        telemetry.info(LogEvent.OPERATION_PENDING)
        named = [line.get("function_request_id") for line in printed(capsys)]
        assert named == ["request-1", "request-2", None]

    def test_lines_name_the_version_of_the_module(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MODULE_VERSION", "1.2.3")
        begin_invocation(None)
        PowertoolsTelemetry().info(LogEvent.OPERATION_PENDING)
        monkeypatch.delenv("MODULE_VERSION")
        begin_invocation(None)
        PowertoolsTelemetry().info(LogEvent.OPERATION_PENDING)
        assert [line.get("module_version") for line in printed(capsys)] == ["1.2.3", None]

    def test_a_line_says_which_code_logged_it(self, capsys: pytest.CaptureFixture[str]) -> None:
        telemetry = PowertoolsTelemetry()
        telemetry.info(LogEvent.OPERATION_PENDING)
        telemetry.warning(LogEvent.HEARTBEAT_FAILED)
        telemetry.error(LogEvent.CHECK_FAILED)
        here = "test_a_line_says_which_code_logged_it"
        assert [line["location"].split(":")[0] for line in printed(capsys)] == 3 * [here]

    def test_an_error_carries_its_traceback_in_the_same_line(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        telemetry = PowertoolsTelemetry()
        try:
            raise KeyError("key")  # noqa: TRY301 (the traceback is what is tested)
        except KeyError as error:
            telemetry.error(LogEvent.CHECK_FAILED, error, reason="odd")
        [line] = printed(capsys)
        assert line["exception_name"] == "KeyError"
        assert "Traceback" in line["exception"]
        assert line["reason"] == "odd"

    def test_a_value_with_line_breaks_and_quotes_stays_in_its_line(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        telemetry = PowertoolsTelemetry()
        odd = 'a\nb "c" \u2028 \x00 {"message": "lifecycle_action_completed"}'
        telemetry.error(LogEvent.CHECK_MESSAGE_INVALID, reason=odd)
        [line] = printed(capsys)
        assert line["reason"] == odd
        assert line["message"] == "check_message_invalid"

    def test_fields_of_one_line_do_not_stick_to_the_next(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        telemetry = PowertoolsTelemetry()
        telemetry.info(LogEvent.OPERATION_PENDING, operation_id="operation-1")
        telemetry.info(LogEvent.OPERATION_PENDING)
        assert "operation_id" not in printed(capsys)[1]


class TestMetrics:
    def test_metrics_are_printed_in_embedded_metric_format(
        self, service: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        telemetry = PowertoolsTelemetry()
        telemetry.measure(Metric.LIFECYCLE_ACTION_COMPLETED)
        telemetry.measure(Metric.LIFECYCLE_ACTION_COMPLETED)
        telemetry.measure(Metric.DRAIN_SECONDS, 412.5)
        assert printed(capsys) == []
        telemetry.flush()
        [blob] = printed(capsys)
        [directive] = blob["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == "FluentdLifecycle"
        assert directive["Dimensions"] == [["service"]]
        assert {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]} == {
            "LifecycleActionCompleted": "Count",
            "DrainSeconds": "Seconds",
        }
        assert blob["service"] == service
        assert blob["LifecycleActionCompleted"] == [1.0, 1.0]
        assert blob["DrainSeconds"] == [412.5]

    def test_an_invocation_without_metrics_prints_nothing(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        telemetry = PowertoolsTelemetry()
        telemetry.flush()
        assert printed(capsys) == []

    def test_an_invocation_does_not_report_the_metrics_of_the_one_before(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        telemetry = PowertoolsTelemetry()
        telemetry.measure(Metric.LIFECYCLE_ACTION_EXPIRED)
        telemetry.flush()
        telemetry.flush()
        assert len(printed(capsys)) == 1

    def test_a_large_batch_loses_no_value(self, capsys: pytest.CaptureFixture[str]) -> None:
        telemetry = PowertoolsTelemetry()
        for _ in range(250):
            telemetry.measure(Metric.CHECK_MESSAGE_DEAD_LETTERED)
        telemetry.flush()
        assert sum(len(blob["CheckMessageDeadLettered"]) for blob in printed(capsys)) == 250
