"""Waits until Prometheus proves that an instance's Fluentd is empty and quiet, then releases it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lifecycle.adapters.evidence import EvidenceFunction
from lifecycle.adapters.instances import Instances
from lifecycle.decisions.answers import Question, Subject
from lifecycle.decisions.buffer import Reason, State, Verdict, unknown
from lifecycle.decisions.evidence import Rules
from lifecycle.decisions.polling import PollPolicy
from lifecycle.errors import NotReady
from lifecycle.flows.release import Exit
from lifecycle.messages import BufferCheck
from lifecycle.settings import BufferWaiterSettings, IdentifyBy
from lifecycle.telemetry import LogEvent, Metric, Runtime


@dataclass(frozen=True, slots=True)
class BufferWaiter:
    """Everything the buffer waiter touches."""

    settings: BufferWaiterSettings
    instances: Instances
    exit: Exit
    evidence: EvidenceFunction
    polls: PollPolicy
    runtime: Runtime

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

    def begin(self, messages: Sequence[BufferCheck]) -> Callable[[BufferCheck], None]:
        """Ask once for the whole batch; whatever goes wrong with that is UNKNOWN."""
        deregistered_at: dict[str, float] = {}
        for message in messages:  # two of one instance: the later time proves less
            known = deregistered_at.get(message.action.instance_id, 0.0)
            deregistered_at[message.action.instance_id] = max(known, message.deregistered_at)
        try:
            verdicts = self._ask(deregistered_at)
        except Exception as error:  # noqa: BLE001 (one failure must not crash the batch)
            reason = f"{type(error).__name__}: {error}"
            self.runtime.telemetry.error(LogEvent.EVIDENCE_FAILED, reason=reason)
            failed = unknown(Reason.EVIDENCE_FAILED, reason)
            verdicts = dict.fromkeys(deregistered_at, failed)
        gone = unknown(Reason.INSTANCE_NOT_IDENTIFIED, "EC2 knows no private address")
        return lambda message: self._act_on(message, verdicts.get(message.action.instance_id, gone))

    def still_waited_for(self, message: BufferCheck) -> bool:
        """Tell whether to keep asking without an active hook, as ``Exit`` does."""
        return self.exit.still_waited_for(message)

    def _ask(self, deregistered_at: Mapping[str, float]) -> Mapping[str, Verdict]:
        """Return the verdict for each instance that has a label value."""
        subjects = {
            instance_id: Subject(label_value=value, deregistered_at=deregistered_at[instance_id])
            for instance_id, value in self._label_values(deregistered_at).items()
        }
        if not subjects:
            return {}
        label = self.settings.prometheus_instance_label
        return self.evidence.ask(
            Question(version=1, instances=subjects, instance_label=label, rules=self._rules)
        )

    def _label_values(self, instance_ids: Mapping[str, float]) -> dict[str, str]:
        """Return, by instance id, the value that the instance's Prometheus label holds."""
        if self.settings.prometheus_identify_by is IdentifyBy.INSTANCE_ID or not instance_ids:
            return {instance_id: instance_id for instance_id in instance_ids}
        described = self.instances.describe(sorted(instance_ids))
        return {one.id: one.address.private_ip_address for one in described.values() if one.address}

    def _act_on(self, message: BufferCheck, verdict: Verdict) -> None:
        """Release a drained instance; raise NotReady for any other."""
        is_drained = verdict.state is State.DRAINED
        pause_seconds = (
            None
            if is_drained
            else self.polls.pause_seconds(verdict.not_before, self.runtime.clock())
        )
        self._log_verdict(message, verdict, pause_seconds)
        if not is_drained:
            raise NotReady(
                f"{verdict.state} ({verdict.reason}): {verdict.detail}",
                pause_seconds=pause_seconds,
            )
        self.exit.leave(message)

    def _log_verdict(
        self, message: BufferCheck, verdict: Verdict, pause_seconds: float | None
    ) -> None:
        self.runtime.telemetry.info(
            LogEvent.BUFFER_VERDICT,
            **message.action.log_fields(),
            verdict=verdict.state,
            reason=verdict.reason,
            detail=verdict.detail,
            buffer_bytes=verdict.buffer_bytes,
            next_check_seconds=pause_seconds,
        )
        if verdict.errors_rose:
            self.runtime.telemetry.warning(
                LogEvent.OUTPUT_ERRORS_ROSE,
                **message.action.log_fields(),
                errors=verdict.errors_rose,
                window_seconds=self._rules.range_seconds,
            )
            self.runtime.telemetry.measure(Metric.OUTPUT_ERRORS, verdict.errors_rose)
