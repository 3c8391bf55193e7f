"""EC2 Auto Scaling: memberships, heartbeats and the completion of lifecycle actions."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from lifecycle.decisions.states import (
    has_left,
    is_entering_warm_pool,
    is_held,
    is_in_service,
    is_in_warm_pool,
    is_retained,
    is_terminating,
    launches_again,
    require_known,
)
from lifecycle.errors import Permanent, UnexpectedState
from lifecycle.messages import LifecycleAction, Transition

if TYPE_CHECKING:
    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_autoscaling.type_defs import (
        AutoScalingGroupTypeDef,
        RecordLifecycleActionHeartbeatTypeTypeDef,
    )

_MOST_IDS = 50  # DescribeAutoScalingInstances takes no more at a time


@dataclass(frozen=True, slots=True)
class Group:
    """An Auto Scaling group: its members' lifecycle states, without its warm pool.

    ``desired_capacity`` and its members' ``weights`` are in the group's units of capacity.
    ``retains_on_abandon``: its instance lifecycle policy keeps an instance whose termination was
    abandoned.
    """

    states: dict[str, str]
    weights: dict[str, int]
    desired_capacity: int
    retains_on_abandon: bool


@dataclass(frozen=True, slots=True)
class Membership:
    """In which group an instance is, and in which lifecycle state."""

    autoscaling_group_name: str
    state: str

    def state_in(self, group: str) -> str | None:
        """Return the lifecycle state of a member of this group, None for one of another."""
        return self.state if self.autoscaling_group_name == group else None


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
    ALREADY_ENDED_LAUNCHING_AGAIN = "already_ended_launching_again"
    ALREADY_ENDED_IN_WARM_POOL = "already_ended_in_warm_pool"
    ALREADY_ENDED_HELD_BY_ANOTHER_HOOK = "already_ended_held_by_another_hook"


class AutoScaling:
    """The lifecycle actions of one group."""

    def __init__(self, client: "AutoScalingClient") -> None:
        self._client = client

    def memberships(self, instance_ids: Sequence[str]) -> dict[str, Membership]:
        """Return where those are that are in any Auto Scaling group, warm pools included.

        Reads every page: a page may hold fewer instances than asked for, or none, although more
        follow (docs.aws.amazon.com/autoscaling/ec2/APIReference, DescribeAutoScalingInstances).
        """
        paginator = self._client.get_paginator("describe_auto_scaling_instances")
        return {
            one["InstanceId"]: Membership(one["AutoScalingGroupName"], one["LifecycleState"])
            for first in range(0, len(instance_ids), _MOST_IDS)
            for page in paginator.paginate(InstanceIds=instance_ids[first : first + _MOST_IDS])
            for one in page["AutoScalingInstances"]
        }

    def membership(self, instance_id: str) -> Membership | None:
        """Return the group that an instance is in and its state there, None if it is in none."""
        return self.memberships([instance_id]).get(instance_id)

    def lifecycle_state(self, instance_id: str) -> str | None:
        """Return the lifecycle state, None if Auto Scaling does not know the instance (any more).

        Values: docs.aws.amazon.com/autoscaling/ec2/APIReference, AutoScalingInstanceDetails.
        """
        member = self.membership(instance_id)
        return member.state if member else None

    def group(self, name: str) -> Group:
        """Return a group; raises UnexpectedState if there is none of this name."""
        paginator = self._client.get_paginator("describe_auto_scaling_groups")
        for page in paginator.paginate(AutoScalingGroupNames=[name]):
            for group in page["AutoScalingGroups"]:
                if group["AutoScalingGroupName"] == name:
                    return _read(group)
        raise UnexpectedState(f"there is no Auto Scaling group {name}")

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

    def complete(self, action: LifecycleAction) -> Completion:
        """Complete the action with CONTINUE. Idempotent: one that has ended already is no error.

        No function answers ABANDON: what fails for one launch may fail for each, and the hook's own
        timeout is all that keeps the group from replacing them at once, over and over.
        Raises Permanent for an instance that Auto Scaling retains, and UnexpectedState for one in
        a state that no ended action leaves behind.
        """
        try:
            self._client.complete_lifecycle_action(
                **_named(action), LifecycleActionResult="CONTINUE"
            )
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
        if action.transition is Transition.LAUNCHING and is_terminating(state):
            # The launch is over; the terminating hook has its own action and its own event.
            return Completion.ALREADY_ENDED_GONE
        if is_in_service(state):
            return Completion.ALREADY_ENDED_IN_SERVICE
        if action.transition is Transition.TERMINATING and launches_again(state):
            return Completion.ALREADY_ENDED_LAUNCHING_AGAIN
        into_pool = action.transition is Transition.LAUNCHING and is_entering_warm_pool(state)
        if is_in_warm_pool(state) or into_pool:
            return Completion.ALREADY_ENDED_IN_WARM_POOL
        if is_held(state, action.transition):
            # Every hook of a transition holds the instance at once; ours is done with it.
            return Completion.ALREADY_ENDED_HELD_BY_ANOTHER_HOOK
        if is_retained(state):
            raise Permanent(
                f"{action.instance_id} is {state}: its lifecycle action ended before the proof; "
                "terminate it with TerminateInstanceInAutoScalingGroup"
            )
        require_known(action.instance_id, state)
        raise UnexpectedState(f"no active lifecycle action, yet {action.instance_id} is {state}")


def _read(group: "AutoScalingGroupTypeDef") -> Group:
    policy = group.get("InstanceLifecyclePolicy", {}).get("RetentionTriggers", {})
    members = group.get("Instances", [])
    return Group(
        states={one["InstanceId"]: one["LifecycleState"] for one in members},
        weights={one["InstanceId"]: int(one.get("WeightedCapacity", 1)) for one in members},
        desired_capacity=group["DesiredCapacity"],
        retains_on_abandon=policy.get("TerminateHookAbandon") == "retain",
    )


def _named(action: LifecycleAction) -> "RecordLifecycleActionHeartbeatTypeTypeDef":
    named: RecordLifecycleActionHeartbeatTypeTypeDef = {
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
