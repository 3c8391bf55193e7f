"""The group's EC2 instances, as `DescribeInstances` tells them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

ALIVE_STATES = frozenset({"pending", "running", "stopping", "stopped"})


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance of the group."""

    instance_id: str
    address: str
    state: str
    launched_at: datetime

    @property
    def is_running(self) -> bool:
        return self.state == "running"

    @property
    def is_gone(self) -> bool:
        """Whether EC2 says that it is shutting down or terminated: its disk is gone."""
        return self.state not in ALIVE_STATES


def group_instances(client: Any, group_names: Sequence[str]) -> list[Instance]:  # noqa: ANN401
    """Every instance of the groups that EC2 still lists, terminated ones included."""
    pages = client.get_paginator("describe_instances").paginate(
        Filters=[{"Name": "tag:aws:autoscaling:groupName", "Values": list(group_names)}]
    )
    return [
        Instance(
            instance["InstanceId"],
            instance.get("PrivateIpAddress", ""),
            instance["State"]["Name"],
            instance["LaunchTime"],
        )
        for page in pages
        for reservation in page["Reservations"]
        for instance in reservation["Instances"]
    ]


def lifecycle_states(client: Any, group_names: Sequence[str]) -> dict[str, str]:  # noqa: ANN401
    """The lifecycle state of every instance of the groups."""
    pages = client.get_paginator("describe_auto_scaling_groups").paginate(
        AutoScalingGroupNames=list(group_names)
    )
    return {
        instance["InstanceId"]: instance["LifecycleState"]
        for page in pages
        for group in page["AutoScalingGroups"]
        for instance in group["Instances"]
    }
