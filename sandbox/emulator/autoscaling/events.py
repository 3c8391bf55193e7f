"""The EventBridge events of EC2 Auto Scaling and EC2 about one instance."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from moto.moto_api._internal import mock_random


class Transition(StrEnum):
    """The two moments at which a lifecycle hook can hold an instance."""

    LAUNCHING = "autoscaling:EC2_INSTANCE_LAUNCHING"
    TERMINATING = "autoscaling:EC2_INSTANCE_TERMINATING"

    @property
    def detail_type(self) -> str:
        """The event's `detail-type`."""
        word = "launch" if self is Transition.LAUNCHING else "terminate"
        return f"EC2 Instance-{word} Lifecycle Action"


class Place(StrEnum):
    """Where an instance comes from or goes to."""

    EC2 = "EC2"
    GROUP = "AutoScalingGroup"
    WARM_POOL = "WarmPool"


@dataclass(frozen=True)
class Journey:
    """The transition in which a hook holds an instance."""

    transition: Transition
    origin: Place
    destination: Place
    state: str
    """Its lifecycle state meanwhile, without `:Wait` and `:Proceed`."""
    action: str | None = None
    """The event's `Action`, where it has one."""


LAUNCH = Journey(Transition.LAUNCHING, Place.EC2, Place.GROUP, "Pending")
TERMINATE = Journey(Transition.TERMINATING, Place.GROUP, Place.EC2, "Terminating")
WARM_UP = Journey(Transition.LAUNCHING, Place.EC2, Place.WARM_POOL, "Warmed:Pending")
ACTIVATE = Journey(Transition.LAUNCHING, Place.WARM_POOL, Place.GROUP, "Pending")
RETURN = Journey(Transition.TERMINATING, Place.GROUP, Place.WARM_POOL, "Warmed:Pending")
DISCARD = Journey(Transition.TERMINATING, Place.WARM_POOL, Place.EC2, "Warmed:Terminating")

REPLACE = Journey(
    Transition.TERMINATING, Place.GROUP, Place.GROUP, "ReplacingRootVolume", "ReplaceRootVolume"
)
RELAUNCH = Journey(Transition.LAUNCHING, Place.GROUP, Place.GROUP, "Pending", "ReplaceRootVolume")


@dataclass(frozen=True)
class GroupIdentity:
    """What an event says about the group it comes from."""

    name: str
    arn: str
    region: str
    account_id: str


def lifecycle_event(  # noqa: PLR0913 - the members of one document
    group: GroupIdentity,
    journey: Journey,
    *,
    hook_name: str,
    token: str,
    instance_id: str,
    metadata: str | None,
    at: float,
) -> dict[str, Any]:
    """The whole envelope, as a rule's target receives it."""
    detail = {
        "LifecycleActionToken": token,
        "AutoScalingGroupName": group.name,
        "LifecycleHookName": hook_name,
        "EC2InstanceId": instance_id,
        "LifecycleTransition": journey.transition.value,
    }
    if metadata is not None:
        detail["NotificationMetadata"] = metadata
    detail |= {"Origin": journey.origin.value, "Destination": journey.destination.value}
    if journey.action is not None:
        detail["Action"] = journey.action
    return _envelope(group, "aws.autoscaling", journey.transition.detail_type, at) | {
        "resources": [group.arn],
        "detail": detail,
    }


def terminate_successful_event(
    group: GroupIdentity, instance_id: str, *, origin: Place, started_at: float, at: float
) -> dict[str, Any]:
    """What EC2 Auto Scaling sends when an instance has ended, however it did."""
    detail = {
        "StatusCode": "InProgress",
        "Description": f"Terminating EC2 instance: {instance_id}",
        "AutoScalingGroupName": group.name,
        "ActivityId": str(mock_random.uuid4()),
        "Details": {},
        "RequestId": str(mock_random.uuid4()),
        "StatusMessage": "",
        "EndTime": _written(at),
        "EC2InstanceId": instance_id,
        "StartTime": _written(started_at),
        "Cause": "",
        "Origin": origin.value,
        "Destination": Place.EC2.value,
    }
    envelope = _envelope(group, "aws.autoscaling", "EC2 Instance Terminate Successful", at)
    return envelope | {
        "resources": [group.arn, _instance_arn(group, instance_id)],
        "detail": detail,
    }


def ec2_event(
    group: GroupIdentity, instance_id: str, detail_type: str, at: float, **detail: str
) -> dict[str, Any]:
    """An event of EC2 itself about an instance; it does not name the group."""
    return _envelope(group, "aws.ec2", detail_type, at) | {
        "resources": [_instance_arn(group, instance_id)],
        "detail": {"instance-id": instance_id, **detail},
    }


def _envelope(group: GroupIdentity, source: str, detail_type: str, at: float) -> dict[str, Any]:
    return {
        "version": "0",
        "id": str(mock_random.uuid4()),
        "detail-type": detail_type,
        "source": source,
        "account": group.account_id,
        "time": _written(at),
        "region": group.region,
    }


def _written(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _instance_arn(group: GroupIdentity, instance_id: str) -> str:
    return f"arn:aws:ec2:{group.region}:{group.account_id}:instance/{instance_id}"
