"""Starts the pipeline of a launching or terminating instance.

EventBridge invokes it asynchronously, at least once. Whatever it raises, Lambda tries again twice,
then sends the event to the function's on-failure destination, which has an alarm.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from lifecycle import clients
from lifecycle.autoscaling import AutoScaling, Completion, is_leaving, may_serve
from lifecycle.cloud_map import CloudMap
from lifecycle.errors import ConfigurationError, Malformed, Surprise
from lifecycle.events import (
    LifecycleAction,
    LifecycleEvent,
    Location,
    OperationCheck,
    Transition,
    parse_lifecycle_event,
)
from lifecycle.instances import Instances
from lifecycle.queues import Queue
from lifecycle.settings import LifecycleHandlerSettings, load_settings
from lifecycle.telemetry import LogEvent, Metric, PowertoolsTelemetry, Telemetry


@dataclass(frozen=True, slots=True)
class LifecycleHandler:
    """Everything the handler touches."""

    settings: LifecycleHandlerSettings
    autoscaling: AutoScaling
    instances: Instances
    cloud_map: CloudMap
    operation_queue: Queue
    telemetry: Telemetry

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
        elif action.transition is Transition.LAUNCHING:
            self._launch(lifecycle_event)
        else:
            self._terminate(action)

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

    def _launch(self, event: LifecycleEvent) -> None:
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
        operation_id = self.cloud_map.register(
            action.instance_id,
            address,
            self.settings.cloud_map_port,
            creator_request_id=action.lifecycle_action_token,
        )
        self.telemetry.info(
            LogEvent.REGISTRATION_REQUESTED,
            **action.log_fields(),
            operation_id=operation_id,
            private_ip_address=address.private_ip_address,
        )
        self._enqueue(action, operation_id)

    def _terminate(self, action: LifecycleAction) -> None:
        state = self.autoscaling.lifecycle_state(action.instance_id)
        if not is_leaving(state):
            # A duplicate of an earlier life in a warm pool, or a state that has not propagated
            # yet. Never deregister a working instance, never drop a drain: ask again.
            raise Surprise(f"{action.instance_id} is {state}, not terminating")
        operation_id = self.cloud_map.deregister(action.instance_id)
        self.telemetry.info(
            LogEvent.DEREGISTRATION_REQUESTED, **action.log_fields(), operation_id=operation_id
        )
        self._enqueue(action, operation_id)

    def _enqueue(self, action: LifecycleAction, operation_id: str | None) -> None:
        self.operation_queue.send(OperationCheck(action=action, operation_id=operation_id))
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
    try:
        settings = load_settings(LifecycleHandlerSettings, environment)
    except ConfigurationError as error:
        telemetry.error(LogEvent.CONFIGURATION_INVALID, reason=str(error))
        raise
    return LifecycleHandler(
        settings=settings,
        autoscaling=AutoScaling(clients.autoscaling()),
        instances=Instances(clients.ec2()),
        cloud_map=CloudMap(clients.servicediscovery(), settings.cloud_map_service_id),
        operation_queue=Queue(clients.sqs(), settings.operation_queue_url),
        telemetry=telemetry,
    )


@cache
def _wired() -> LifecycleHandler:
    return wire(os.environ)


def handler(event: dict[str, Any], context: object) -> None:  # noqa: ARG001 (Lambda's signature)
    """Entry point of the function ``lifecycle``."""
    _wired().handle(event)
