"""What the draining stages share: the way into the next one, and the way out."""

from collections.abc import Callable
from dataclasses import dataclass

from lifecycle.adapters.autoscaling import AutoScaling, Completion
from lifecycle.adapters.cloud_map import CloudMap
from lifecycle.adapters.instances import Instances, mark_instance
from lifecycle.adapters.queues import Queue
from lifecycle.decisions.marks import Mark, MarkKind
from lifecycle.decisions.states import has_ended, is_in_warm_pool
from lifecycle.errors import Permanent
from lifecycle.events import BufferCheck, DrainCheck, FlushCheck, LifecycleAction, OperationCheck
from lifecycle.telemetry import LogEvent, Metric, Telemetry


@dataclass(frozen=True, slots=True)
class NextStage:
    """A draining stage, as the one before it sees it."""

    model: type[FlushCheck] | type[BufferCheck]
    queue: Queue
    telemetry: Telemetry

    def enqueue(
        self, action: LifecycleAction, *, deregistered_at: float, requested_again: int = 0
    ) -> None:
        """Hand an instance to this stage."""
        message = self.model(
            action=action, deregistered_at=deregistered_at, requested_again=requested_again
        )
        self.queue.send(message)
        self.telemetry.info(
            LogEvent.CHECK_MESSAGE_ENQUEUED, **action.log_fields(), stage=message.stage
        )


@dataclass(frozen=True, slots=True)
class Registration:
    """Service discovery, for a fleet that is in one."""

    cloud_map: CloudMap
    operation_queue: Queue


@dataclass(frozen=True, slots=True)
class Exit:
    """The way out of a draining stage, for an instance that it has its proof for.

    ``next_stage`` is None for the last stage, ``registration`` for a fleet without Cloud Map.
    """

    autoscaling: AutoScaling
    instances: Instances
    registration: Registration | None
    next_stage: NextStage | None
    telemetry: Telemetry
    clock: Callable[[], float]

    def leave(self, message: DrainCheck) -> None:
        """Pass a proven instance on: to the next stage, or out of the group."""
        if self.registration is not None and self.registration.cloud_map.is_registered(
            message.action.instance_id
        ):
            self._back_to_operation(message, self.registration)
        elif self.next_stage is not None:
            self.next_stage.enqueue(
                message.action,
                deregistered_at=message.deregistered_at,
                requested_again=message.requested_again,
            )
        else:
            self._release(message)

    def still_waited_for(self, message: DrainCheck) -> bool:
        """Without an active hook and without proof: if the instance is gone, logs may be lost.

        Not if its mark says that this very wait ended with a proof: then the message is a late
        duplicate. While another hook, or a retention, keeps the instance alive, it is asked on.
        """
        action = message.action
        state = self.autoscaling.lifecycle_state(action.instance_id)
        ended = has_ended(state)
        if (ended or is_in_warm_pool(state)) and self._was_proven(action):
            self.telemetry.info(
                LogEvent.LIFECYCLE_ACTION_ALREADY_ENDED, **action.log_fields(), ended="proven"
            )
            return False
        if not ended:
            return True
        self.telemetry.error(LogEvent.LIFECYCLE_ACTION_EXPIRED, **action.log_fields())
        self.telemetry.measure(Metric.LIFECYCLE_ACTION_EXPIRED)
        return False

    def _was_proven(self, action: LifecycleAction) -> bool:
        try:
            instance = self.instances.describe([action.instance_id]).get(action.instance_id)
        except Exception as error:  # noqa: BLE001 (an unknown mark is no proof)
            reason = f"cannot read its mark: {error}"
            self.telemetry.warning(LogEvent.CHECK_FAILED, **action.log_fields(), reason=reason)
            return False
        return instance is not None and instance.is_proven_since(action.started_at)

    def _back_to_operation(self, message: DrainCheck, registration: Registration) -> None:
        """Somebody registered it meanwhile (a late event, a person): its proof is worth nothing.

        The operation waiter asks for the deregistration, or gives up after too many rounds; a
        redrive from there waits anew for forwarders to let go. Nor may its mark say any longer that
        it was proven, should a release have been tried before.
        """
        action, rounds = message.action, message.requested_again
        self.telemetry.warning(
            LogEvent.STILL_REGISTERED, **action.log_fields(), requested_again=rounds
        )
        mark = Mark(MarkKind.TERMINATING, self.clock())
        mark_instance(self.instances, action, mark, self.telemetry)
        registration.operation_queue.send(
            OperationCheck(action=action, operation_id=None, requested_again=rounds)
        )

    def _release(self, message: DrainCheck) -> None:
        action = message.action
        # Before the completion: a moment after it the instance may be gone, mark and all.
        mark = Mark(MarkKind.PROVEN, self.clock())
        mark_instance(self.instances, action, mark, self.telemetry)
        try:
            completion = self.autoscaling.complete(action, "CONTINUE")
        except Permanent:
            # Retained, and told to a person: the reconciler shall not start all over again.
            mark = Mark(MarkKind.RETAINED, self.clock())
            mark_instance(self.instances, action, mark, self.telemetry)
            raise
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
