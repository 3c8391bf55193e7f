"""Logs and metrics: a closed vocabulary, since alarms, runbook queries and the demo lean on it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit


class LogEvent(StrEnum):
    """Every value the ``message`` key of a log line can have."""

    LIFECYCLE_EVENT_RECEIVED = "lifecycle_event_received"
    LIFECYCLE_EVENT_IGNORED = "lifecycle_event_ignored"
    LIFECYCLE_EVENT_INVALID = "lifecycle_event_invalid"
    CONFIGURATION_INVALID = "configuration_invalid"
    REGISTRATION_REQUESTED = "registration_requested"
    DEREGISTRATION_REQUESTED = "deregistration_requested"
    REGISTRATION_WITHDRAWN = "registration_withdrawn"
    OPERATION_PENDING = "operation_pending"
    OPERATION_SUCCEEDED = "operation_succeeded"
    OPERATION_FAILED = "operation_failed"
    OPERATION_REQUESTED_AGAIN = "operation_requested_again"
    CHECK_MESSAGE_ENQUEUED = "check_message_enqueued"
    CHECK_MESSAGE_INVALID = "check_message_invalid"
    CHECK_MESSAGE_DEAD_LETTERED = "check_message_dead_lettered"
    CHECK_FAILED = "check_failed"
    BUFFER_VERDICT = "buffer_verdict"
    FLUSH_VERDICT = "flush_verdict"
    FLUSH_REQUESTED = "flush_requested"
    OUTPUT_ERRORS_ROSE = "output_errors_rose"
    PROMETHEUS_FAILED = "prometheus_failed"
    STILL_REGISTERED = "still_registered"
    HEARTBEAT_FAILED = "heartbeat_failed"
    VISIBILITY_CHANGE_FAILED = "visibility_change_failed"
    LIFECYCLE_ACTION_COMPLETED = "lifecycle_action_completed"
    LIFECYCLE_ACTION_ALREADY_ENDED = "lifecycle_action_already_ended"
    LIFECYCLE_ACTION_EXPIRED = "lifecycle_action_expired"
    INSTANCE_GONE = "instance_gone"
    MARK_FAILED = "mark_failed"
    RECONCILED = "reconciled"
    DISCREPANCY_FOUND = "discrepancy_found"
    CORRECTION_MADE = "correction_made"
    CORRECTION_NOT_NEEDED = "correction_not_needed"
    CORRECTION_FAILED = "correction_failed"
    INTERRUPTION_RECEIVED = "interruption_received"
    INTERRUPTION_IGNORED = "interruption_ignored"
    INTERRUPTION_INVALID = "interruption_invalid"
    INTERRUPTION_STEP_FAILED = "interruption_step_failed"
    FLUSH_NOT_REQUESTED = "flush_not_requested"
    INSTANCE_ENDED = "instance_ended"
    UNCLEAN_TERMINATION = "unclean_termination"
    LAST_AGGREGATOR_WAITS = "last_aggregator_waits"
    SHARD_CHANGED = "shard_changed"
    SHARD_OVERFLOWS = "shard_overflows"


class Metric(StrEnum):
    """Every metric, in the namespace ``FluentdLifecycle`` with the dimension ``service``."""

    LIFECYCLE_ACTION_COMPLETED = "LifecycleActionCompleted"
    LIFECYCLE_ACTION_EXPIRED = "LifecycleActionExpired"
    CHECK_MESSAGE_DEAD_LETTERED = "CheckMessageDeadLettered"
    UNCLEAN_TERMINATION = "UncleanTermination"
    OUTPUT_ERRORS = "OutputErrors"
    DRAIN_SECONDS = "DrainSeconds"
    REGISTERED_INSTANCES = "RegisteredInstances"
    IN_SERVICE_INSTANCES = "InServiceInstances"
    WAITING_INSTANCES = "WaitingInstances"
    OLDEST_WAIT_SECONDS = "OldestWaitSeconds"
    CORRECTIONS_MADE = "CorrectionsMade"
    CORRECTIONS_FAILED = "CorrectionsFailed"
    RETENTION_POLICY_MISSING = "RetentionPolicyMissing"
    SHARD_OVERFLOW = "ShardOverflow"


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
        """Log an event that somebody may have to explain later."""

    def error(
        self, event: LogEvent, exception: BaseException | None = None, /, **fields: object
    ) -> None:
        """Log an event that a person has to act on, with the traceback if there is one."""

    def measure(self, metric: Metric, value: float = 1) -> None:
        """Add one value of a metric."""

    def flush(self) -> None:
        """Hand the collected metrics over; call at the end of an invocation at the latest."""


class PowertoolsTelemetry:
    """JSON log lines and Embedded Metric Format, both on standard output.

    Service name, namespace and level come from the POWERTOOLS_* environment variables
    (docs.aws.amazon.com/powertools/python/latest/#environment-variables).
    """

    def __init__(self) -> None:
        self._logger = Logger()
        self._metrics = EphemeralMetrics()
        self._measured = False

    def info(self, event: LogEvent, **fields: object) -> None:
        """Log an event of the normal course."""
        self._logger.info(str(event), extra=_printable(fields), stacklevel=_CALLER)

    def warning(self, event: LogEvent, **fields: object) -> None:
        """Log an event that somebody may have to explain later."""
        self._logger.warning(str(event), extra=_printable(fields), stacklevel=_CALLER)

    def error(
        self, event: LogEvent, exception: BaseException | None = None, /, **fields: object
    ) -> None:
        """Log an event that a person has to act on, with the traceback if there is one."""
        self._logger.error(
            str(event), exc_info=exception, extra=_printable(fields), stacklevel=_CALLER
        )

    def measure(self, metric: Metric, value: float = 1) -> None:
        """Add one value of a metric."""
        self._metrics.add_metric(
            name=str(metric), unit=_UNITS.get(metric, MetricUnit.Count), value=value
        )
        self._measured = True

    def flush(self) -> None:
        """Print the metrics since the last time; nothing when there are none."""
        if self._measured:
            self._metrics.flush_metrics()
            self._measured = False


def _printable(fields: Mapping[str, object]) -> dict[str, object]:
    return {
        name: str(value) if isinstance(value, StrEnum) else value for name, value in fields.items()
    }
