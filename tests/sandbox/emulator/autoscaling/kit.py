"""What the tests of Auto Scaling begin with."""

from typing import Any

from tests.sandbox.emulator.conftest import Cloud


def start_with_launch_hook(cloud: Cloud, **hook: Any) -> str:
    cloud.create_group(0)
    cloud.put_hook("launch", "LAUNCHING", **hook)
    cloud.scale_to(1)
    [instance_id] = cloud.states()
    return instance_id


def start_terminating(cloud: Cloud, **hook: Any) -> str:
    cloud.create_group(1)
    cloud.put_hook("drain", "TERMINATING", **hook)
    [instance_id] = cloud.states()
    cloud.scale_to(0)
    return instance_id


def terminate(cloud: Cloud, instance_id: str, *, decrement: bool = False) -> None:
    cloud.autoscaling.terminate_instance_in_auto_scaling_group(
        InstanceId=instance_id, ShouldDecrementDesiredCapacity=decrement
    )
