"""Starts the pipeline of a launching or terminating instance.

EventBridge invokes it asynchronously, at least once. Whatever it raises, Lambda tries again twice,
then sends the event to the function's on-failure destination, which has an alarm.
"""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from lifecycle import clients
from lifecycle.autoscaling import AutoScaling, Completion, is_leaving, may_serve
from lifecycle.drain import NextStage, Registration
from lifecycle.errors import Malformed, Surprise
from lifecycle.events import (
    LifecycleAction,
    LifecycleEvent,
    Location,
    OperationCheck,
    Transition,
    parse_lifecycle_event,
)
from lifecycle.instances import Instances
from lifecycle.settings import LifecycleHandlerSettings
from lifecycle.telemetry import LogEvent, Metric, PowertoolsTelemetry, Telemetry
from lifecycle.wiring import first_draining_stage, registration_of, settings_of


@dataclass(frozen=True, slots=True)
class LifecycleHandler:
    """Everything the handler touches.

    ``start`` is where a terminating instance goes first: out of service discovery, or, for a fleet
    that is in none, into the first draining stage.
    """

    settings: LifecycleHandlerSettings
    autoscaling: AutoScaling
    instances: Instances
    start: Registration | NextStage
    telemetry: Telemetry
    clock: Callable[[], float]

    def handle(self, event: object) -> None:
        """Register or deregister the instance of a lifecycle event and enqueue the check message.

        Raises Malformed for an event of another form, and whatever AWS raises: the event is then
        delivered again.
        """
        try:
            lifecycle_event = parse_lifecycle_event(event)
        except Malformed as error:
            self.telemetry.error(LogEvent.LIFECYCLE_EVENT_INVALID, reason=str(error))
            raise
        action = lifecycle_event.action
        self.telemetry.info(
            LogEvent.LIFECYCLE_EVENT_RECEIVED,
            **action.log_fields(),
            origin=lifecycle_event.origin,
            destination=lifecycle_event.destination,
        )
        not_ours = self._why_not_ours(action)
        if not_ours is not None:
            self._ignore(action, not_ours)
        elif action.transition is Transition.TERMINATING:
            self._terminate(action)
        elif isinstance(self.start, Registration):
            self._launch(lifecycle_event, self.start)

    def _why_not_ours(self, action: LifecycleAction) -> str | None:
        if action.autoscaling_group_name != self.settings.autoscaling_group_name:
            return "another Auto Scaling group"
        hooks = {
            Transition.LAUNCHING: self.settings.launch_hook_name,
            Transition.TERMINATING: self.settings.terminate_hook_name,
        }
        if action.lifecycle_hook_name != hooks[action.transition]:
            return "another lifecycle hook"
        return None

    def _launch(self, event: LifecycleEvent, registration: Registration) -> None:
        action = event.action
        if event.destination is Location.WARM_POOL:
            # Not in service yet: registered when it leaves the pool for the group.
            self._complete(action)
            return
        state = self.autoscaling.lifecycle_state(action.instance_id)
        if not may_serve(state):
            # A late event: registering now would send logs to an instance that is on its way out.
            self._ignore(action, f"the instance is {state or 'gone'}")
            return
        address = self.instances.address(action.instance_id)
        if address is None:
            raise Surprise(f"{action.instance_id} is {state}, but EC2 does not know it (yet)")
        port = self.settings.cloud_map_port
        assert port is not None  # settings see to it for a fleet in Cloud Map
        operation_id = registration.cloud_map.register(
            action.instance_id,
            address,
            port,
            creator_request_id=action.lifecycle_action_token,
        )
        self.telemetry.info(
            LogEvent.REGISTRATION_REQUESTED,
            **action.log_fields(),
            operation_id=operation_id,
            private_ip_address=address.private_ip_address,
        )
        self._enqueue(registration, action, operation_id)

    def _terminate(self, action: LifecycleAction) -> None:
        state = self.autoscaling.lifecycle_state(action.instance_id)
        if not is_leaving(state):
            # A duplicate of an earlier life in a warm pool, or a state that has not propagated
            # yet. Never deregister a working instance, never drop a drain: ask again.
            raise Surprise(f"{action.instance_id} is {state}, not terminating")
        if isinstance(self.start, Registration):
            self._deregister(action, self.start)
        else:
            self.start.enqueue(action, deregistered_at=self.clock())

    def _deregister(self, action: LifecycleAction, registration: Registration) -> None:
        operation_id = registration.cloud_map.deregister(action.instance_id)
        self.telemetry.info(
            LogEvent.DEREGISTRATION_REQUESTED, **action.log_fields(), operation_id=operation_id
        )
        self._enqueue(registration, action, operation_id)

    def _enqueue(
        self, registration: Registration, action: LifecycleAction, operation_id: str | None
    ) -> None:
        registration.operation_queue.send(OperationCheck(action=action, operation_id=operation_id))
        self.telemetry.info(
            LogEvent.CHECK_MESSAGE_ENQUEUED, **action.log_fields(), stage="operation"
        )

    def _complete(self, action: LifecycleAction) -> None:
        completion = self.autoscaling.complete(action, "CONTINUE")
        if completion is Completion.COMPLETED:
            self.telemetry.info(LogEvent.LIFECYCLE_ACTION_COMPLETED, **action.log_fields())
            self.telemetry.measure(Metric.LIFECYCLE_ACTION_COMPLETED)
            self.telemetry.flush()
        else:
            self.telemetry.info(
                LogEvent.LIFECYCLE_ACTION_ALREADY_ENDED, **action.log_fields(), ended=completion
            )

    def _ignore(self, action: LifecycleAction, reason: str) -> None:
        self.telemetry.info(LogEvent.LIFECYCLE_EVENT_IGNORED, **action.log_fields(), reason=reason)


def wire(environment: Mapping[str, str]) -> LifecycleHandler:
    """Build the handler from environment variables; raises ConfigurationError."""
    telemetry = PowertoolsTelemetry()
    settings = settings_of(LifecycleHandlerSettings, environment, telemetry)
    sqs = clients.sqs()
    return LifecycleHandler(
        settings=settings,
        autoscaling=AutoScaling(clients.autoscaling()),
        instances=Instances(clients.ec2()),
        start=registration_of(
            settings.cloud_map_service_id,
            settings.operation_queue_url,
            clients.servicediscovery(),
            sqs,
        )
        or first_draining_stage(
            settings.flush_queue_url, settings.buffer_queue_url, sqs, telemetry
        ),
        telemetry=telemetry,
        clock=time.time,
    )


@cache
def _wired() -> LifecycleHandler:
    return wire(os.environ)


def handler(event: dict[str, Any], context: object) -> None:  # noqa: ARG001 (Lambda's signature)
    """Entry point of the function ``lifecycle``."""
    _wired().handle(event)
