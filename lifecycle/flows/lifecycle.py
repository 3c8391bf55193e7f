"""Starts the pipeline of a launching or terminating instance.

EventBridge invokes it asynchronously, at least once. Whatever it raises, Lambda tries again twice,
then sends the event to the function's on-failure destination, which has an alarm.
"""

from dataclasses import dataclass

from lifecycle.errors import Malformed, UnexpectedState
from lifecycle.events import Location, parse_lifecycle_event
from lifecycle.flows.entrance import Entrance
from lifecycle.flows.ownership import Scope
from lifecycle.messages import LifecycleAction, Transition
from lifecycle.settings import LifecycleHandlerSettings
from lifecycle.telemetry import LogEvent, Runtime


@dataclass(frozen=True, slots=True)
class LifecycleHandler:
    """Everything the handler touches."""

    settings: LifecycleHandlerSettings
    scope: Scope
    entrance: Entrance
    runtime: Runtime

    def handle(self, event: object) -> None:
        """Register or deregister the instance of a lifecycle event and enqueue the check message.

        Raises Malformed for an event of another form, and whatever AWS raises: the event is then
        delivered again.
        """
        try:
            lifecycle_event = parse_lifecycle_event(event)
        except Malformed as error:
            self.runtime.telemetry.error(LogEvent.LIFECYCLE_EVENT_INVALID, reason=str(error))
            raise
        action = lifecycle_event.action
        self.runtime.telemetry.info(
            LogEvent.LIFECYCLE_EVENT_RECEIVED,
            **action.log_fields(),
            origin=lifecycle_event.origin,
            destination=lifecycle_event.destination,
        )
        not_ours = self._why_not_ours(action)
        if not_ours is not None:
            self.entrance.ignore(action, not_ours)
        elif action.transition is Transition.TERMINATING:
            self.entrance.terminate(action)
        elif lifecycle_event.destination == Location.WARM_POOL:
            self.entrance.enter_warm_pool(action)
        elif lifecycle_event.destination in {None, Location.AUTO_SCALING_GROUP}:
            self.entrance.launch(action)
        else:
            raise UnexpectedState(
                f"{action.instance_id} launches into {lifecycle_event.destination!r}, which this "
                "version does not know: keep the instance, discard nothing"
            )

    def _why_not_ours(self, action: LifecycleAction) -> str | None:
        if action.lifecycle_hook_name != self.settings.hook_names[action.transition]:
            return "another lifecycle hook"
        if self.scope.is_of_group(action):
            return None
        leaves = action.transition is Transition.TERMINATING and self.scope.has_left(action)
        return None if leaves else "another Auto Scaling group"
