"""Waits until Cloud Map has done what the handler asked for, then passes the instance on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse

from lifecycle.adapters.autoscaling import AutoScaling, Completion
from lifecycle.adapters.cloud_map import CloudMap
from lifecycle.adapters.instances import Instances
from lifecycle.adapters.queues import Queue
from lifecycle.decisions.instance import Address
from lifecycle.decisions.operation import NextStep, Operation, OperationStatus, next_step
from lifecycle.decisions.states import may_serve
from lifecycle.errors import NotReady, Permanent
from lifecycle.events import LifecycleAction, OperationCheck, Transition
from lifecycle.flows import batch
from lifecycle.flows.batch import patience_of
from lifecycle.flows.placement import Placement, Standing, services_that_need
from lifecycle.flows.release import NextStage
from lifecycle.settings import OperationWaiterSettings
from lifecycle.telemetry import LogEvent, Metric, Telemetry

_LONGEST_SETTLING_SECONDS = 300  # two operations of Cloud Map, each a minute at most, and retries


# Ended without us, and none the worse for it: the registration stays.
_ON_ITS_WAY = {
    Completion.ALREADY_ENDED_IN_SERVICE,
    Completion.ALREADY_ENDED_HELD_BY_ANOTHER_HOOK,
}


@dataclass(frozen=True, slots=True)
class OperationWaiter:
    """Everything the operation waiter touches."""

    settings: OperationWaiterSettings
    autoscaling: AutoScaling
    instances: Instances
    cloud_map: CloudMap
    placement: Placement
    operation_queue: Queue
    operation_dead_letters: Queue
    next_stage: NextStage
    telemetry: Telemetry
    clock: Callable[[], float]

    def handle(self, event: Mapping[str, Any]) -> PartialItemFailureResponse:
        """Check every message of the SQS event; return those that must come back."""
        settings = self.settings
        stage = batch.Stage(
            autoscaling_group_name=settings.autoscaling_group_name,
            model=OperationCheck,
            begin=self._begin,
            still_waited_for=_until_cloud_map_is_done,
            queue=self.operation_queue,
            dead_letters=self.operation_dead_letters,
            autoscaling=self.autoscaling,
            patience=patience_of(settings),
            telemetry=self.telemetry,
            clock=self.clock,
        )
        return batch.process(event, stage)

    def _begin(self, messages: Sequence[OperationCheck]) -> Callable[[OperationCheck], None]:
        del messages  # every operation is looked up on its own
        return self._check

    def _check(self, message: OperationCheck) -> None:
        """Pass the instance on if Cloud Map is done; raise NotReady while it is not."""
        action = message.action
        operation = (
            self.cloud_map.operation(message.operation_id)
            if message.operation_id is not None
            else None
        )
        step = next_step(
            action.transition,
            operation,
            registered=self.cloud_map.is_registered(action.instance_id),
            requested_again=message.requested_again,
        )
        self._log_failure(message, operation)
        if step is NextStep.WAIT:
            self.telemetry.info(
                LogEvent.OPERATION_PENDING,
                **action.log_fields(),
                operation_id=message.operation_id,
            )
            raise NotReady(f"operation {message.operation_id} is still under way")
        if step is NextStep.GIVE_UP:
            raise Permanent(
                f"Cloud Map did not do it in {message.requested_again + 1} requests; "
                f"last operation {message.operation_id}: "
                f"{operation.error_code if operation else 'unknown to Cloud Map'}",
                redrive_with=OperationCheck(action=action, operation_id=None).model_dump_json(),
            )
        if step is NextStep.REQUEST_AGAIN:
            self._request_again(message)
        else:
            self._go_on(message)

    def _log_failure(self, message: OperationCheck, operation: Operation | None) -> None:
        if operation is not None and operation.status is OperationStatus.FAIL:
            self.telemetry.warning(
                LogEvent.OPERATION_FAILED,
                **message.action.log_fields(),
                operation_id=operation.id,
                error_code=operation.error_code,
                error_message=operation.error_message,
            )

    def _request_again(self, message: OperationCheck) -> None:
        if message.action.transition is Transition.TERMINATING:
            self._wait_for_successor(message.action)
            operation_id = self.cloud_map.deregister(message.action.instance_id)
            self._check_again(message, operation_id)
            return
        # The instance may have been sent away since the first request.
        state = self.autoscaling.lifecycle_state(message.action.instance_id)
        address = self.instances.address(message.action.instance_id) if may_serve(state) else None
        if address is None:
            self._withdraw(message, f"it is {state or 'unknown to Auto Scaling'}, or gone")
        else:
            self._check_again(message, self._register_again(message, address))

    def _wait_for_successor(self, action: LifecycleAction) -> None:
        """Raise NotReady for one whose leaving would empty a service.

        Somebody moves in from another shard if one has two or more in service.
        """
        if self.settings.allow_empty_service:
            return
        standing = self.placement.look()
        vacancies = self._services_that_need(action, standing)
        if not vacancies:
            # Whoever moved in has not left its old shard yet.
            self.placement.carry_out(standing.steps_near(action.instance_id))
            return
        self.placement.carry_out(standing.steps_into(vacancies))
        raise NotReady("the last aggregator in service discovery; waits for a successor")

    def _services_that_need(self, action: LifecycleAction, standing: Standing) -> frozenset[str]:
        return services_that_need(action.instance_id, standing, self.telemetry, action.log_fields())

    def _must_stay(self, action: LifecycleAction) -> bool:
        if self.settings.allow_empty_service:
            return False
        if not self._services_that_need(action, self.placement.look()):
            return False
        return self.instances.address(action.instance_id) is not None

    def _settle(self, action: LifecycleAction) -> None:
        """Raise NotReady while something is left to move in the shards of a launching instance.

        Launches that do not see each other can overfill a shard. Not for long: an instance that is
        not in service is worse than a shard with too many, which has an alarm.
        """
        if len(self.settings.cloud_map_service_ids) == 1:
            return  # nowhere to move
        standing = self.placement.look()
        steps = standing.steps_near(action.instance_id)
        if steps and self.clock() - action.started_at < _LONGEST_SETTLING_SECONDS:
            self.placement.carry_out(steps)
            raise NotReady("instances move to another shard")
        self.placement.measure(standing.shards_of(action.instance_id))

    def _register_again(self, message: OperationCheck, address: Address) -> str:
        return self.cloud_map.register(
            message.action.instance_id,
            address,
            self.settings.cloud_map_port,
            # With an id of before, Cloud Map would answer with the failed request.
            f"{message.action.request_id}-{self.clock():.0f}",
        )

    def _check_again(self, message: OperationCheck, operation_id: str | None) -> None:
        action = message.action
        count = message.requested_again + 1
        self.operation_queue.send(
            OperationCheck(action=action, operation_id=operation_id, requested_again=count),
            delay_seconds=self.settings.poll_interval_seconds,
        )
        self.telemetry.warning(
            LogEvent.OPERATION_REQUESTED_AGAIN,
            **action.log_fields(),
            operation_id=operation_id,
            requested_again=count,
        )

    def _go_on(self, message: OperationCheck) -> None:
        action = message.action
        if action.transition is Transition.LAUNCHING:
            self._settle(action)
        self.telemetry.info(
            LogEvent.OPERATION_SUCCEEDED, **action.log_fields(), operation_id=message.operation_id
        )
        if action.transition is Transition.LAUNCHING:
            self._put_in_service(message)
            return
        self.next_stage.enqueue(
            action, deregistered_at=self.clock(), requested_again=message.requested_again
        )

    def _put_in_service(self, message: OperationCheck) -> None:
        action = message.action
        completion = self.autoscaling.complete(action, "CONTINUE")
        if completion is Completion.COMPLETED:
            self.telemetry.info(LogEvent.LIFECYCLE_ACTION_COMPLETED, **action.log_fields())
            self.telemetry.measure(Metric.LIFECYCLE_ACTION_COMPLETED)
        elif completion in _ON_ITS_WAY:
            self.telemetry.info(
                LogEvent.LIFECYCLE_ACTION_ALREADY_ENDED, **action.log_fields(), ended=completion
            )
        else:
            self._withdraw(message, "the instance ended while it was being registered")

    def _withdraw(self, message: OperationCheck, reason: str) -> None:
        """Take a dead instance out: one dead SRV target makes forwarders skip every refresh.

        The last one that runs stays until its own way out has found a successor.
        """
        action = message.action
        self.telemetry.warning(LogEvent.INSTANCE_GONE, **action.log_fields(), reason=reason)
        if self._must_stay(action):
            return
        operation_id = self.cloud_map.deregister(action.instance_id)
        self.telemetry.info(
            LogEvent.REGISTRATION_WITHDRAWN, **action.log_fields(), operation_id=operation_id
        )


def _until_cloud_map_is_done(message: OperationCheck) -> bool:
    """Say yes even without an active hook: the registration has to become true all the same."""
    del message
    return True
