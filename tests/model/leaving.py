"""Instances that leave their group without its hook: taken away, detached, attached to another."""

from collections.abc import Callable
from typing import Any

from moto.autoscaling.models import autoscaling_backends
from moto.core.models import DEFAULT_ACCOUNT_ID

from lifecycle.decisions.marks import OWNER_TAG_KEY
from sandbox.emulator.autoscaling.interruptions import reclaim, recommend
from tests.model.cloud import OTHER_GROUP, Cloud
from tests.support.messages import GROUP
from tests.support.queues import REGION

_NOTICES: dict[str, Callable[[Any, str], None]] = {
    "spot interruption": reclaim,
    "rebalance recommendation": recommend,
}
WAYS_TO_GO = ["killed behind the hook", *_NOTICES]


def in_service(cloud: Cloud) -> list[str]:
    """The instances of the group that are in service, and that nothing has happened to."""
    lives = cloud.promises.lives
    return [
        one
        for one, state in cloud.states().items()
        if state == "InService" and not (lives[one].killed or lives[one].stopped)
    ]


def detach(cloud: Cloud, instance_id: str, *, is_moved: bool) -> None:
    """Detach an instance in service; attach it to another group, which has no module."""
    cloud.count("instance: moved to another group" if is_moved else "instance: detached")
    autoscaling, life = cloud.clients.autoscaling, cloud.promises.lives[instance_id]
    life.has_left, life.is_owned = True, OWNER_TAG_KEY in cloud.tags(instance_id)
    autoscaling.detach_instances(
        AutoScalingGroupName=GROUP, InstanceIds=[instance_id], ShouldDecrementDesiredCapacity=True
    )
    if not is_moved:
        return
    pages = autoscaling.get_paginator("describe_auto_scaling_groups")
    found = pages.paginate(AutoScalingGroupNames=[OTHER_GROUP]).build_full_result()
    if not found["AutoScalingGroups"]:
        autoscaling.create_auto_scaling_group(
            AutoScalingGroupName=OTHER_GROUP,
            MinSize=0,
            MaxSize=20,
            DesiredCapacity=0,
            VPCZoneIdentifier=cloud.subnet_id,
            LaunchTemplate={"LaunchTemplateName": "aggregator"},
        )
    autoscaling.attach_instances(AutoScalingGroupName=OTHER_GROUP, InstanceIds=[instance_id])
    life.is_moved = True


def take_away(cloud: Cloud, how: str, instance_id: str) -> None:
    """EC2 ends an instance, whatever the hook says, or says that it may."""
    cloud.count(f"instance: {how}")
    if how == "killed behind the hook":
        cloud.clients.ec2.terminate_instances(InstanceIds=[instance_id])
        return
    backend = autoscaling_backends[DEFAULT_ACCOUNT_ID][REGION]
    life = cloud.promises.lives[instance_id]
    life.has_notice, life.is_reclaimed = True, life.is_reclaimed or how == "spot interruption"
    with cloud.world.turn():
        _NOTICES[how](backend, instance_id)


def end_outside(cloud: Cloud, instance_id: str) -> None:
    """EC2 ends an instance that has left the group."""
    cloud.count("instance: ended outside of its group")
    if not cloud.promises.lives[instance_id].is_moved:
        cloud.world.record("killed", instance_id)
        cloud.promises.lives[instance_id].terminated = True
    cloud.clients.ec2.terminate_instances(InstanceIds=[instance_id])
