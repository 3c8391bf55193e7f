"""The wait states of one Auto Scaling group: which instance is held, by which hooks, for how long.

An instance that launches or terminates is held by every hook of that transition at once. It goes
on when all of them said CONTINUE, or as soon as one said ABANDON, which cancels the others. A hook
without a heartbeat for its heartbeat timeout, or whose global limit is over, answers with its
default result.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from moto.autoscaling.exceptions import ValidationError
from moto.moto_api._internal import mock_random

from sandbox.emulator.autoscaling.events import GroupIdentity, Journey, lifecycle_event
from sandbox.emulator.autoscaling.hooks import Hook
from sandbox.emulator.world import Timer, World


@dataclass
class LifecycleAction:
    """One hook that holds one instance."""

    hook: Hook
    instance_id: str
    token: str
    started_at: float
    timer: Timer

    @property
    def last_moment(self) -> float:
        """When the global limit ends the wait, whatever the heartbeats say."""
        return self.started_at + self.hook.global_timeout


@dataclass
class Passage:
    """One instance in a wait state."""

    instance_id: str
    journey: Journey
    actions: dict[str, LifecycleAction] = field(default_factory=dict)
    """Still open, by hook name."""


Outcome = Callable[[Passage, str], None]


class WaitStates:
    """The open lifecycle actions of one group."""

    def __init__(self, world: World, group: GroupIdentity, on_outcome: Outcome) -> None:
        self._world = world
        self._group = group
        self._on_outcome = on_outcome
        self._passages: dict[str, Passage] = {}

    def enter(self, instance_id: str, journey: Journey, hooks: Iterable[Hook]) -> bool:
        """Hold the instance with all `hooks` and send their events. False: there is no hook."""
        passage = Passage(instance_id, journey)
        for hook in hooks:
            passage.actions[hook.name] = self._open(instance_id, journey, hook)
        if not passage.actions:
            return False
        self._passages[instance_id] = passage
        return True

    def find(self, hook_name: str, instance_id: str | None, token: str | None) -> LifecycleAction:
        """The open action that a call names, by token, by instance id, or by both."""
        if not token and not instance_id:
            raise ValidationError("Either LifecycleActionToken or InstanceId must be specified")
        for action in self._open_actions(hook_name):
            token_fits = not token or action.token == token
            instance_fits = not instance_id or action.instance_id == instance_id
            if token_fits and instance_fits:
                return action
        sought = f"token {token}" if token else f"instance ID {instance_id}"
        raise ValidationError(f"No active Lifecycle Action found with {sought}")

    def complete(self, action: LifecycleAction, result: str) -> None:
        """Record a hook's answer; the outcome follows when no other answer matters any more."""
        self._record("completed", action, result=result)
        self._answer(action, result)

    def heartbeat(self, action: LifecycleAction) -> None:
        """Start the hook's timer again, within its global limit."""
        action.timer.cancel()
        due = min(self._world.now + action.hook.heartbeat_timeout, action.last_moment)
        action.timer = self._world.call_at(due, lambda: self._expire(action))
        self._record("heartbeat", action, until=due)

    def cancel(self, instance_id: str) -> None:
        """Forget the instance: no answer matters any more."""
        passage = self._passages.pop(instance_id, None)
        for action in passage.actions.values() if passage else ():
            action.timer.cancel()

    def close_hook(self, hook_name: str, result: str) -> None:
        for action in list(self._open_actions(hook_name)):
            self.complete(action, result)

    def _open(self, instance_id: str, journey: Journey, hook: Hook) -> LifecycleAction:
        now = self._world.now
        token = str(mock_random.uuid4())
        timer = self._world.call_at(now + hook.heartbeat_timeout, lambda: self._expire(action))
        action = LifecycleAction(hook, instance_id, token, now, timer)
        event = lifecycle_event(
            self._group,
            journey,
            hook_name=hook.name,
            token=token,
            instance_id=instance_id,
            metadata=hook.notification_metadata,
            at=now,
        )
        self._world.emit(event)
        return action

    def _open_actions(self, hook_name: str) -> Iterable[LifecycleAction]:
        for passage in self._passages.values():
            if hook_name in passage.actions:
                yield passage.actions[hook_name]

    def _expire(self, action: LifecycleAction) -> None:
        result = action.hook.default_result
        self._record("expired", action, result=result)
        self._answer(action, result)

    def _answer(self, action: LifecycleAction, result: str) -> None:
        action.timer.cancel()
        passage = self._passages[action.instance_id]
        del passage.actions[action.hook.name]
        if result == "ABANDON" or not passage.actions:
            self.cancel(action.instance_id)
            self._on_outcome(passage, result)

    def _record(self, event: str, action: LifecycleAction, **details: object) -> None:
        self._world.record(
            event,
            action.instance_id,
            autoscaling_group_name=self._group.name,
            lifecycle_hook_name=action.hook.name,
            **details,
        )
