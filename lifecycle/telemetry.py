"""Logs, metrics and time: all that a function takes from its surroundings.

The vocabulary is closed, since alarms, runbook queries and the demo depend on it.
"""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, Self

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit
from typing_extensions import override

# Keys that several events have.
_ACTION = "autoscaling_group_name lifecycle_hook_name instance_id transition"
# The same, but for the instance, where the line may be of no lifecycle action.
_OF_AN_ACTION = "autoscaling_group_name? lifecycle_hook_name? transition?"
_SIGNAL = "instance_id signal"
_CORRECTION = "autoscaling_group_name instance_id correction reason"
_RECEIVE = "message_id receive_count"


class LogEvent(StrEnum):
    """Every value the ``message`` key of a log line can have, with the keys beside it.

    ``required`` are the keys of every such line; ``optional`` ones have a question mark. Runbooks
    and saved queries depend on both, and tests hold every log line to them.
    """

    required: frozenset[str]
    optional: frozenset[str]

    def __new__(cls, name: str, keys: str) -> Self:
        """Read the keys, which are separated by blanks."""
        event = str.__new__(cls, name)
        event._value_ = name
        event.required = frozenset(one for one in keys.split() if not one.endswith("?"))
        event.optional = frozenset(one[:-1] for one in keys.split() if one.endswith("?"))
        return event

    LIFECYCLE_EVENT_RECEIVED = "lifecycle_event_received", f"{_ACTION} destination origin"
    LIFECYCLE_EVENT_IGNORED = "lifecycle_event_ignored", f"{_ACTION} reason"
    LIFECYCLE_EVENT_INVALID = "lifecycle_event_invalid", "reason"
    CONFIGURATION_INVALID = "configuration_invalid", "reason"
    REGISTRATION_REQUESTED = "registration_requested", f"{_ACTION} operation_id private_ip_address"
    DEREGISTRATION_REQUESTED = (
        "deregistration_requested",
        f"instance_id operation_id {_OF_AN_ACTION} signal?",
    )
    REGISTRATION_WITHDRAWN = (
        "registration_withdrawn",
        f"instance_id operation_id {_OF_AN_ACTION} correction? reason? state?",
    )
    OPERATION_PENDING = "operation_pending", f"{_ACTION} operation_id"
    OPERATION_SUCCEEDED = "operation_succeeded", f"{_ACTION} operation_id"
    OPERATION_FAILED = "operation_failed", f"{_ACTION} error_code error_message operation_id"
    OPERATION_REQUESTED_AGAIN = (
        "operation_requested_again",
        f"{_ACTION} operation_id requested_again",
    )
    READINESS_VERDICT = "readiness_verdict", f"{_ACTION} verdict reason detail admission"
    CHECK_MESSAGE_ENQUEUED = "check_message_enqueued", f"{_ACTION} stage"
    CHECK_MESSAGE_INVALID = "check_message_invalid", f"{_RECEIVE} reason"
    CHECK_MESSAGE_DEAD_LETTERED = (
        "check_message_dead_lettered",
        f"{_RECEIVE} reason instance_id? {_OF_AN_ACTION}",
    )
    CHECK_FAILED = "check_failed", f"{_ACTION} reason message_id? receive_count?"
    BUFFER_VERDICT = (
        "buffer_verdict",
        f"{_ACTION} buffer_bytes detail not_before reason verdict",
    )
    FLUSH_VERDICT = (
        "flush_verdict",
        f"{_ACTION} bytes chunks detail not_before reason retry_next_at set_aside verdict",
    )
    FLUSH_REQUESTED = "flush_requested", "commands"
    LOOK_REQUESTED = "look_requested", "commands"
    INSTANCE_NOT_PROVABLE = (
        "instance_not_provable",
        "autoscaling_group_name instance_id reason detail is_counted",
    )
    OUTPUT_ERRORS_ROSE = "output_errors_rose", f"{_ACTION} errors window_seconds"
    PROMETHEUS_FAILED = "prometheus_failed", "reason"
    EVIDENCE_FAILED = "evidence_failed", "reason not_asked?"
    STILL_REGISTERED = "still_registered", f"{_ACTION} requested_again"
    DEAD_LETTER_FAILED = "dead_letter_failed", f"{_RECEIVE} reason instance_id? {_OF_AN_ACTION}"
    HEARTBEAT_FAILED = (
        "heartbeat_failed",
        f"{_ACTION} {_RECEIVE} answer outcome failing_since? kept_until?",
    )
    VISIBILITY_CHANGE_FAILED = "visibility_change_failed", f"{_ACTION} {_RECEIVE} reason"
    LIFECYCLE_ACTION_COMPLETED = "lifecycle_action_completed", f"{_ACTION} drain_seconds?"
    LIFECYCLE_ACTION_ALREADY_ENDED = "lifecycle_action_already_ended", f"{_ACTION} ended"
    LIFECYCLE_ACTION_EXPIRED = "lifecycle_action_expired", _ACTION
    INSTANCE_GONE = "instance_gone", f"{_ACTION} reason"
    MARK_FAILED = "mark_failed", f"instance_id mark reason {_OF_AN_ACTION} signal?"
    RECONCILED = (
        "reconciled",
        (
            "autoscaling_group_name mode registered in_service capacity_short waiting "
            "discrepancies corrections failures retains_on_abandon"
        ),
    )
    LIFECYCLE_STATE_UNKNOWN = (
        "lifecycle_state_unknown",
        "autoscaling_group_name instance_id state kept_by",
    )
    INSTANCE_LEFT_GROUP = (
        "instance_left_group",
        "autoscaling_group_name instance_id ownership state is_registered mark",
    )
    DISCREPANCY_FOUND = "discrepancy_found", _CORRECTION
    CORRECTION_MADE = "correction_made", f"{_CORRECTION} lifecycle_hook_name? operation_id?"
    CORRECTION_NOT_NEEDED = "correction_not_needed", f"{_CORRECTION} because"
    CORRECTION_FAILED = "correction_failed", _CORRECTION
    INTERRUPTION_RECEIVED = "interruption_received", _SIGNAL
    INTERRUPTION_IGNORED = "interruption_ignored", f"{_SIGNAL} reason"
    INTERRUPTION_INVALID = "interruption_invalid", "reason"
    INTERRUPTION_STEP_FAILED = "interruption_step_failed", f"{_SIGNAL} reason step"
    INTERRUPTION_PUT_BACK = "interruption_put_back", "instance_id? signal? reason receive_count"
    INTERRUPTION_DEAD_LETTERED = (
        "interruption_dead_lettered",
        "instance_id? signal? reason receive_count",
    )
    FLUSH_NOT_REQUESTED = "flush_not_requested", f"{_SIGNAL} reason"
    INSTANCE_ENDED = "instance_ended", f"{_SIGNAL} mark reason"
    UNCLEAN_TERMINATION = "unclean_termination", f"{_SIGNAL} autoscaling_group_name mark reason"
    LAST_AGGREGATOR_WAITS = (
        "last_aggregator_waits",
        f"instance_id service_ids {_OF_AN_ACTION} correction? reason? signal?",
    )
    SHARD_CHANGED = "shard_changed", "instance_id operation_id service_id step"
    SHARD_OVERFLOWS = "shard_overflows", "sizes"


