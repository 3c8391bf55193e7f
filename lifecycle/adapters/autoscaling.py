"""EC2 Auto Scaling: lifecycle states, heartbeats and the completion of lifecycle actions."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict

from botocore.exceptions import BotoCoreError, ClientError

from lifecycle.decisions.states import HELD, IN_SERVICE, IN_WARM_POOL, RETAINED, has_left
from lifecycle.errors import Permanent, Surprise
from lifecycle.events import LifecycleAction, Transition

if TYPE_CHECKING:
    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_autoscaling.type_defs import AutoScalingGroupTypeDef

_MOST_IDS = 50  # DescribeAutoScalingInstances takes no more at a time


class _NamedAction(TypedDict):
    AutoScalingGroupName: str
    LifecycleHookName: str
    InstanceId: str
    LifecycleActionToken: NotRequired[str]


@dataclass(frozen=True, slots=True)
class Group:
    """An Auto Scaling group: its sizes and its members' lifecycle states, without its warm pool.

    ``retains_on_abandon``: its instance lifecycle policy keeps an instance whose termination was
    abandoned.
    """

    min_size: int
    desired_capacity: int
    states: dict[str, str]
    retains_on_abandon: bool


@dataclass(frozen=True, slots=True)
class Membership:
    """In which group an instance is, and in which lifecycle state."""

    autoscaling_group_name: str
    state: str


class Heartbeat(StrEnum):
    """Outcome of a heartbeat."""

    RECORDED = "recorded"
    NO_ACTIVE_ACTION = "no_active_action"
    FAILED = "failed"


class Completion(StrEnum):
    """Outcome of a completion: each means that the instance no longer waits for us."""

    COMPLETED = "completed"
    ALREADY_ENDED_GONE = "already_ended_gone"
    ALREADY_ENDED_IN_SERVICE = "already_ended_in_service"
    ALREADY_ENDED_IN_WARM_POOL = "already_ended_in_warm_pool"
    ALREADY_ENDED_HELD_BY_ANOTHER_HOOK = "already_ended_held_by_another_hook"


@dataclass(frozen=True, slots=True)
class Member:
    """An instance of some Auto Scaling group."""

    autoscaling_group_name: str
    lifecycle_state: str


class AutoScaling:
    """The lifecycle actions of one group."""

    def __init__(self, client: "AutoScalingClient") -> None:
        self._client = client

    def lifecycle_state(self, instance_id: str) -> str | None:
        """Return the lifecycle state, None if Auto Scaling does not know the instance (any more).

        Values: docs.aws.amazon.com/autoscaling/ec2/APIReference, AutoScalingInstanceDetails.
        """
        answer = self._client.describe_auto_scaling_instances(InstanceIds=[instance_id])
        for instance in answer["AutoScalingInstances"]:
            if instance["InstanceId"] == instance_id:
                return instance["LifecycleState"]
        return None

    def member(self, instance_id: str) -> Member | None:
        """Return the group that an instance is in and its state there, None if it is in none."""
        answer = self._client.describe_auto_scaling_instances(InstanceIds=[instance_id])
        for instance in answer["AutoScalingInstances"]:
            if instance["InstanceId"] == instance_id:
                return Member(instance["AutoScalingGroupName"], instance["LifecycleState"])
        return None

    def lifecycle_states(self, instance_ids: Sequence[str]) -> dict[str, str]:
        """Return the lifecycle states of those that are in any Auto Scaling group."""
        return {one: member.state for one, member in self.memberships(instance_ids).items()}

    def memberships(self, instance_ids: Sequence[str]) -> dict[str, Membership]:
        """Return where those are that are in any Auto Scaling group, warm pools included."""
        found: dict[str, Membership] = {}
        for first in range(0, len(instance_ids), _MOST_IDS):
            ids = instance_ids[first : first + _MOST_IDS]
            answer = self._client.describe_auto_scaling_instances(InstanceIds=ids)
            for instance in answer["AutoScalingInstances"]:
                found[instance["InstanceId"]] = Membership(
                    instance["AutoScalingGroupName"], instance["LifecycleState"]
                )
        return found

    def group(self, name: str) -> Group:
        """Return a group; raises Surprise if there is none of this name."""
        answer = self._client.describe_auto_scaling_groups(AutoScalingGroupNames=[name])
        for group in answer["AutoScalingGroups"]:
            if group["AutoScalingGroupName"] == name:
                return _read(group)
        raise Surprise(f"there is no Auto Scaling group {name}")

    def warm_pool_states(self, name: str) -> dict[str, str]:
        """Return the lifecycle states of a group's warm pool; empty if it has none."""
        pages = self._client.get_paginator("describe_warm_pool").paginate(AutoScalingGroupName=name)
        return {
            instance["InstanceId"]: instance["LifecycleState"]
            for page in pages
            for instance in page.get("Instances", [])
        }

    def record_heartbeat(self, action: LifecycleAction) -> tuple[Heartbeat, str]:
        """Restart the hook's timer; never raises, since a missed heartbeat loses nothing yet.

        Returns the outcome and, where it is not RECORDED, what AWS said.
        """
        try:
            self._client.record_lifecycle_action_heartbeat(**_named(action))
        except ClientError as error:
            no_action = _is_no_active_action(error)
            return (Heartbeat.NO_ACTIVE_ACTION if no_action else Heartbeat.FAILED), str(error)
        except BotoCoreError as error:
            return Heartbeat.FAILED, str(error)
        return Heartbeat.RECORDED, ""

    def complete(
        self, action: LifecycleAction, result: Literal["CONTINUE", "ABANDON"]
    ) -> Completion:
        """Let the instance go on. Idempotent: an action that has ended already is no error.

        Raises Permanent for an instance that Auto Scaling retains, and Surprise for one in a state
        that no ended action leaves behind.
        """
        try:
            self._client.complete_lifecycle_action(**_named(action), LifecycleActionResult=result)
        except ClientError as error:
            if not _is_no_active_action(error):
                raise
            return self._how_it_ended(action)
        return Completion.COMPLETED

    def _how_it_ended(self, action: LifecycleAction) -> Completion:
        state = self.lifecycle_state(action.instance_id)
        if has_left(state):
            return Completion.ALREADY_ENDED_GONE
        assert state is not None
        if action.transition is Transition.LAUNCHING and "Terminating" in state:
            # The launch is over; the terminating hook has its own action and its own event.
            return Completion.ALREADY_ENDED_GONE
        if state == IN_SERVICE:
            return Completion.ALREADY_ENDED_IN_SERVICE
        launching_into_pool = (Transition.LAUNCHING, "Warmed:Pending:Wait")
        if state in IN_WARM_POOL or (action.transition, state) == launching_into_pool:
            return Completion.ALREADY_ENDED_IN_WARM_POOL
        if state in HELD[action.transition]:
            # Every hook of a transition holds the instance at once; ours is done with it.
            return Completion.ALREADY_ENDED_HELD_BY_ANOTHER_HOOK
        if state in RETAINED:
            raise Permanent(
                f"{action.instance_id} is {state}: its lifecycle action ended before the proof; "
                "terminate it with TerminateInstanceInAutoScalingGroup"
            )
        raise Surprise(f"no active lifecycle action, yet {action.instance_id} is {state}")


def _read(group: "AutoScalingGroupTypeDef") -> Group:
    policy = group.get("InstanceLifecyclePolicy", {}).get("RetentionTriggers", {})
    return Group(
        min_size=group["MinSize"],
        desired_capacity=group["DesiredCapacity"],
        states={one["InstanceId"]: one["LifecycleState"] for one in group.get("Instances", [])},
        retains_on_abandon=policy.get("TerminateHookAbandon") == "retain",
    )


def _named(action: LifecycleAction) -> "_NamedAction":
    named: _NamedAction = {
        "AutoScalingGroupName": action.autoscaling_group_name,
        "LifecycleHookName": action.lifecycle_hook_name,
        "InstanceId": action.instance_id,
    }
    if action.lifecycle_action_token is not None:
        named["LifecycleActionToken"] = action.lifecycle_action_token
    return named


def _is_no_active_action(error: ClientError) -> bool:
    details = error.response["Error"]
    return details["Code"] == "ValidationError" and details.get("Message", "").startswith(
        "No active Lifecycle Action found"
    )
