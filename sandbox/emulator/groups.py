"""An Auto Scaling group whose instances pass through wait states, on top of moto's.

What counts towards capacity: Pending, Pending:Wait, Pending:Proceed and InService. Instances on
their way out (Terminating:*) and in Standby do not. Capacity counts instances: weights of a mixed
instances policy are ignored.

Scale-in takes the oldest unprotected InService instance first, then the oldest that is still
launching. AWS balances zones and looks at launch templates before it looks at age; the emulator is
deterministic instead, so that a test can say which instance will go.

Terminated by hand through EC2, an instance is found unhealthy: it passes through the terminating
hooks like any other, and is replaced at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.autoscaling.models import FakeAutoScalingGroup, InstanceState

from sandbox.emulator.events import LAUNCH, TERMINATE, GroupIdentity, Transition
from sandbox.emulator.wait_states import Passage, WaitStates

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.emulator.autoscaling import WaitingAutoScalingBackend
    from sandbox.emulator.hooks import Hook

COUNTED_STATES = frozenset({"Pending", "Pending:Wait", "Pending:Proceed", "InService"})
LEAVING_STATES = frozenset({"Terminating", "Terminating:Wait", "Terminating:Proceed"})
RETAINED = "Terminating:Retained"


class WaitingGroup(FakeAutoScalingGroup):
    """moto's group, with hooks that hold instances and a capacity that is kept."""

    autoscaling_backend: WaitingAutoScalingBackend

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - moto's 22 parameters
        # moto launches instances in its own __init__, before these would be set after it.
        self.instance_lifecycle_policy: dict[str, Any] | None = None
        self._waits: WaitStates | None = None
        super().__init__(**settings)

    @property
    def waits(self) -> WaitStates:
        """The group's open lifecycle actions."""
        if self._waits is None:
            identity = GroupIdentity(self.name, self.arn, self.region, self.account_id)
            self._waits = WaitStates(self.autoscaling_backend.world, identity, self._go_on)
        return self._waits

    @property
    def retains_on_abandon(self) -> bool:
        """Whether an abandoned termination keeps the instance."""
        policy = self.instance_lifecycle_policy or {}
        triggers = policy.get("RetentionTriggers") or {}
        return bool(triggers.get("TerminateHookAbandon") == "retain")

    def active_instances(self) -> list[InstanceState]:
        """The instances that count towards capacity."""
        return [state for state in self.instance_states if state.lifecycle_state in COUNTED_STATES]

    def find(self, instance_id: str) -> InstanceState | None:
        """The member with this id, in whatever state."""
        members = (state for state in self.instance_states if state.instance_id == instance_id)
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
        """Launch what is missing, send away what is too much."""
        self.desired_capacity = self.min_size if new_capacity is None else new_capacity
        surplus = len(self.active_instances()) - (self.desired_capacity or 0)
        for state in self._leave_first()[: max(0, surplus)]:
            self.begin_termination(state)
        self.keep_capacity()

    def keep_capacity(self) -> None:
        """Launch instances until the desired capacity is there."""
        missing = (self.desired_capacity or 0) - len(self.active_instances())
        if missing > 0:
            self.replace_autoscaling_group_instances(missing, self.get_propagated_tags())
        if self.name in self.autoscaling_backend.autoscaling_groups:
            self.autoscaling_backend.update_attached_elbs(self.name)
            self.autoscaling_backend.update_attached_target_groups(self.name)

    def replace_autoscaling_group_instances(
        self, count_needed: int, propagated_tags: dict[str, str]
    ) -> None:
        """Launch `count_needed` instances, each into the launching hooks."""
        known = len(self.instance_states)
        super().replace_autoscaling_group_instances(count_needed, propagated_tags)
        for state in self.instance_states[known:]:
            self._move(state, "Pending", "launched", address=state.instance.private_ip)
            hooks = self._hooks(Transition.LAUNCHING)
            if self.waits.enter(state.instance_id, LAUNCH, hooks):
                self._move(state, "Pending:Wait", "pending_wait")
            else:
                self._move(state, "InService", "in_service")

    def begin_termination(self, state: InstanceState) -> None:
        """Send an instance away, through the terminating hooks."""
        self.waits.cancel(state.instance_id)
        self._move(state, "Terminating", "terminating")
        if self.waits.enter(state.instance_id, TERMINATE, self._hooks(Transition.TERMINATING)):
            self._move(state, "Terminating:Wait", "terminating_wait")
        else:
            self.end(state)

    def terminate_on_request(self, state: InstanceState, *, should_decrement: bool) -> None:
        """What TerminateInstanceInAutoScalingGroup does; it ends a retained instance for good."""
        if state.lifecycle_state == RETAINED:
            self.end(state)
        elif state.lifecycle_state not in LEAVING_STATES:
            if should_decrement:
                self._decrement()
            self.begin_termination(state)
            self.keep_capacity()

    def lose(self, state: InstanceState) -> None:
        """The instance is gone without the group's doing; the hooks hear of it all the same."""
        state.health_status = "Unhealthy"
        self._record("killed", state)
        if state.lifecycle_state == RETAINED:
            self.end(state)
        elif state.lifecycle_state not in LEAVING_STATES:
            self.begin_termination(state)
            self.keep_capacity()

    def end(self, state: InstanceState) -> None:
        """Terminate the instance and forget it."""
        self.waits.cancel(state.instance_id)
        self.instance_states.remove(state)
        self._move(state, "Terminated", "terminated")
        self.ec2_backend.terminate_instances([state.instance_id])

    def forget(self, state: InstanceState) -> None:
        """Let the instance live on outside the group."""
        if state.lifecycle_state not in {"InService", "Standby"}:
            raise ValidationError(
                f"The instance {state.instance_id} is not in InService or Standby state."
            )
        self.waits.cancel(state.instance_id)
        self._record("detached", state)

    def _go_on(self, passage: Passage, result: str) -> None:
        state = self.find(passage.instance_id)
        if state is None:
            raise LookupError(
                f"{passage.instance_id} was held by a hook of {self.name} and is gone"
            )
        if passage.journey.transition is Transition.LAUNCHING:
            self._go_on_launching(state, result)
        else:
            self._go_on_terminating(state, result)

    def _go_on_launching(self, state: InstanceState, result: str) -> None:
        if result == "ABANDON":
            self.end(state)
            self.keep_capacity()
            return
        self._move(state, "Pending:Proceed", "pending_proceed")
        self._after_proceed(state, lambda: self._move(state, "InService", "in_service"))

    def _go_on_terminating(self, state: InstanceState, result: str) -> None:
        if result == "ABANDON" and self.retains_on_abandon:
            self._move(state, RETAINED, "retained")
            return
        self._move(state, "Terminating:Proceed", "terminating_proceed")
        self._after_proceed(state, lambda: self.end(state))

    def _after_proceed(self, state: InstanceState, action: Callable[[], None]) -> None:
        world = self.autoscaling_backend.world
        proceeding = state.lifecycle_state

        def unless_moved_on() -> None:
            # A scale-in or a forced deletion may have taken the instance meanwhile.
            if state in self.instance_states and state.lifecycle_state == proceeding:
                action()

        if world.faults.proceed_seconds > 0:
            world.call_at(world.now + world.faults.proceed_seconds, unless_moved_on)
        else:
            unless_moved_on()

    def _leave_first(self) -> list[InstanceState]:
        candidates = [state for state in self.active_instances() if not _protected(state)]
        return sorted(candidates, key=lambda state: state.lifecycle_state != "InService")

    def _decrement(self) -> None:
        capacity = self.desired_capacity or 0
        if capacity <= (self.min_size or 0):
            raise ValidationError(
                f"Currently, desiredSize equals minSize ({self.min_size}). Terminating instance"
                " without replacement will violate group's min size constraint. Either set"
                " shouldDecrementDesiredCapacity flag to false or lower group's min size."
            )
        self.desired_capacity = capacity - 1

    def _hooks(self, transition: Transition) -> list[Hook]:
        hooks = self.autoscaling_backend.hooks_of(self.name).values()
        return [hook for hook in hooks if hook.lifecycle_transition == transition]

    def _move(self, state: InstanceState, lifecycle_state: str, event: str, **more: object) -> None:
        state.lifecycle_state = lifecycle_state
        self._record(event, state, **more)

    def _record(self, event: str, state: InstanceState, **more: object) -> None:
        self.autoscaling_backend.world.record(
            event, state.instance_id, autoscaling_group_name=self.name, **more
        )


def _protected(state: InstanceState) -> bool:
    return bool(state.protected_from_scale_in)


def require_empty(group: WaitingGroup) -> None:
    """Refuse to delete a group that still has instances, as AWS does without ForceDelete."""
    if group.instance_states:
        raise AutoscalingClientError(
            "ResourceInUse",
            "You cannot delete an AutoScalingGroup while there are instances or pending Spot"
            " instance request(s) still in the group.",
        )