class Metric(StrEnum):
    """Every metric, in the namespace ``FluentdLifecycle`` with the dimension ``service``."""

    LIFECYCLE_ACTION_COMPLETED = "LifecycleActionCompleted"
    LIFECYCLE_ACTION_EXPIRED = "LifecycleActionExpired"
    CHECK_MESSAGE_DEAD_LETTERED = "CheckMessageDeadLettered"
    HEARTBEATS_FAILED = "HeartbeatsFailed"
    UNCLEAN_TERMINATION = "UncleanTermination"
    MEMBERSHIP_UNKNOWN = "MembershipUnknown"
    OUTPUT_ERRORS = "OutputErrors"
    DRAIN_SECONDS = "DrainSeconds"
    REGISTERED_INSTANCES = "RegisteredInstances"
    IN_SERVICE_INSTANCES = "InServiceInstances"
    CAPACITY_SHORT = "CapacityShort"
    WAITING_INSTANCES = "WaitingInstances"
    OLDEST_WAIT_SECONDS = "OldestWaitSeconds"
    CORRECTIONS_MADE = "CorrectionsMade"
    CORRECTIONS_FAILED = "CorrectionsFailed"
    RETENTION_POLICY_MISSING = "RetentionPolicyMissing"
    INSTANCES_LEFT_GROUP = "InstancesLeftGroup"
    SHARD_OVERFLOW = "ShardOverflow"
    READINESS_UNKNOWN = "ReadinessUnknown"
    INSTANCES_NOT_PROVABLE = "InstancesNotProvable"


