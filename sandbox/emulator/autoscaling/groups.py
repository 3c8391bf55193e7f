"""An Auto Scaling group whose instances pass through wait states, on top of moto's.

What counts towards capacity: Pending, Pending:Wait, Pending:Proceed, InService, and those whose
root volume is being replaced. Terminating instances (Terminating:*), in Standby and in the
warm pool do not. Capacity counts instances: weights of a mixed instances policy are ignored.

Scale-in takes the oldest unprotected InService instance first, then the oldest that is still
launching. AWS balances zones and compares launch templates before it compares age; the emulator is
deterministic instead, so that a test can say which instance will go.

Terminated by hand through EC2, an instance is found unhealthy, at once unless the faults say later:
it passes through the terminating hooks like any other, and is replaced at once.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.autoscaling.models import FakeAutoScalingGroup, InstanceState

from sandbox.emulator.autoscaling import root_volumes
from sandbox.emulator.autoscaling.events import (
    ACTIVATE,
    LAUNCH,
    REPLACE,
    RETURN,
    TERMINATE,
    GroupIdentity,
    Journey,
    Place,
    Transition,
    terminate_successful_event,
)
from sandbox.emulator.autoscaling.hooks import HookedBackend
from sandbox.emulator.autoscaling.wait_states import Passage, WaitStates
from sandbox.emulator.autoscaling.warm_pools import WarmPool
from sandbox.emulator.ipv6 import address_of
from sandbox.emulator.world import World

COUNTED_STATES = root_volumes.STATES | {"Pending", "Pending:Wait", "Pending:Proceed", "InService"}
IN_SERVICE = "InService"


class WaitingGroup(FakeAutoScalingGroup):
    """moto's group, with hooks that hold instances and a capacity that is kept."""

    autoscaling_backend: HookedBackend

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - moto's 22 parameters
        # moto launches instances in its own __init__, before these would be set after it.
        self.instance_lifecycle_policy: dict[str, Any] | None = None
        self.pool = WarmPool(self)
        self.refreshes: list[root_volumes.InstanceRefresh] = []
        self._waits: WaitStates | None = None
        self._left_at: dict[str, float] = {}
        super().__init__(**settings)

    @property
    def world(self) -> World:
        return self.autoscaling_backend.world

    @property
    def waits(self) -> WaitStates:
        if self._waits is None:
            world = self.world
            self._waits = WaitStates(world, self.identity, self._go_on)
        return self._waits

    @property
    def identity(self) -> GroupIdentity:
        return GroupIdentity(self.name, self.arn, self.region, self.account_id)

    @property
    def retains_on_abandon(self) -> bool:
        """Whether an abandoned termination keeps the instance."""
        policy = self.instance_lifecycle_policy or {}
        triggers = policy.get("RetentionTriggers") or {}
        return bool(triggers.get("TerminateHookAbandon") == "retain")

    def active_instances(self) -> list[InstanceState]:
        return [state for state in self.instance_states if state.lifecycle_state in COUNTED_STATES]

    def everybody(self) -> list[InstanceState]:
        """All members, those in the warm pool last."""
        return [*self.instance_states, *self.pool.instances]

    def find(self, instance_id: str) -> InstanceState | None:
        """The member with this id, in whatever state."""
        members = (state for state in self.everybody() if state.instance_id == instance_id)
        return next(members, None)

    def capacity_within(self, desired: int | None, minimum: int | None, maximum: int | None) -> int:
        """The capacity after an update that gives these; what is None stays as it is."""
        low = minimum if minimum is not None else self.min_size or 0
        high = maximum if maximum is not None else self.max_size or 0
        if desired is None:
            return min(max(self.desired_capacity or 0, low), high)
        if not low <= desired <= high:
            raise ValidationError(
                f"Desired capacity:{desired} must be between the specified"
                f" min size:{low} and max size:{high}"
            )
        return desired

    def set_desired_capacity(self, new_capacity: int | None) -> None:
        """Launch what is missing, terminate what is too much."""
        self.desired_capacity = self.min_size if new_capacity is None else new_capacity
        surplus = len(self.active_instances()) - (self.desired_capacity or 0)
        away = RETURN if self.pool.takes_back else TERMINATE
        for state in self._leave_first()[: max(0, surplus)]:
            self.set_out(state, away)
        self.keep_capacity()

    def keep_capacity(self) -> None:
        missing = (self.desired_capacity or 0) - len(self.active_instances())
        for state in self.pool.ready()[: max(0, missing)]:
            self.set_out(state, ACTIVATE)
            missing -= 1
        if missing > 0:
            for state in self.launch(missing):
                self.set_out(state, LAUNCH)
        self.pool.keep_size()
        if self.name in self.autoscaling_backend.autoscaling_groups:
            self.autoscaling_backend.update_attached_elbs(self.name)
            self.autoscaling_backend.update_attached_target_groups(self.name)

    def launch(self, count: int) -> list[InstanceState]:
        """New instances, members of the group, not yet sent into the hooks."""
        known = len(self.instance_states)
        self.replace_autoscaling_group_instances(count, self.get_propagated_tags())
        launched = self.instance_states[known:]
        for state in launched:
            self.started(state)
            self.record("launched", state, address=address_of(state.instance))
        return launched

    def started(self, state: InstanceState) -> None:
        """EC2's LaunchTime is when an instance was last started; moto knows its own clock only."""
        now = self.world.now
        state.instance.launch_time = datetime.fromtimestamp(now, UTC)

    def set_out(self, state: InstanceState, journey: Journey) -> None:
        """Begin a transition: send an instance into its hooks."""
        self.waits.cancel(state.instance_id)
        if journey.transition is Transition.TERMINATING and journey is not REPLACE:
            self._left_at[state.instance_id] = self.world.now
        self.pool.follow(state, journey)
        self.move(state, journey.state)
        hooks = self.autoscaling_backend.hooks_of(self.name).values()
        holding = [hook for hook in hooks if hook.lifecycle_transition == journey.transition]
        if self.waits.enter(state.instance_id, journey, holding):
            self.move(state, f"{journey.state}:Wait")
        else:
            self._arrive(state, journey)

    def terminate_on_request(self, state: InstanceState, *, should_decrement: bool) -> None:
        """What TerminateInstanceInAutoScalingGroup does; it ends a retained instance, too."""
        if state.lifecycle_state.endswith(":Retained"):
            self.end(state)
        elif state in self.pool.instances:
            raise ValidationError(f"The instance {state.instance_id} is in the warm pool")
        elif not _is_leaving(state):
            if should_decrement:
                self._decrement()
            self.set_out(state, TERMINATE)
            self.keep_capacity()

    def lose(self, state: InstanceState) -> None:
        """The instance ended outside the group, which finds out a while later."""
        self.record("killed", state)
        self._later(self.world.faults.unnoticed_seconds, lambda: self._miss(state))

    def find_stopped(self, state: InstanceState) -> None:
        """The instance stopped; in service, it is unhealthy once the group has noticed."""
        self.record("stopped", state)

        def replace_if_still_stopped() -> None:
            if state.lifecycle_state == IN_SERVICE and state.instance.state == "stopped":
                self._miss(state)

        self._later(self.world.faults.unnoticed_seconds, replace_if_still_stopped)

    def _miss(self, state: InstanceState) -> None:
        """Send an instance that is gone through the hooks, as any other."""
        if state not in self.everybody():
            return
        state.health_status = "Unhealthy"
        if state.lifecycle_state.endswith(":Retained") or state in self.pool.instances:
            self.end(state)
        elif not _is_leaving(state):
            self.set_out(state, TERMINATE)
        self.keep_capacity()

    def end(self, state: InstanceState) -> None:
        """Terminate the instance, forget it, and tell EventBridge."""
        self.waits.cancel(state.instance_id)
        in_pool = state in self.pool.instances
        (self.pool.instances if in_pool else self.instance_states).remove(state)
        self.move(state, "Terminated")
        self.ec2_backend.terminate_instances([state.instance_id])
        world = self.world
        event = terminate_successful_event(
            self.identity,
            state.instance_id,
            origin=Place.WARM_POOL if in_pool else Place.GROUP,
            started_at=self._left_at.pop(state.instance_id, world.now),
            at=world.now,
        )
        world.emit(event)

    def forget(self, state: InstanceState) -> None:
        if state.lifecycle_state not in {IN_SERVICE, "Standby"}:
            raise ValidationError(
                f"The instance {state.instance_id} is not in InService or Standby state."
            )
        self.record("detached", state)

    def move(self, state: InstanceState, lifecycle_state: str) -> None:
        """Put an instance into a lifecycle state, and into the journal."""
        state.lifecycle_state = lifecycle_state
        event = _event_name(lifecycle_state)
        if event is not None:
            self.record(event, state)
        for refresh in self.refreshes:
            refresh.go_on()

    def record(self, event: str, state: InstanceState, **more: object) -> None:
        self.world.record(event, state.instance_id, autoscaling_group_name=self.name, **more)

    def _go_on(self, passage: Passage, result: str) -> None:
        state, journey = self.find(passage.instance_id), passage.journey
        if state is None:
            raise LookupError(
                f"{passage.instance_id} was held by a hook of {self.name}, and is gone"
            )
        if journey is REPLACE:
            root_volumes.outcome(self, state, passage, result)
        elif result == "CONTINUE":
            self.proceed(state, journey)
        elif journey.transition is Transition.LAUNCHING:
            self.end(state)
            self.keep_capacity()
        elif self.retains_on_abandon:
            self.move(state, f"{journey.state}:Retained")
        elif journey is RETURN:
            self.end(state)
            self.keep_capacity()
        else:
            # It was to end, and ends.
            self.proceed(state, journey)

    def proceed(self, state: InstanceState, journey: Journey) -> None:
        """Let an instance that no hook holds any more arrive, a little later."""
        proceeding = f"{journey.state}:Proceed"
        self.move(state, proceeding)

        def arrive_unless_moved_on() -> None:
            # A scale-in or a forced deletion may have taken the instance meanwhile.
            if state in self.everybody() and state.lifecycle_state == proceeding:
                self._arrive(state, journey)

        self._later(self.world.faults.proceed_seconds, arrive_unless_moved_on)

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        world = self.world
        if seconds > 0:
            world.call_at(world.now + seconds, action)
        else:
            action()

    def _arrive(self, state: InstanceState, journey: Journey) -> None:
        if journey is REPLACE:
            root_volumes.replace(self, state)
        elif journey.destination is Place.GROUP:
            self.move(state, IN_SERVICE)
        elif journey.destination is Place.WARM_POOL:
            self.pool.settle(state)
        else:
            self.end(state)

    def _leave_first(self) -> list[InstanceState]:
        free = [state for state in self.active_instances() if not state.protected_from_scale_in]
        return sorted(free, key=lambda state: state.lifecycle_state != IN_SERVICE)

    def _decrement(self) -> None:
        capacity = self.desired_capacity or 0
        if capacity <= (self.min_size or 0):
            raise ValidationError(
                f"Currently, desiredSize equals minSize ({self.min_size}). Terminating instance"
                " without replacement will violate group's min size constraint. Either set"
                " shouldDecrementDesiredCapacity flag to false or lower group's min size."
            )
        self.desired_capacity = capacity - 1


def _is_leaving(state: InstanceState) -> bool:
    return state.lifecycle_state.startswith("Terminating")


def _event_name(lifecycle_state: str) -> str | None:
    """Name a state in the journal: Pending:Wait is pending_wait; Pending alone is "launched"."""
    if lifecycle_state == "Pending":
        return None
    if lifecycle_state == IN_SERVICE:
        return "in_service"
    words = re.sub("(?<=[a-z])(?=[A-Z])", "_", lifecycle_state).lower().replace(":", "_")
    return words.replace("terminating_retained", "retained")


def require_empty(group: WaitingGroup) -> None:
    """Refuse to delete a group that still has instances, as AWS does without ForceDelete."""
    if group.everybody():
        raise AutoscalingClientError(
            "ResourceInUse",
            "You cannot delete an AutoScalingGroup while there are instances or pending Spot"
            " instance request(s) still in the group.",
        )
