"""How an instance that a hook holds gets into the pipeline."""

from dataclasses import dataclass

from lifecycle.adapters.autoscaling import AutoScaling, Completion
from lifecycle.adapters.instances import Instances, address_of
from lifecycle.decisions.marks import MarkKind
from lifecycle.decisions.states import (
    has_ended,
    is_in_warm_pool,
    is_leaving,
    is_leaving_warm_pool,
    launches_again,
    may_serve,
    require_known,
)
from lifecycle.errors import UnexpectedState
from lifecycle.flows.marking import Marker, report_completion, report_expired
from lifecycle.flows.stage import Discovery, NextStage
from lifecycle.messages import LifecycleAction
from lifecycle.settings import ReadinessBy
from lifecycle.telemetry import LogEvent, Runtime


@dataclass(frozen=True, slots=True)
class Entrance:
    """Registers or deregisters, and enqueues the first check message.

    Starting twice for one wait is safe: the stages and the completion are idempotent. ``start`` is
    where a terminating instance goes first: out of service discovery, or, for a fleet that is not
    in Cloud Map, into the first draining stage.
    """

    autoscaling: AutoScaling
    instances: Instances
    marker: Marker
    start: Discovery | NextStage
    runtime: Runtime
    readiness: ReadinessBy = ReadinessBy.OFF

    @property
    def discovery(self) -> Discovery | None:
        """The fleet's service discovery, None for a fleet that is not in Cloud Map."""
        return self.start if isinstance(self.start, Discovery) else None

    def launch(self, action: LifecycleAction) -> None:
        """Register a launching instance; one that is not on its way into service is left alone.

        Raises UnexpectedState for an instance that EC2 does not know (yet), and what AWS raises.
        """
        discovery = self.discovery
        if discovery is None:
            return
        member = self.autoscaling.membership(action.instance_id)
        state = member.state_in(action.autoscaling_group_name) if member else None
        require_known(action.instance_id, state)
        if not may_serve(state):
            if launches_again(state):
                raise UnexpectedState(f"{action.instance_id} is {state}: its launch comes next")
            # A late event: registering now would send logs to an instance that is terminating.
            self.ignore(action, f"the instance is {state or 'gone'}")
            return
        instance = self.instances.find(action.instance_id)
        address = None if instance is None else address_of(instance)
        if instance is None or address is None:
            raise UnexpectedState(
                f"{action.instance_id} is {state}, but EC2 does not know it (yet)"
            )
        if instance.served_unproven_before(action.started_at):
            # Its root volume was replaced although nothing proved that it held no log.
            report_expired(action, self.runtime)
            self.runtime.telemetry.flush()
        # Where readiness is asked for, the operation waiter registers it once it is ready.
        is_asked = self.readiness is not ReadinessBy.OFF
        self._enqueue(discovery, action, None if is_asked else discovery.register(action, address))
        self.marker.write(action, MarkKind.LAUNCHING)

    def terminate(self, action: LifecycleAction) -> None:
        """Take a terminating instance out of service discovery and begin to drain it.

        An instance that was proven empty and has been stopped in the warm pool since is released at
        once. Raises UnexpectedState for an instance that is not terminating, and what AWS raises.
        """
        state = self.autoscaling.lifecycle_state(action.instance_id)
        require_known(action.instance_id, state)
        is_over = has_ended(state) or is_in_warm_pool(state)
        end = self.marker.known_end(action, state) if is_over else None
        if end is not None:
            self.ignore(action, f"it has ended ({end}), and the instance is {state or 'gone'}")
            return
        if not is_leaving(state):
            # A duplicate of an earlier life, or a state that has not propagated yet.
            # Never deregister a working instance, never drop a drain: ask again.
            raise UnexpectedState(f"{action.instance_id} is {state}, not terminating")
        if is_leaving_warm_pool(state) and self._is_stopped_and_proven(action.instance_id):
            self._complete(action)
            return
        if isinstance(self.start, Discovery):
            self._deregister(action, self.start)
        else:
            self.start.enqueue(action, deregistered_at=self.runtime.clock())
        self.marker.write(action, MarkKind.TERMINATING)

    def enter_warm_pool(self, action: LifecycleAction) -> None:
        """Let a launching instance into the warm pool, unregistered until it leaves that to serve.

        The state tag says that it never served. It is written after the completion: a late
        duplicate, which completes nothing, must not write it on an instance that has served since.
        """
        if self._complete(action) is Completion.COMPLETED:
            self.marker.write(action, MarkKind.POOLED)

    def ignore(self, action: LifecycleAction, reason: str) -> None:
        """Log that nothing is done about a lifecycle action, and why."""
        self.runtime.telemetry.info(
            LogEvent.LIFECYCLE_EVENT_IGNORED, **action.log_fields(), reason=reason
        )

    def _deregister(self, action: LifecycleAction, discovery: Discovery) -> None:
        if not discovery.placement.may_leave(action.instance_id, action.log_fields()):
            # The operation waiter asks once there is a successor.
            self._enqueue(discovery, action, None)
            return
        operation_id = discovery.cloud_map.deregister(action.instance_id)
        self.runtime.telemetry.info(
            LogEvent.DEREGISTRATION_REQUESTED, **action.log_fields(), operation_id=operation_id
        )
        self._enqueue(discovery, action, operation_id)

    def _enqueue(
        self, discovery: Discovery, action: LifecycleAction, operation_id: str | None
    ) -> None:
        discovery.enqueue(action, operation_id)
        self.runtime.telemetry.info(
            LogEvent.CHECK_MESSAGE_ENQUEUED, **action.log_fields(), stage="operation"
        )

    def _complete(self, action: LifecycleAction) -> Completion:
        completion = self.autoscaling.complete(action)
        report_completion(action, completion, self.runtime)
        if completion is Completion.COMPLETED:
            self.runtime.telemetry.flush()
        return completion

    def _is_stopped_and_proven(self, instance_id: str) -> bool:
        instance = self.instances.find(instance_id)
        if instance is None or not instance.stopped_since_its_proof:
            return False
        return self.discovery is None or not self.discovery.cloud_map.is_registered(instance_id)
