"""Waits until Prometheus proves that an instance's Fluentd is empty and quiet, then releases it."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse

from lifecycle import batch, clients, prometheus
from lifecycle.autoscaling import AutoScaling, Completion
from lifecycle.buffers import Reason, State, Verdict, judge, unknown
from lifecycle.cloud_map import CloudMap
from lifecycle.credentials import CredentialsSource
from lifecycle.errors import ConfigurationError, NotReady
from lifecycle.events import BufferCheck, OperationCheck
from lifecycle.evidence import Rules, Series
from lifecycle.instances import Instances
from lifecycle.operations import MOST_REQUESTS_AGAIN
from lifecycle.queues import Queue
from lifecycle.settings import BufferWaiterSettings, IdentifyBy, load_settings
from lifecycle.telemetry import LogEvent, Metric, PowertoolsTelemetry, Telemetry


@dataclass(frozen=True, slots=True)
class BufferWaiter:
    """Everything the buffer waiter touches.

    ``querier`` builds the Prometheus client of one batch; it may raise PrometheusFailed.
    """

    settings: BufferWaiterSettings
    autoscaling: AutoScaling
    instances: Instances
    cloud_map: CloudMap
    querier: Callable[[], prometheus.Querier]
    operation_queue: Queue
    buffer_queue: Queue
    buffer_dead_letters: Queue
    telemetry: Telemetry
    clock: Callable[[], float]

    def handle(self, event: Mapping[str, Any]) -> PartialItemFailureResponse:
        """Check every message of the SQS event; return those that must come back."""
        settings = self.settings
        stage = batch.Stage(
            autoscaling_group_name=settings.autoscaling_group_name,
            model=BufferCheck,
            begin=self._begin,
            still_waited_for=self._still_waited_for,
            queue=self.buffer_queue,
            dead_letters=self.buffer_dead_letters,
            autoscaling=self.autoscaling,
            patience=self._patience,
            telemetry=self.telemetry,
            clock=self.clock,
        )
        return batch.process(event, stage)

    @property
    def _patience(self) -> batch.Patience:
        settings = self.settings
        return batch.Patience(
            settings.poll_interval_seconds,
            settings.poll_interval_max_seconds,
            settings.timeout_seconds,
        )

    @property
    def _rules(self) -> Rules:
        settings = self.settings
        return Rules(
            empty_for_seconds=settings.empty_for_seconds,
            settle_seconds=settings.settle_seconds,
            scrape_interval_seconds=settings.prometheus_scrape_interval_seconds,
            metric_prefix=settings.prometheus_metric_prefix,
            expected_buffered_outputs=settings.prometheus_expected_buffered_outputs,
            heartbeat_plugin_id=settings.prometheus_heartbeat_plugin_id,
        )

    def _begin(self, messages: Sequence[BufferCheck]) -> Callable[[BufferCheck], None]:
        """Ask Prometheus once for the whole batch; whatever goes wrong there is UNKNOWN."""
        now = self.clock()
        try:
            labels = self._label_values({message.action.instance_id for message in messages})
            samples = self._fetch(sorted(set(labels.values())), now)
        except Exception as error:  # noqa: BLE001 (a surprise here must not crash the batch)
            reason = f"{type(error).__name__}: {error}"
            self.telemetry.error(LogEvent.PROMETHEUS_FAILED, reason=reason)
            verdict = unknown(Reason.PROMETHEUS_FAILED, reason)
            return lambda message: self._act_on(message, verdict)

        def check(message: BufferCheck) -> None:
            value = labels.get(message.action.instance_id)
            self._act_on(
                message,
                unknown(Reason.INSTANCE_NOT_IDENTIFIED, "EC2 knows no private address")
                if value is None
                else judge(
                    samples.get(value, []),
                    deregistered_at=message.deregistered_at,
                    now=now,
                    rules=self._rules,
                ),
            )

        return check

    def _label_values(self, instance_ids: set[str]) -> dict[str, str]:
        """Return, by instance id, the value that the instance's Prometheus label holds."""
        if self.settings.prometheus_identify_by is IdentifyBy.INSTANCE_ID or not instance_ids:
            return {instance_id: instance_id for instance_id in instance_ids}
        return self.instances.private_ip_addresses(sorted(instance_ids))

    def _fetch(self, values: Sequence[str], now: float) -> dict[str, list[Series]]:
        if not values:
            return {}
        selection = prometheus.Selection(
            values,
            label=self.settings.prometheus_instance_label,
            metric_prefix=self.settings.prometheus_metric_prefix,
            range_seconds=self._rules.range_seconds,
        )
        return prometheus.fetch(self.querier(), selection, now)

    def _act_on(self, message: BufferCheck, verdict: Verdict) -> None:
        """Release a drained instance; raise NotReady for any other."""
        self._log_verdict(message, verdict)
        if verdict.state is not State.DRAINED:
            raise NotReady(
                f"{verdict.state} ({verdict.reason}): {verdict.detail}",
                not_before=verdict.not_before,
            )
        if self.cloud_map.is_registered(message.action.instance_id):
            self._back_to_operation(message)
        else:
            self._release(message)

    def _log_verdict(self, message: BufferCheck, verdict: Verdict) -> None:
        self.telemetry.info(
            LogEvent.BUFFER_VERDICT,
            **message.action.log_fields(),
            verdict=verdict.state,
            reason=verdict.reason,
            detail=verdict.detail,
            buffer_bytes=verdict.buffer_bytes,
            next_check_seconds=(
                None
                if verdict.state is State.DRAINED
                else self._patience.next_check_seconds(verdict.not_before, self.clock())
            ),
        )
        if verdict.errors_rose:
            self.telemetry.warning(
                LogEvent.OUTPUT_ERRORS_ROSE,
                **message.action.log_fields(),
                errors=verdict.errors_rose,
                window_seconds=self._rules.range_seconds,
            )
            self.telemetry.measure(Metric.OUTPUT_ERRORS, verdict.errors_rose)

    def _back_to_operation(self, message: BufferCheck) -> None:
        """Somebody registered it meanwhile (a late event, a person): its proof is worth nothing.

        After too many rounds it goes back without a new request: the operation waiter then gives
        up, and a redrive from there waits anew for forwarders to let go.
        """
        action = message.action
        count = message.requested_again + 1
        self.telemetry.warning(
            LogEvent.STILL_REGISTERED, **action.log_fields(), requested_again=count
        )
        operation_id = (
            self.cloud_map.deregister(action.instance_id) if count <= MOST_REQUESTS_AGAIN else None
        )
        self.operation_queue.send(
            OperationCheck(action=action, operation_id=operation_id, requested_again=count)
        )

    def _release(self, message: BufferCheck) -> None:
        action = message.action
        completion = self.autoscaling.complete(action, "CONTINUE")
        if completion is Completion.COMPLETED:
            seconds = self.clock() - action.started_at
            self.telemetry.info(
                LogEvent.LIFECYCLE_ACTION_COMPLETED, **action.log_fields(), drain_seconds=seconds
            )
            self.telemetry.measure(Metric.LIFECYCLE_ACTION_COMPLETED)
            self.telemetry.measure(Metric.DRAIN_SECONDS, seconds)
        else:
            # It ended without us, but the proof is in hand: nothing was lost. A duplicate of this
            # message that completed first looks just like this.
            self.telemetry.info(
                LogEvent.LIFECYCLE_ACTION_ALREADY_ENDED, **action.log_fields(), ended=completion
            )

    def _still_waited_for(self, message: BufferCheck) -> bool:
        """Without an active hook and without proof: if the instance is gone, logs may be lost."""
        action = message.action
        if not self.autoscaling.has_ended(action.instance_id):
            return True
        self.telemetry.error(LogEvent.LIFECYCLE_ACTION_EXPIRED, **action.log_fields())
        self.telemetry.measure(Metric.LIFECYCLE_ACTION_EXPIRED)
        return False


