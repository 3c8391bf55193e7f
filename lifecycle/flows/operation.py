"""Waits until Cloud Map has done what the handler asked for, then passes the instance on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lifecycle.adapters.autoscaling import AutoScaling, Completion
from lifecycle.adapters.instances import Instances
from lifecycle.decisions.buffer import Verdict
from lifecycle.decisions.operation import (
    NextStep,
    Operation,
    OperationStatus,
    fresh_request_id,
    next_step,
)
from lifecycle.decisions.polling import PollPolicy
from lifecycle.decisions.states import may_serve, require_known
from lifecycle.errors import NotReady, Permanent
from lifecycle.flows.marking import Marker, report_completion
from lifecycle.flows.readiness import Readiness
from lifecycle.flows.stage import Discovery, NextStage
from lifecycle.messages import LifecycleAction, OperationCheck, Transition
from lifecycle.telemetry import LogEvent, Runtime

_LONGEST_SETTLING_SECONDS = 300  # two operations of Cloud Map, each a minute at most, and retries
# The launch action ended elsewhere and the instance is dead, or will be.
_GONE = {Completion.ALREADY_ENDED_GONE, Completion.ALREADY_ENDED_IN_WARM_POOL}


@dataclass(frozen=True, slots=True)
class OperationWaiter:
    """Everything the operation waiter touches."""

    autoscaling: AutoScaling
    instances: Instances
    marker: Marker
    discovery: Discovery
    next_stage: NextStage
    polls: PollPolicy
    runtime: Runtime
    readiness: Readiness | None = None

    def begin(self, messages: Sequence[OperationCheck]) -> Callable[[OperationCheck], None]:
        """Return the check to make for each message: every operation is looked up on its own.

        Only the readiness of those that launch and are not registered is asked for at once.
        """
        launching = [message.action for message in messages if _awaits_registration(message)]
        ready = self.readiness.ask(launching) if self.readiness and launching else {}
        return lambda message: self._check(message, ready)

    def still_waited_for(self, message: OperationCheck) -> bool:
        """Say yes even without an active hook: the registration has to become true all the same.

        But for a termination whose instance serves again, or is about to: then it is another one's.
        """
        action = message.action
        if action.transition is Transition.LAUNCHING:
            return True
        state = self.autoscaling.lifecycle_state(action.instance_id)
        if may_serve(state):
            self.marker.report_end(action, state)
            return False
        return True

    def _check(self, message: OperationCheck, ready: Mapping[str, Verdict]) -> None:
        """Pass the instance on if Cloud Map is done; raise NotReady while it is not."""
        action = message.action
        operation = (
            self.discovery.cloud_map.operation(message.operation_id)
            if message.operation_id is not None
            else None
        )
        step = next_step(
            action.transition,
            operation,
            registered=self.discovery.cloud_map.is_registered(action.instance_id),
            requested_again=message.requested_again,
        )
        self._log_failure(message, operation)
        if step is NextStep.WAIT:
            self.runtime.telemetry.info(
                LogEvent.OPERATION_PENDING,
                **action.log_fields(),
                operation_id=message.operation_id,
            )
            raise NotReady(f"operation {message.operation_id} is still under way")
        if step is NextStep.DEAD_LETTER:
            raise Permanent(
                f"Cloud Map did not do it in {message.requested_again + 1} requests; "
                f"last operation {message.operation_id}: "
                f"{operation.error_code if operation else 'unknown to Cloud Map'}",
                redrive_with=OperationCheck(action=action, operation_id=None).model_dump_json(),
            )
        if step is NextStep.REQUEST_AGAIN:
            self._require_readiness(message, ready)
            self._request_again(message)
        else:
            self._go_on(message)

    def _require_readiness(self, message: OperationCheck, ready: Mapping[str, Verdict]) -> None:
        """Raise NotReady for a launch that is to wait; not for one that has ended meanwhile."""
        action = message.action
        if self.readiness is None or not _awaits_registration(message):
            return
        try:
            self.readiness.require(action, ready[action.instance_id])
        except NotReady:
            if may_serve(self.autoscaling.lifecycle_state(action.instance_id)):
                raise

    def _log_failure(self, message: OperationCheck, operation: Operation | None) -> None:
        if operation is not None and operation.status is OperationStatus.FAIL:
            self.runtime.telemetry.warning(
                LogEvent.OPERATION_FAILED,
                **message.action.log_fields(),
                operation_id=operation.id,
                error_code=operation.error_code,
                error_message=operation.error_message,
            )

    def _request_again(self, message: OperationCheck) -> None:
        action, cloud_map = message.action, self.discovery.cloud_map
        state = self.autoscaling.lifecycle_state(action.instance_id)
        require_known(action.instance_id, state)
        if action.transition is Transition.TERMINATING:
            if may_serve(state):
                raise NotReady(f"it is {state}: its termination may have ended")
            self.discovery.placement.make_way(action.instance_id, action.log_fields())
            self._check_again(message, cloud_map.deregister(action.instance_id))
            return
        # Auto Scaling may have begun to terminate the instance since the first request.
        address = self.instances.address(action.instance_id) if may_serve(state) else None
        if address is None:
            self._withdraw(action, f"it is {state or 'unknown to Auto Scaling'}, or gone")
            return
        if self.readiness is not None and _awaits_registration(message):
            operation_id = self.discovery.register(action, address)
            seconds = self.polls.interval_seconds
            self.discovery.enqueue(action, operation_id, delay_seconds=seconds)
            return
        request_id = fresh_request_id(action.request_id, self.runtime.clock())
        self._check_again(message, cloud_map.register(action.instance_id, address, request_id))

    def _settle(self, action: LifecycleAction) -> None:
        """Raise NotReady while something is left to move in the shards of a launching instance.

        Launches that do not see each other can overfill a shard. Not for long: an instance that is
        not in service is worse than a shard with too many, which has an alarm.
        """
        if not self.discovery.cloud_map.is_sharded:
            return  # nowhere to move
        standing = self.discovery.placement.snapshot()
        steps = standing.steps_near(action.instance_id)
        if steps and self.runtime.clock() - action.started_at < _LONGEST_SETTLING_SECONDS:
            self.discovery.placement.carry_out(steps)
            raise NotReady("instances move to another shard")
        self.discovery.placement.measure(standing.shards_of(action.instance_id))

    def _check_again(self, message: OperationCheck, operation_id: str | None) -> None:
        action = message.action
        count = message.requested_again + 1
        self.discovery.enqueue(
            action,
            operation_id,
            requested_again=count,
            delay_seconds=self.polls.interval_seconds,
        )
        self.runtime.telemetry.warning(
            LogEvent.OPERATION_REQUESTED_AGAIN,
            **action.log_fields(),
            operation_id=operation_id,
            requested_again=count,
        )

    def _go_on(self, message: OperationCheck) -> None:
        action, launches = message.action, message.action.transition is Transition.LAUNCHING
        if launches:
            self._settle(action)
        self.runtime.telemetry.info(
            LogEvent.OPERATION_SUCCEEDED, **action.log_fields(), operation_id=message.operation_id
        )
        if launches:
            self._put_in_service(action)
            return
        self.next_stage.enqueue(
            action, deregistered_at=self.runtime.clock(), requested_again=message.requested_again
        )

    def _put_in_service(self, action: LifecycleAction) -> None:
        completion = self.autoscaling.complete(action)
        report_completion(action, completion, self.runtime)
        if completion in _GONE:
            self._withdraw(action, "the instance ended while it was being registered")

    def _withdraw(self, action: LifecycleAction, reason: str) -> None:
        """Take a dead instance out: one dead SRV target makes forwarders skip every refresh.

        The last one that runs stays until its own termination has found a successor.
        """
        self.runtime.telemetry.warning(LogEvent.INSTANCE_GONE, **action.log_fields(), reason=reason)
        may_leave = self.discovery.placement.may_leave(action.instance_id, action.log_fields())
        if not may_leave and self.instances.address(action.instance_id) is not None:
            return
        operation_id = self.discovery.cloud_map.deregister(action.instance_id)
        self.runtime.telemetry.info(
            LogEvent.REGISTRATION_WITHDRAWN, **action.log_fields(), operation_id=operation_id
        )


def _awaits_registration(message: OperationCheck) -> bool:
    """Tell whether nothing was asked of Cloud Map yet: a launch whose readiness is asked first."""
    is_launch = message.action.transition is Transition.LAUNCHING
    return is_launch and message.operation_id is None and not message.requested_again
