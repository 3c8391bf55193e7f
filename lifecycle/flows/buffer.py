"""Waits until Prometheus proves that an instance's Fluentd is empty and quiet, then releases it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse

from lifecycle.adapters import prometheus
from lifecycle.adapters.autoscaling import AutoScaling
from lifecycle.adapters.instances import Instances
from lifecycle.adapters.queues import Queue
from lifecycle.decisions.buffer import Reason, State, Verdict, judge, unknown
from lifecycle.decisions.evidence import Rules, Series
from lifecycle.errors import NotReady
from lifecycle.events import BufferCheck
from lifecycle.flows import batch
from lifecycle.flows.batch import patience_of
from lifecycle.flows.release import Exit
from lifecycle.settings import BufferWaiterSettings, IdentifyBy
from lifecycle.telemetry import LogEvent, Metric, Telemetry


@dataclass(frozen=True, slots=True)
class BufferWaiter:
    """Everything the buffer waiter touches.

    ``querier`` builds the Prometheus client of one batch; it may raise PrometheusFailed.
    """

    settings: BufferWaiterSettings
    autoscaling: AutoScaling
    instances: Instances
    exit: Exit
    querier: Callable[[], prometheus.Querier]
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
            still_waited_for=self.exit.still_waited_for,
            queue=self.buffer_queue,
            dead_letters=self.buffer_dead_letters,
            autoscaling=self.autoscaling,
            patience=patience_of(settings),
            telemetry=self.telemetry,
            clock=self.clock,
        )
        return batch.process(event, stage)

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
        self.exit.leave(message)

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
                else patience_of(self.settings).next_check_seconds(verdict.not_before, self.clock())
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
