"""How an instance that a hook holds gets into the pipeline."""

from collections.abc import Callable
from dataclasses import dataclass

from lifecycle.adapters.autoscaling import AutoScaling, Completion
from lifecycle.adapters.instances import Instances, mark_instance
from lifecycle.decisions.instance import Instance
from lifecycle.decisions.marks import Mark, MarkKind
from lifecycle.decisions.states import (
    has_ended,
    is_in_warm_pool,
    is_leaving,
    is_leaving_warm_pool,
    may_serve,
)
from lifecycle.errors import Surprise
from lifecycle.events import LifecycleAction, OperationCheck
from lifecycle.flows.placement import look, services_that_need
from lifecycle.flows.release import NextStage, Registration
from lifecycle.telemetry import LogEvent, Metric, Telemetry


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Registers or deregisters, and enqueues the first check message.

    Starting it twice for one wait is safe: the stages and the completion are idempotent.
    ``start`` is where a terminating instance goes first: out of service discovery, or, for a fleet
    that is in none, into the first draining stage. ``port`` is where instances listen, None for
    such a fleet. With ``allow_empty_service`` the last aggregator does not wait for a successor.
    """

    autoscaling: AutoScaling
    instances: Instances
    start: Registration | NextStage
    port: int | None
    telemetry: Telemetry
    clock: Callable[[], float]
    allow_empty_service: bool = False

    def launch(self, action: LifecycleAction) -> None:
        """Register a launching instance; one that is not on its way into service is left alone.

        Raises Surprise for an instance that EC2 does not know (yet), and whatever AWS raises.
        """
        if not isinstance(self.start, Registration):
            return
        state = self.autoscaling.lifecycle_state(action.instance_id)
        if not may_serve(state):
            # A late event: registering now would send logs to an instance that is on its way out.
            self.ignore(action, f"the instance is {state or 'gone'}")
            return
        address = self.instances.address(action.instance_id)
        if address is None:
            raise Surprise(f"{action.instance_id} is {state}, but EC2 does not know it (yet)")
        assert self.port is not None  # settings see to it for a fleet in Cloud Map
        operation_id = self.start.cloud_map.register(
            action.instance_id, address, self.port, creator_request_id=action.request_id
        )
        self.telemetry.info(
            LogEvent.REGISTRATION_REQUESTED,
            **action.log_fields(),
            operation_id=operation_id,
            private_ip_address=address.private_ip_address,
        )
        self._enqueue(self.start, action, operation_id)
        self._mark(action, MarkKind.LAUNCHING)

    def terminate(self, action: LifecycleAction) -> None:
        """Take a terminating instance out of service discovery and begin to drain it.

        One that rests in the warm pool since it held nothing is let go at once: it can answer
        nobody, and need not. Raises Surprise for an instance that is not on its way out, and
        whatever AWS raises.
        """
        state = self.autoscaling.lifecycle_state(action.instance_id)
        if (has_ended(state) or is_in_warm_pool(state)) and self._was_proven(action):
            self.ignore(action, f"it was proven empty, and is {state or 'gone'}")
            return
        if not is_leaving(state):
            # A duplicate of an earlier life in a warm pool, or a state that has not propagated
            # yet. Never deregister a working instance, never drop a drain: ask again.
            raise Surprise(f"{action.instance_id} is {state}, not terminating")
        if is_leaving_warm_pool(state) and self._rests_proven(action.instance_id):
            self._let_go(action)
            return
        if isinstance(self.start, Registration):
            self._deregister(action, self.start)
        else:
            self.start.enqueue(action, deregistered_at=self.clock())
        self._mark(action, MarkKind.TERMINATING)

    def enter_warm_pool(self, action: LifecycleAction) -> None:
        """Let a launching instance into the warm pool, unregistered until it leaves that to serve.

        The mark says that it never served. It comes after the completion: a late duplicate, which
        completes nothing, must not write it on an instance that has served since.
        """
        if self._let_go(action) is Completion.COMPLETED:
            self._mark(action, MarkKind.POOLED)

    def ignore(self, action: LifecycleAction, reason: str) -> None:
        """Log that nothing is done about a lifecycle action, and why."""
        self.telemetry.info(LogEvent.LIFECYCLE_EVENT_IGNORED, **action.log_fields(), reason=reason)

    def _deregister(self, action: LifecycleAction, registration: Registration) -> None:
        if self._is_the_last(action, registration):
            # The waiter asks once there is a successor.
            self._enqueue(registration, action, None)
            return
        operation_id = registration.cloud_map.deregister(action.instance_id)
        self.telemetry.info(
            LogEvent.DEREGISTRATION_REQUESTED, **action.log_fields(), operation_id=operation_id
        )
        self._enqueue(registration, action, operation_id)

    def _is_the_last(self, action: LifecycleAction, registration: Registration) -> bool:
        if self.allow_empty_service:
            return False
        standing = look(registration.cloud_map, self.autoscaling, self.instances)
        needed_by = services_that_need(
            action.instance_id, standing, self.telemetry, action.log_fields()
        )
        return bool(needed_by)

    def _enqueue(
        self, registration: Registration, action: LifecycleAction, operation_id: str | None
    ) -> None:
        registration.operation_queue.send(OperationCheck(action=action, operation_id=operation_id))
        self.telemetry.info(
            LogEvent.CHECK_MESSAGE_ENQUEUED, **action.log_fields(), stage="operation"
        )

    def _let_go(self, action: LifecycleAction) -> Completion:
        completion = self.autoscaling.complete(action, "CONTINUE")
        if completion is Completion.COMPLETED:
            self.telemetry.info(LogEvent.LIFECYCLE_ACTION_COMPLETED, **action.log_fields())
            self.telemetry.measure(Metric.LIFECYCLE_ACTION_COMPLETED)
            self.telemetry.flush()
        else:
            self.telemetry.info(
                LogEvent.LIFECYCLE_ACTION_ALREADY_ENDED, **action.log_fields(), ended=completion
            )
        return completion

    def _rests_proven(self, instance_id: str) -> bool:
        instance = self._describe(instance_id)
        if instance is None or not instance.rests_since_its_proof:
            return False
        if isinstance(self.start, Registration):
            return not self.start.cloud_map.is_registered(instance_id)
        return True

    def _was_proven(self, action: LifecycleAction) -> bool:
        instance = self._describe(action.instance_id)
        return instance is not None and instance.is_proven_since(action.started_at)

    def _describe(self, instance_id: str) -> Instance | None:
        return self.instances.describe([instance_id]).get(instance_id)

    def _mark(self, action: LifecycleAction, kind: MarkKind) -> None:
        mark_instance(self.instances, action, Mark(kind, self.clock()), self.telemetry)
