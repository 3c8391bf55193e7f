"""Instances that leave their group without its hook: detached, and perhaps attached to another."""

from tests.model.cloud import OTHER_GROUP, Cloud
from tests.support.messages import GROUP


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
    life.has_left, life.is_owned = True, cloud.is_owned(instance_id)
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


def end_outside(cloud: Cloud, instance_id: str) -> None:
    """EC2 ends an instance that has left the group."""
    cloud.count("instance: ended outside of its group")
    if not cloud.promises.lives[instance_id].is_moved:
        cloud.world.record("killed", instance_id)
        cloud.promises.lives[instance_id].terminated = True
    cloud.clients.ec2.terminate_instances(InstanceIds=[instance_id])
