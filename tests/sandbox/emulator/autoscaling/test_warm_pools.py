"""Instances enter and leave a warm pool through the same hooks, under other names."""

from typing import Any

import pytest

from tests.sandbox.emulator.conftest import Cloud

GROUP = "aggregators"


@pytest.fixture
def cloud(cloud: Cloud) -> Cloud:
    """An empty group of at most two, with a hook for each transition."""
    cloud.create_group(0, MaxSize=2)
    cloud.put_hook("launch", "LAUNCHING")
    cloud.put_hook("drain", "TERMINATING")
    return cloud


def put_pool(cloud: Cloud, **settings: Any) -> None:
    cloud.autoscaling.put_warm_pool(
        AutoScalingGroupName=GROUP, MaxGroupPreparedCapacity=1, **settings
    )


def pooled(cloud: Cloud) -> list[tuple[str, str]]:
    described = cloud.autoscaling.describe_warm_pool(AutoScalingGroupName=GROUP)["Instances"]
    return [(one["InstanceId"], one["LifecycleState"]) for one in described]


def grouped(cloud: Cloud) -> list[tuple[str, str]]:
    [group] = cloud.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    return [(one["InstanceId"], one["LifecycleState"]) for one in group["Instances"]]


def last_event(cloud: Cloud) -> tuple[str, str, str]:
    detail = cloud.world.lifecycle_events[-1]["detail"]
    transition = detail["LifecycleTransition"].removeprefix("autoscaling:EC2_INSTANCE_")
    return transition, detail["Origin"], detail["Destination"]


def warm_one(cloud: Cloud, **settings: Any) -> str:
    put_pool(cloud, **settings)
    [(instance_id, _)] = pooled(cloud)
    cloud.complete("launch", InstanceId=instance_id)
    return instance_id


def test_an_instance_that_is_launched_into_the_pool_waits_in_the_launch_hook(cloud: Cloud) -> None:
    put_pool(cloud)
    [(_, state)] = pooled(cloud)
    assert state == "Warmed:Pending:Wait"
    assert last_event(cloud) == ("LAUNCHING", "EC2", "WarmPool")
    assert grouped(cloud) == []


def test_completed_it_is_stopped_in_the_pool(cloud: Cloud) -> None:
    instance_id = warm_one(cloud)
    assert pooled(cloud) == [(instance_id, "Warmed:Stopped")]
    assert cloud.ec2_state(instance_id) == "stopped"
    assert cloud.states() == {instance_id: "Warmed:Stopped"}


def test_a_running_pool_does_not_stop_it(cloud: Cloud) -> None:
    instance_id = warm_one(cloud, PoolState="Running")
    assert pooled(cloud) == [(instance_id, "Warmed:Running")]
    assert cloud.ec2_state(instance_id) == "running"


def test_scale_out_takes_it_from_the_pool_through_the_launch_hook_again(cloud: Cloud) -> None:
    instance_id = warm_one(cloud)
    cloud.scale_to(1)
    assert grouped(cloud) == [(instance_id, "Pending:Wait")]
    assert last_event(cloud) == ("LAUNCHING", "WarmPool", "AutoScalingGroup")
    assert cloud.ec2_state(instance_id) == "running"
    cloud.complete("launch", InstanceId=instance_id)
    assert grouped(cloud) == [(instance_id, "InService")]


def test_with_a_reuse_policy_scale_in_puts_it_back_through_the_terminate_hook(cloud: Cloud) -> None:
    instance_id = warm_one(cloud, InstanceReusePolicy={"ReuseOnScaleIn": True})
    cloud.scale_to(1)
    cloud.complete("launch", InstanceId=instance_id)
    cloud.scale_to(0)
    assert (instance_id, "Warmed:Pending:Wait") in pooled(cloud)
    assert last_event(cloud)[:2] == ("TERMINATING", "AutoScalingGroup")
    assert last_event(cloud)[2] == "WarmPool"
    cloud.complete("drain", InstanceId=instance_id)
    assert (instance_id, "Warmed:Stopped") in pooled(cloud)


def test_without_a_reuse_policy_scale_in_terminates_it(cloud: Cloud) -> None:
    instance_id = warm_one(cloud)
    cloud.scale_to(1)
    cloud.complete("launch", InstanceId=instance_id)
    cloud.scale_to(0)
    assert (instance_id, "Terminating:Wait") in grouped(cloud)


def test_deleting_the_pool_sends_its_instances_through_the_terminate_hook(cloud: Cloud) -> None:
    instance_id = warm_one(cloud)
    cloud.autoscaling.delete_warm_pool(AutoScalingGroupName=GROUP)
    assert pooled(cloud) == [(instance_id, "Warmed:Terminating:Wait")]
    assert last_event(cloud) == ("TERMINATING", "WarmPool", "EC2")
    cloud.complete("drain", InstanceId=instance_id)
    assert pooled(cloud) == []
    assert cloud.ec2_state(instance_id) == "terminated"
