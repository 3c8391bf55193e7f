"""The HTTP face of Auto Scaling: parameters in, results out. moto reads `url_paths` here."""

from collections.abc import Callable
from typing import Any, cast

from moto.autoscaling.responses import AutoScalingResponse
from moto.autoscaling.urls import url_bases
from moto.core.responses import ActionResult, EmptyResult

from sandbox.emulator.autoscaling.backend import WaitingAutoScalingBackend
from sandbox.emulator.paging import in_pages

__all__ = ["WaitingAutoScalingResponse", "url_bases", "url_paths"]


class WaitingAutoScalingResponse(AutoScalingResponse):
    """moto's API, plus the actions of lifecycle hooks."""

    @property
    def waiting_backend(self) -> WaitingAutoScalingBackend:
        return cast("WaitingAutoScalingBackend", self.autoscaling_backend)

    def create_auto_scaling_group(self) -> ActionResult:
        """CreateAutoScalingGroup, with its hooks and its instance lifecycle policy."""
        name = self._get_param("AutoScalingGroupName")
        # First the hooks: they must hold the first instances, which this call launches.
        hook_specifications = self._get_param("LifecycleHookSpecificationList", [])
        self.waiting_backend.prepare_group(name, hook_specifications)
        result = super().create_auto_scaling_group()
        policy = self._get_param("InstanceLifecyclePolicy")
        self.waiting_backend.group(name).instance_lifecycle_policy = policy
        return result

    def update_auto_scaling_group(self) -> ActionResult:
        """UpdateAutoScalingGroup, with the instance lifecycle policy."""
        group = self.waiting_backend.group(self._get_param("AutoScalingGroupName"))
        policy = self._get_param("InstanceLifecyclePolicy")
        if policy is not None:
            group.instance_lifecycle_policy = policy
        self._get_params()["DesiredCapacity"] = group.capacity_within(
            self._get_int_param("DesiredCapacity"),
            self._get_int_param("MinSize"),
            self._get_int_param("MaxSize"),
        )
        return super().update_auto_scaling_group()

    def delete_auto_scaling_group(self) -> ActionResult:
        self.waiting_backend.delete_group(
            self._get_param("AutoScalingGroupName"), force=bool(self._get_bool_param("ForceDelete"))
        )
        return EmptyResult()

    def put_warm_pool(self) -> ActionResult:
        """PutWarmPool; instances are launched into it at once."""
        result = super().put_warm_pool()
        self.waiting_backend.group(self._get_param("AutoScalingGroupName")).pool.keep_size()
        return result

    def describe_auto_scaling_groups(self) -> ActionResult:
        describe = AutoScalingResponse.describe_auto_scaling_groups
        return self._in_pages(describe, "AutoScalingGroups")

    def describe_auto_scaling_instances(self) -> ActionResult:
        describe = AutoScalingResponse.describe_auto_scaling_instances
        return self._in_pages(describe, "AutoScalingInstances")

    def describe_warm_pool(self) -> ActionResult:
        return self._in_pages(WaitingAutoScalingResponse._whole_warm_pool, "Instances")

    def _whole_warm_pool(self) -> ActionResult:
        group = self.waiting_backend.group(self._get_param("AutoScalingGroupName"))
        return ActionResult(
            {"WarmPoolConfiguration": group.warm_pool, "Instances": group.pool.instances}
        )

    def _in_pages(self, describe: Callable[[Any], ActionResult], member: str) -> ActionResult:
        return in_pages(self.waiting_backend.world, describe, member)(self)

    def start_instance_refresh(self) -> ActionResult:
        refresh = self.waiting_backend.start_refresh(self._get_params())
        return ActionResult({"InstanceRefreshId": refresh.refresh_id})

    def describe_instance_refreshes(self) -> ActionResult:
        """DescribeInstanceRefreshes, the newest first."""
        group = self.waiting_backend.group(self._get_param("AutoScalingGroupName"))
        described = [refresh.description() for refresh in reversed(group.refreshes)]
        return ActionResult({"InstanceRefreshes": described})

    def cancel_instance_refresh(self) -> ActionResult:
        refresh = self.waiting_backend.active_refresh(self._get_param("AutoScalingGroupName"))
        refresh.cancel()
        return ActionResult({"InstanceRefreshId": refresh.refresh_id})

    def rollback_instance_refresh(self) -> ActionResult:
        refresh = self.waiting_backend.active_refresh(self._get_param("AutoScalingGroupName"))
        refresh.roll_back()
        return ActionResult({"InstanceRefreshId": refresh.refresh_id})

    def put_lifecycle_hook(self) -> ActionResult:
        self.waiting_backend.put_hook(self._get_params())
        return EmptyResult()

    def describe_lifecycle_hooks(self) -> ActionResult:
        described = self.waiting_backend.describe_hooks(
            self._get_param("AutoScalingGroupName"), self._get_param("LifecycleHookNames", [])
        )
        return ActionResult({"LifecycleHooks": [hook.description() for hook in described]})

    def delete_lifecycle_hook(self) -> ActionResult:
        self.waiting_backend.delete_hook(
            self._get_param("AutoScalingGroupName"), self._get_param("LifecycleHookName")
        )
        return EmptyResult()

    def complete_lifecycle_action(self) -> ActionResult:
        self.waiting_backend.complete_lifecycle_action(self._get_params())
        return EmptyResult()

    def record_lifecycle_action_heartbeat(self) -> ActionResult:
        self.waiting_backend.record_heartbeat(self._get_params())
        return EmptyResult()


url_paths = {"{0}/$": WaitingAutoScalingResponse.dispatch}