# The code that logs is one call above the methods of PowertoolsTelemetry.
_CALLER = 3
_UNITS = {
    Metric.DRAIN_SECONDS: MetricUnit.Seconds,
    Metric.OLDEST_WAIT_SECONDS: MetricUnit.Seconds,
}


class Telemetry(Protocol):
    """Where events and metrics go; tests record them, functions print them."""

    def info(self, event: LogEvent, **fields: object) -> None:
        """Log an event of the normal course."""

    def warning(self, event: LogEvent, **fields: object) -> None:
        """Log an event that an operator may have to explain later."""

    def error(
        self, event: LogEvent, exception: BaseException | None = None, /, **fields: object
    ) -> None:
        """Log an event that an operator has to act on, with the traceback if there is one."""

    def measure(self, metric: Metric, value: float = 1) -> None:
        """Add one value of a metric."""

    def flush(self) -> None:
        """Print the metrics since the last call; call it at the end of an invocation at latest."""


class PowertoolsTelemetry(Telemetry):
    """JSON log lines and Embedded Metric Format, both on standard output.

    Service name, namespace and level come from the POWERTOOLS_* environment variables
    (docs.aws.amazon.com/powertools/python/latest/#environment-variables).
    """

    def __init__(self) -> None:
        self._logger = Logger()
        self._metrics = EphemeralMetrics()
        self._measured = False

    @override
    def info(self, event: LogEvent, **fields: object) -> None:
        self._logger.info(str(event), extra=_printable(fields), stacklevel=_CALLER)

    @override
    def warning(self, event: LogEvent, **fields: object) -> None:
        self._logger.warning(str(event), extra=_printable(fields), stacklevel=_CALLER)

    @override
    def error(
        self, event: LogEvent, exception: BaseException | None = None, /, **fields: object
    ) -> None:
        self._logger.error(
            str(event), exc_info=exception, extra=_printable(fields), stacklevel=_CALLER
        )

    @override
    def measure(self, metric: Metric, value: float = 1) -> None:
        self._metrics.add_metric(
            name=str(metric), unit=_UNITS.get(metric, MetricUnit.Count), value=value
        )
        self._measured = True

    @override
    def flush(self) -> None:
        if self._measured:
            self._metrics.flush_metrics()
            self._measured = False


@dataclass(frozen=True, slots=True)
class Runtime:
    """What a function takes from its surroundings: telemetry, the time, and how to wait.

    ``clock`` returns epoch seconds; ``sleep`` takes seconds. Tests replace all three here.
    """

    telemetry: Telemetry
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep


def begin_invocation(context: object) -> None:
    """Put Lambda's request id and the module's version into every line of this invocation.

    `function_request_id` leads to Lambda's own lines (START, REPORT, a time-out), which name it,
    too.
    """
    Logger().append_keys(
        function_request_id=getattr(context, "aws_request_id", None),
        module_version=os.environ.get("MODULE_VERSION"),
    )


def on_lambda() -> Runtime:
    """Return the runtime of a deployed function."""
    return Runtime(PowertoolsTelemetry())


def _printable(fields: Mapping[str, object]) -> dict[str, object]:
    return {
        name: str(value) if isinstance(value, StrEnum) else value for name, value in fields.items()
    }
