"""The end of a draining stage: on to the next one, or the release of the instance."""

from dataclasses import dataclass

from lifecycle.adapters.autoscaling import AutoScaling, Completion
from lifecycle.decisions.marks import MarkKind
from lifecycle.decisions.states import (
    has_ended,
    has_left,
    is_in_warm_pool,
    is_root_volume_held,
    require_known,
)
from lifecycle.errors import NotReady, Permanent
from lifecycle.flows.marking import Marker, report_completion
from lifecycle.flows.stage import Discovery, NextStage
from lifecycle.messages import DrainCheck, LifecycleAction
from lifecycle.telemetry import LogEvent, Metric, Runtime

# A termination is tagged after its first message is sent: a little after the deregistration, too.
_TAG_DELAY_SECONDS = 60


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
        """Pass a proven instance on: to the next stage, or out of the group.

        Raises NotReady for one that lives on: the proof may be of the life after its termination.
        """
        state = self.autoscaling.lifecycle_state(message.action.instance_id)
        require_known(message.action.instance_id, state)
        if has_ended(state) and not has_left(state):
            raise NotReady(f"it is {state}: the proof may be of the life after its termination")
        if self.discovery is not None and self._must_start_over(message, self.discovery):
            self._back_to_operation(message, self.discovery)
        elif self.next_stage is not None:
            self.next_stage.enqueue(
                message.action,
                deregistered_at=message.deregistered_at,
                requested_again=message.requested_again,
            )
        else:
            self._release(message.action, state)

    def still_waited_for(self, message: DrainCheck) -> bool:
        """Without an active hook and without proof: if the instance is gone, logs may be lost.

        Not if its state tag says that this very wait ended with a proof: then the message is a late
        duplicate. While another hook, or a retention, keeps the instance alive, it is asked on.
        """
        action = message.action
        state = self.autoscaling.lifecycle_state(action.instance_id)
        is_over = is_in_warm_pool(state) and self.marker.known_end(action, state) is not None
        if is_over or has_ended(state):
            self.marker.report_end(action, state)
            return False
        return True

    def _must_start_over(self, message: DrainCheck, discovery: Discovery) -> bool:
        """Tell whether the proof is void: forwarders may know the instance, or knew it since.

        A message without a token can be of an earlier termination of an instance that lives on.
        """
        action = message.action
        if discovery.cloud_map.is_registered(action.instance_id):
            return True
        if action.lifecycle_action_token is not None:
            return False
        return self.marker.has_begun_since(action, message.deregistered_at + _TAG_DELAY_SECONDS)

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
        discovery.enqueue(action, None, requested_again=rounds)

    def _release(self, action: LifecycleAction, state: str | None) -> None:
        # Tag before completing: afterwards the instance may already be gone. The proof of one that
        # lives on must not count for its next termination.
        lives_on = is_root_volume_held(state)
        self.marker.write(action, MarkKind.REPLACED if lives_on else MarkKind.PROVEN)
        try:
            completion = self.autoscaling.complete(action)
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
