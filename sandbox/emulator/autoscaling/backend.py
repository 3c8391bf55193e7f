"""Auto Scaling with wait states: moto's backend and API, made strict.

What moto does not have: hooks that hold instances, CompleteLifecycleAction,
RecordLifecycleActionHeartbeat, hooks given with CreateAutoScalingGroup, the instance lifecycle
policy. What it does differently from AWS and is corrected here: unknown groups and instances are
ValidationErrors instead of crashes, a hook's description has no invented values, a group with
instances cannot be deleted without ForceDelete, capacity stays inside its bounds.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.autoscaling.models import (
    DetachInstanceActivity,
    InstanceState,
    TerminateInstanceActivity,
    autoscaling_backends,
)

from sandbox.emulator.autoscaling import hooks, root_volumes
from sandbox.emulator.autoscaling.events import TERMINATE, Transition
from sandbox.emulator.autoscaling.groups import WaitingGroup, require_empty
from sandbox.emulator.autoscaling.hooks import Hook, HookedBackend
from sandbox.emulator.autoscaling.root_volumes import InstanceRefresh
from sandbox.emulator.autoscaling.wait_states import LifecycleAction
from sandbox.emulator.world import World

NOT_FOUND = "AutoScalingGroup name not found"


class WaitingAutoScalingBackend(HookedBackend):
    """The API's operations."""

    @classmethod
    def all_of(cls, world: World) -> list["WaitingAutoScalingBackend"]:
        backends = (backend for _, _, backend in autoscaling_backends.iter_backends())
        return [one for one in backends if isinstance(one, cls) and one.world is world]

    def group(self, name: str) -> WaitingGroup:
        group = self.autoscaling_groups.get(name)
        if not isinstance(group, WaitingGroup):
            raise ValidationError(f"{NOT_FOUND} - AutoScalingGroup '{name}' not found")
        return group

    def member(self, instance_id: str) -> tuple[WaitingGroup, InstanceState]:
        for name in self.autoscaling_groups:
            group = self.group(name)
            state = group.find(instance_id)
            if state is not None:
                return group, state
        raise ValidationError(
            f"Instance Id not found - No managed instance found for instance ID: {instance_id}"
        )

    def prepare_group(self, name: str, hook_specifications: Iterable[Mapping[str, Any]]) -> None:
        """Take the hooks of a group that is about to be created under a free name."""
        if name in self.autoscaling_groups:
            raise AutoscalingClientError(
                "AlreadyExists",
                "AutoScalingGroup by this name already exists - "
                f"A group with the name {name} already exists",
            )
        self._hooks.pop(name, None)
        for specification in hook_specifications:
            hooks.put(self.hooks_of(name), name, specification)

    def set_desired_capacity(self, group_name: str, desired_capacity: int | None) -> None:
        """Set the capacity, inside the group's bounds."""
        group = self.group(group_name)
        wanted = desired_capacity or 0
        if wanted > (group.max_size or 0):
            raise ValidationError(
                f"New SetDesiredCapacity value {wanted} is above max value {group.max_size}"
                " for the AutoScalingGroup."
            )
        if wanted < (group.min_size or 0):
            raise ValidationError(
                f"New SetDesiredCapacity value {wanted} is below min value {group.min_size}"
                " for the AutoScalingGroup."
            )
        group.set_desired_capacity(wanted)

    def delete_group(self, group_name: str, *, force: bool) -> None:
        """Delete a group; by force, its instances end at once and no hook is asked."""
        group = self.group(group_name)
        if not force:
            require_empty(group)
        for state in group.everybody():
            group.end(state)
        group.desired_capacity = 0
        del self.autoscaling_groups[group_name]
        self._hooks.pop(group_name, None)

    def terminate_instance(
        self,
        instance_id: str,
        should_decrement: bool,  # noqa: FBT001 - moto's signature
    ) -> TerminateInstanceActivity:
        group, state = self.member(instance_id)
        capacity = group.desired_capacity or 0
        activity = TerminateInstanceActivity(state.instance, capacity)
        group.terminate_on_request(state, should_decrement=should_decrement)
        return activity

    def set_instance_health(self, instance_id: str, health_status: str) -> None:
        """Set the health of an instance; an unhealthy one is terminated and replaced."""
        group, state = self.member(instance_id)
        state.health_status = health_status
        if health_status == "Unhealthy" and state.lifecycle_state == "InService":
            group.set_out(state, TERMINATE)
            group.keep_capacity()

    def notify_terminate_instances(self, instance_ids: list[str]) -> None:
        """EC2 says that these instances were terminated there."""
        for name in list(self.autoscaling_groups):
            group = self.group(name)
            for state in group.everybody():
                if state.instance_id in instance_ids:
                    group.lose(state)

    def notify_stopped_instance(self, instance_id: str) -> None:
        """EC2 says that this instance was stopped there."""
        for name in list(self.autoscaling_groups):
            group = self.group(name)
            state = group.find(instance_id)
            if state is not None:
                group.find_stopped(state)

    def detach_instances(
        self,
        group_name: str,
        instance_ids: list[str],
        should_decrement: bool,  # noqa: FBT001 - moto's signature
    ) -> list[DetachInstanceActivity]:
        """Take instances out of the group; no hook is asked."""
        group = self.group(group_name)
        for instance_id in instance_ids:
            state = group.find(instance_id)
            if state is None:
                raise ValidationError(f"The instance {instance_id} is not part of the group")
            group.forget(state)
        return super().detach_instances(group_name, instance_ids, should_decrement)

    def attach_instances(self, group_name: str, instance_ids: list[str]) -> None:
        """Take instances into the group that are in none; no hook is asked."""
        group = self.group(group_name)
        members = {
            state.instance_id: name
            for name in self.autoscaling_groups
            for state in self.group(name).everybody()
        }
        for instance_id in instance_ids:
            if instance_id in members:
                raise ValidationError(
                    f"Instance {instance_id} is already part of AutoScalingGroup:"
                    f"{members[instance_id]}"
                )
            # moto describes an instance by the first group that it was in.
            vars(self.ec2_backend.get_instance(instance_id))["autoscaling_group"] = group
        super().attach_instances(group_name, instance_ids)

    def describe_auto_scaling_instances(self, instance_ids: list[str]) -> list[InstanceState]:
        """The members of all groups, warm pools included."""
        groups = [self.group(name) for name in self.autoscaling_groups]
        members = [state for group in groups for state in group.everybody()]
        return [state for state in members if not instance_ids or state.instance_id in instance_ids]

    def delete_warm_pool(self, group_name: str) -> None:
        """Take a group's warm pool away; its instances leave through the hooks."""
        group = self.group(group_name)
        group.warm_pool = None
        group.pool.keep_size()

    def start_refresh(self, parameters: Mapping[str, Any]) -> InstanceRefresh:
        return root_volumes.start(self.group(parameters["AutoScalingGroupName"]), parameters)

    def active_refresh(self, group_name: str) -> InstanceRefresh:
        return root_volumes.active(self.group(group_name))

    def put_hook(self, parameters: Mapping[str, Any]) -> None:
        """Create or update a hook; instances that are already waiting are not touched."""
        name = self.group(parameters["AutoScalingGroupName"]).name
        hooks.put(self.hooks_of(name), name, parameters)

    def describe_hooks(self, group_name: str, names: list[str]) -> list[Hook]:
        """The group's hooks, or those of them that are named."""
        known = self.hooks_of(self.group(group_name).name).values()
        return [hook for hook in known if not names or hook.name in names]

    def delete_hook(self, group_name: str, name: str) -> None:
        """Delete a hook and complete what it holds: launches ABANDON, terminations CONTINUE."""
        group = self.group(group_name)
        hook = self._hook(group_name, name)
        launching = hook.lifecycle_transition == Transition.LAUNCHING
        group.waits.close_hook(name, "ABANDON" if launching else "CONTINUE")
        del self.hooks_of(group_name)[name]

    def complete_lifecycle_action(self, parameters: Mapping[str, Any]) -> None:
        result = parameters["LifecycleActionResult"]
        hooks.require_result(result)
        group, action = self._action(parameters)
        group.waits.complete(action, result)

    def record_heartbeat(self, parameters: Mapping[str, Any]) -> None:
        group, action = self._action(parameters)
        group.waits.heartbeat(action)

    def _action(self, parameters: Mapping[str, Any]) -> tuple[WaitingGroup, LifecycleAction]:
        group = self.group(parameters["AutoScalingGroupName"])
        hook = self._hook(group.name, parameters["LifecycleHookName"])
        token, instance_id = parameters.get("LifecycleActionToken"), parameters.get("InstanceId")
        return group, group.waits.find(hook.name, instance_id, token)

    def _hook(self, group_name: str, name: str) -> Hook:
        hook = self.hooks_of(group_name).get(name)
        if hook is None:
            raise ValidationError(
                f"No Lifecycle Hook found with name {name} for the AutoScalingGroup {group_name}"
            )
        return hook
