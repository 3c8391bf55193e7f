"""The group of one history, as its shape has it, and what there is to see of it past the API."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from moto.autoscaling.models import autoscaling_backends
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends
from moto.servicediscovery.models import ServiceInstance, servicediscovery_backends

from sandbox.emulator.ipv6 import address_of
from tests.model.playing import Played
from tests.model.shapes import HOOK_SECONDS, Shape
from tests.support.messages import GROUP, LAUNCH_HOOK, TERMINATE_HOOK
from tests.support.pipeline import PORT
from tests.support.queues import REGION


@dataclass
class Grouped(Played):
    """A pipeline beside the group of a shape."""

    shape: Shape = field(default_factory=Shape)

    def create_group(self, desired: int = 0, **settings: Any) -> None:
        """Create the group of the history's shape."""
        del desired, settings  # the shape has them
        shape, autoscaling = self.shape, self.clients.autoscaling
        launching = [(LAUNCH_HOOK, "LAUNCHING")] if "operation" in self.stages else []
        hooks = [
            {
                "LifecycleHookName": name,
                "LifecycleTransition": f"autoscaling:EC2_INSTANCE_{transition}",
                "HeartbeatTimeout": HOOK_SECONDS,
                "DefaultResult": "ABANDON",
            }
            for name, transition in [*launching, (TERMINATE_HOOK, "TERMINATING")]
        ]
        policy = {"RetentionTriggers": {"TerminateHookAbandon": "retain"}}
        retention = {"InstanceLifecyclePolicy": policy} if shape.retains else {}
        autoscaling.create_auto_scaling_group(
            AutoScalingGroupName=GROUP,
            MinSize=0,
            MaxSize=20,
            DesiredCapacity=shape.size,
            VPCZoneIdentifier=self.subnet_id,
            LaunchTemplate={"LaunchTemplateName": "aggregator"},
            LifecycleHookSpecificationList=[] if shape.is_adopted else hooks,
            **retention,
        )
        if shape.is_adopted:
            for hook in hooks:
                autoscaling.put_lifecycle_hook(AutoScalingGroupName=GROUP, **hook)
            self._adopt()

    def _adopt(self) -> None:
        """Register a fleet that was there before the module, as its owner had done.

        All but the newest, if there are several: that one is left to the reconciler.
        """
        if "operation" not in self.stages:
            return
        services = servicediscovery_backends[DEFAULT_ACCOUNT_ID][REGION].services
        service = services[self.service_id]
        members = self.group.everybody()
        for state in members[: max(1, len(members) - 1)]:
            family = "IPV6" if self.shape.ipv6_only else "IPV4"
            attributes = {
                f"AWS_INSTANCE_{family}": address_of(state.instance),
                "AWS_INSTANCE_PORT": str(PORT),
            }
            instance_id = state.instance_id
            instance = ServiceInstance(self.service_id, instance_id, "owner", attributes)
            service.instances.append(instance)
            self.world.record("registered", instance_id, service_id=self.service_id)

    @property
    def now(self) -> float:
        """Epoch seconds."""
        return self.clock()

    @property
    def group(self) -> Any:
        """The emulator's Auto Scaling group."""
        return autoscaling_backends[DEFAULT_ACCOUNT_ID][REGION].autoscaling_groups[GROUP]

    def members(self) -> dict[str, set[str]]:
        """The instances in each service."""
        services = servicediscovery_backends[DEFAULT_ACCOUNT_ID][REGION].services
        return {
            service_id: {one.instance_id for one in services[service_id].instances}
            for service_id in (self.service_id, *self.further_service_ids)
        }

    def registered_ids(self) -> set[str]:
        """The instances in service discovery."""
        return set().union(*self.members().values())

    def tags(self, instance_id: str) -> dict[str, str]:
        """The tags of an instance."""
        backend = ec2_backends[DEFAULT_ACCOUNT_ID][REGION]
        found = backend.describe_tags(filters={"resource-id": [instance_id]})
        return {tag["key"]: tag["value"] for tag in found}

    def states(self) -> dict[str, str]:
        """Lifecycle states by instance id."""
        return {one.instance_id: one.lifecycle_state for one in self.group.everybody()}


def count_faults_hit(faults: Any, count: Callable[[str], None]) -> None:
    """Count each fault that a call or an operation meets."""
    take_call, take_operation = faults.take_call_failure, faults.take_operation_failure

    def call_failure(action: str) -> Any:
        failure = take_call(action)
        if failure is not None:
            named = {"Throttling": "throttled", "AccessDenied": "denied"}
            how = named.get(failure.code, f"failed {failure.moment} taking effect")
            count(f"call {how}: {action}")
        return failure

    def operation_failure() -> Any:
        failure = take_operation()
        if failure is not None:
            count("Cloud Map: operation failed")
        elif faults.operation_seconds > 10:
            count("Cloud Map: operation slow")
        return failure

    faults.take_call_failure = call_failure
    faults.take_operation_failure = operation_failure
