"""What happens to an instance that stays: its root volume is replaced, or it stops and starts."""

from tests.model.cloud import Cloud
from tests.support.messages import GROUP

# What ABANDON does before a root volume is replaced is not documented: it may be any of these.
OUTCOMES = ["replaced", "terminated", "kept"]


def replace_root_volumes(cloud: Cloud, abandoned: str, failing: int) -> None:
    """Start an instance refresh; of one that is under way, the rest is replaced in any case."""
    cloud.world.faults.update({"abandoned_replacement": abandoned, "failing_replacements": failing})
    if not _is_under_way(cloud):
        cloud.replace_root_volumes(MinHealthyPercentage=50)
        cloud.count("root volumes: an instance refresh")


def _is_under_way(cloud: Cloud) -> bool:
    return any(one.is_active for one in cloud.group.refreshes)


def end_refresh(cloud: Cloud, how: str) -> None:
    """Cancel an instance refresh, or roll it back, if there is one."""
    if not _is_under_way(cloud):
        return
    cloud.count(f"root volumes: {how}")
    client = cloud.clients.autoscaling
    calls = {
        "cancelled": client.cancel_instance_refresh,
        "rolled back": client.rollback_instance_refresh,
    }
    calls[how](AutoScalingGroupName=GROUP)


def stop(cloud: Cloud, instance_id: str) -> None:
    """Stop an instance, as an operator or its own operating system may."""
    cloud.count("instance: stopped")
    cloud.clients.ec2.stop_instances(InstanceIds=[instance_id])


def start_again(cloud: Cloud) -> None:
    """Start every instance that is stopped; its disk is as it was."""
    for life in cloud.promises.lives.values():
        if life.stopped and not (life.terminated or life.killed):
            cloud.count("instance: started again")
            cloud.clients.ec2.start_instances(InstanceIds=[life.instance_id])
            life.stopped = False
            cloud.fluentds[life.instance_id].boot(cloud.shape.boot_seconds)
