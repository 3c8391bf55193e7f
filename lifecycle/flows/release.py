"""The end of a draining stage: on to the next one, or the release of the instance."""

from dataclasses import dataclass

from lifecycle.adapters.autoscaling import AutoScaling, Completion
from lifecycle.decisions.marks import MarkKind
from lifecycle.decisions.states import has_ended, is_in_warm_pool
from lifecycle.errors import Permanent
from lifecycle.flows.marking import Marker, report_completion
from lifecycle.flows.stage import Discovery, NextStage
from lifecycle.messages import DrainCheck, LifecycleAction, OperationCheck
from lifecycle.telemetry import LogEvent, Metric, Runtime


@dataclass(frozen=True, slots=True)
class Exit:
    """The end of a draining stage, for an instance that it has its proof for.

    ``next_stage`` is None for the last stage, ``discovery`` for a fleet without Cloud Map.
    """

    autoscaling: AutoScaling
    marker: Marker
    discovery: Discovery | None
    next_stage: NextStage | None
    runtime: Runtime

    def leave(self, message: DrainCheck) -> None:
        """Pass a proven instance on: to the next stage, or out of the group."""
        if self.discovery is not None and self.discovery.cloud_map.is_registered(
            message.action.instance_id
        ):
            self._back_to_operation(message, self.discovery)
        elif self.next_stage is not None:
            self.next_stage.enqueue(
                message.action,
                deregistered_at=message.deregistered_at,
                requested_again=message.requested_again,
            )
        else:
            self._release(message.action)

    def still_waited_for(self, message: DrainCheck) -> bool:
        """Without an active hook and without proof: if the instance is gone, logs may be lost.

        Not if its state tag says that this very wait ended with a proof: then the message is a late
        duplicate. While another hook, or a retention, keeps the instance alive, it is asked on.
        """
        action = message.action
        state = self.autoscaling.lifecycle_state(action.instance_id)
        ended = has_ended(state)
        if (ended or is_in_warm_pool(state)) and self._is_known_proven(action):
            self.runtime.telemetry.info(
                LogEvent.LIFECYCLE_ACTION_ALREADY_ENDED, **action.log_fields(), ended="proven"
            )
            return False
        if not ended:
            return True
        self.runtime.telemetry.error(LogEvent.LIFECYCLE_ACTION_EXPIRED, **action.log_fields())
        self.runtime.telemetry.measure(Metric.LIFECYCLE_ACTION_EXPIRED)
        return False

    def _is_known_proven(self, action: LifecycleAction) -> bool:
        try:
            return self.marker.was_proven(action)
        except Exception as error:  # noqa: BLE001 (an unknown state tag is no proof)
            reason = f"cannot read its mark: {error}"
            self.runtime.telemetry.warning(
                LogEvent.CHECK_FAILED, **action.log_fields(), reason=reason
            )
            return False

    def _back_to_operation(self, message: DrainCheck, discovery: Discovery) -> None:
        """Start over: it was registered again (late event or manual action), so the proof is void.

        The operation waiter asks for the deregistration, or times out after too many rounds; a
        redrive from there waits anew until forwarders stop sending. The state tag must not say
        any longer that it was proven, should a release have been tried before.
        """
        action, rounds = message.action, message.requested_again
        self.runtime.telemetry.warning(
            LogEvent.STILL_REGISTERED, **action.log_fields(), requested_again=rounds
        )
        self.marker.write(action, MarkKind.TERMINATING)
        discovery.operation_queue.send(
            OperationCheck(action=action, operation_id=None, requested_again=rounds)
        )

    def _release(self, action: LifecycleAction) -> None:
        # Tag before completing: afterwards the instance may already be gone.
        self.marker.write(action, MarkKind.PROVEN)
        try:
            completion = self.autoscaling.complete(action, "CONTINUE")
        except Permanent:
            # Retained and already alarmed: the tag stops the reconciler from restarting the drain.
            self.marker.write(action, MarkKind.RETAINED)
            raise
        seconds = self.runtime.clock() - action.started_at
        # One that ended without us was proven, too: nothing was lost. A duplicate of this message
        # that completed first looks just like this.
        report_completion(action, completion, self.runtime, drain_seconds=seconds)
        if completion is Completion.COMPLETED:
            self.runtime.telemetry.measure(Metric.DRAIN_SECONDS, seconds)
