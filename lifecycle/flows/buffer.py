"""Waits until Prometheus proves that an instance's Fluentd is empty and quiet, then releases it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lifecycle.adapters.instances import Instances
from lifecycle.decisions.buffer import Reason, State, Verdict, unknown
from lifecycle.errors import NotReady, Permanent
from lifecycle.flows.proof import Proof
from lifecycle.flows.release import Exit
from lifecycle.messages import BufferCheck
from lifecycle.telemetry import LogEvent, Metric, Runtime


@dataclass(frozen=True, slots=True)
class BufferWaiter:
    """Everything the buffer waiter touches."""

    instances: Instances
    exit: Exit
    proof: Proof
    runtime: Runtime

    def begin(self, messages: Sequence[BufferCheck]) -> Callable[[BufferCheck], None]:
        """Ask once for the whole batch; whatever goes wrong with that is UNKNOWN."""
        deregistered_at: dict[str, float] = {}
        for message in messages:  # two of one instance: the later time proves less
            known = deregistered_at.get(message.action.instance_id, 0.0)
            deregistered_at[message.action.instance_id] = max(known, message.deregistered_at)
        verdicts = self.proof.ask(deregistered_at)
        return lambda message: self._act_on(message, verdicts[message.action.instance_id])

    def still_waited_for(self, message: BufferCheck) -> bool:
        """Tell whether to keep asking without an active hook, as ``Exit`` does."""
        return self.exit.still_waited_for(message)

    def _act_on(self, message: BufferCheck, verdict: Verdict) -> None:
        """Release a drained instance; raise NotReady for any other."""
        verdict = self._with_memory(message, verdict)
        self._log_verdict(message, verdict)
        if verdict.state is not State.DRAINED:
            raise NotReady(
                f"{verdict.state} ({verdict.reason}): {verdict.detail}",
                not_before=verdict.not_before,
            )
        self.exit.leave(message)

    def _with_memory(self, message: BufferCheck, verdict: Verdict) -> Verdict:
        """Remember a queue that may have been cleared; its samples leave the window.

        Raises Permanent if it cannot be remembered: a later window would prove the instance empty.
        """
        instance_id = message.action.instance_id
        if verdict.reason is Reason.QUEUE_CLEARED:
            try:
                self.instances.mark_queue_cleared(instance_id, self.runtime.clock())
            except Exception as error:
                reason = f"{type(error).__name__}: {error}"
                self.runtime.telemetry.warning(
                    LogEvent.MARK_FAILED,
                    **message.action.log_fields(),
                    mark="queue_cleared",
                    reason=reason,
                )
                raise Permanent(
                    f"{verdict.state} ({verdict.reason}): {verdict.detail}; "
                    f"the tag that remembers it cannot be written: {reason}"
                ) from error
        if verdict.state is not State.DRAINED:
            return verdict
        instance = self.instances.find(instance_id)
        if instance is None:
            return unknown(Reason.INSTANCE_NOT_IDENTIFIED, "EC2 does not know it, nor its tags")
        if not instance.may_hold_what_was_cleared:
            return verdict
        return unknown(
            Reason.QUEUE_CLEARED,
            f"a queue may have been cleared, seen at {instance.queue_cleared}: a chunk may still "
            "be in flight, which no metric shows",
        )

    def _log_verdict(self, message: BufferCheck, verdict: Verdict) -> None:
        self.runtime.telemetry.info(
            LogEvent.BUFFER_VERDICT,
            **message.action.log_fields(),
            verdict=verdict.state,
            reason=verdict.reason,
            detail=verdict.detail,
            buffer_bytes=verdict.buffer_bytes,
            not_before=verdict.not_before,
        )
        if verdict.errors_rose:
            self.runtime.telemetry.warning(
                LogEvent.OUTPUT_ERRORS_ROSE,
                **message.action.log_fields(),
                errors=verdict.errors_rose,
                window_seconds=self.proof.rules.range_seconds,
            )
            self.runtime.telemetry.measure(Metric.OUTPUT_ERRORS, verdict.errors_rose)