def wire(environment: Mapping[str, str]) -> BufferWaiter:
    """Build the waiter from environment variables; raises ConfigurationError."""
    telemetry = PowertoolsTelemetry()
    try:
        settings = load_settings(BufferWaiterSettings, environment)
    except ConfigurationError as error:
        telemetry.error(LogEvent.CONFIGURATION_INVALID, reason=str(error))
        raise
    sqs = clients.sqs()
    credentials = CredentialsSource(settings)

    def querier() -> prometheus.Querier:
        authentication = credentials.authentication()
        return prometheus.connect(
            settings.prometheus_url,
            settings.prometheus_request_timeout_seconds,
            authentication.auth,
            authentication.headers,
        )

    return BufferWaiter(
        settings=settings,
        autoscaling=AutoScaling(clients.autoscaling()),
        instances=Instances(clients.ec2()),
        cloud_map=CloudMap(clients.servicediscovery(), settings.cloud_map_service_id),
        querier=querier,
        operation_queue=Queue(sqs, settings.operation_queue_url),
        buffer_queue=Queue(sqs, settings.buffer_queue_url),
        buffer_dead_letters=Queue(sqs, settings.buffer_dlq_url),
        telemetry=telemetry,
        clock=time.time,
    )


@cache
def _wired() -> BufferWaiter:
    return wire(os.environ)


def handler(event: dict[str, Any], context: object) -> PartialItemFailureResponse:  # noqa: ARG001 (Lambda's signature)
    """Entry point of the function ``buffer-waiter``."""
    return _wired().handle(event)
