"""Lifecycle actions: what AWS answers, and what that means for the instance."""

from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError

from lifecycle.adapters.autoscaling import AutoScaling, Completion, Heartbeat, Membership
from lifecycle.decisions.states import LifecycleState
from lifecycle.errors import Permanent, UnexpectedState
from lifecycle.messages import Transition
from tests.support.messages import GROUP, INSTANCE_ID, TERMINATE_HOOK, TOKEN, action
from tests.support.scripted import NO_ACTIVE_ACTION, THROTTLED, aws_error, scripted

LAUNCHING, TERMINATING = Transition.LAUNCHING, Transition.TERMINATING
GONE, IN_SERVICE, AGAIN, IN_WARM_POOL, HELD = (
    Completion.ALREADY_ENDED_GONE,
    Completion.ALREADY_ENDED_IN_SERVICE,
    Completion.ALREADY_ENDED_LAUNCHING_AGAIN,
    Completion.ALREADY_ENDED_IN_WARM_POOL,
    Completion.ALREADY_ENDED_HELD_BY_ANOTHER_HOOK,
)
NAMED = {
    "AutoScalingGroupName": GROUP,
    "LifecycleHookName": TERMINATE_HOOK,
    "LifecycleActionToken": TOKEN,
    "InstanceId": INSTANCE_ID,
}
RETAINED = {"Terminating:Retained", "Warmed:Pending:Retained", "Warmed:Terminating:Retained"}


def described(state: str | None, instance_id: str = INSTANCE_ID) -> dict[str, Any]:
    known = {"AutoScalingGroupName": GROUP, "InstanceId": instance_id, "LifecycleState": state}
    instances = [known] if state else []
    return {"AutoScalingInstances": instances}


def ended(state: str | None) -> AutoScaling:
    """A group in which the action is over and the instance is in this state."""
    return AutoScaling(
        scripted(
            complete_lifecycle_action=NO_ACTIVE_ACTION,
            describe_auto_scaling_instances=described(state),
        )
    )


def test_a_completion_names_group_hook_token_and_instance() -> None:
    client = scripted(complete_lifecycle_action={})
    assert AutoScaling(client).complete(action()) is Completion.COMPLETED
    assert client.calls == [
        ("complete_lifecycle_action", {**NAMED, "LifecycleActionResult": "CONTINUE"})
    ]


@pytest.mark.parametrize(
    "error",
    [
        THROTTLED,
        aws_error("ResourceContention"),
        aws_error("AccessDenied", "No active Lifecycle Action found, or so they say"),
        aws_error("ValidationError", "AutoScalingGroup name not found - no such group"),
        aws_error("ValidationError", "No Lifecycle Hook found with name x"),
        ReadTimeoutError(endpoint_url="https://autoscaling"),
    ],
)
def test_an_error_is_never_taken_for_an_action_that_has_ended(error: Exception) -> None:
    client = scripted(
        complete_lifecycle_action=error, describe_auto_scaling_instances=described(None)
    )
    with pytest.raises(type(error)):
        AutoScaling(client).complete(action())
    assert client.arguments_of("describe_auto_scaling_instances") == []


ENDINGS = {
    TERMINATING: {
        None: GONE,
        "Terminating:Proceed": GONE,
        "Terminated": GONE,
        "Warmed:Terminating:Proceed": GONE,
        "Warmed:Terminated": GONE,
        "InService": IN_SERVICE,
        "Warmed:Pending:Proceed": IN_WARM_POOL,
        "Warmed:Running": IN_WARM_POOL,
        "Warmed:Stopped": IN_WARM_POOL,
        "Warmed:Hibernated": IN_WARM_POOL,
        "ReplacingRootVolume:Proceed": AGAIN,
        "RootVolumeReplaced": AGAIN,
        "Pending": AGAIN,
        "Pending:Wait": AGAIN,
        "Pending:Proceed": AGAIN,
        "Terminating:Wait": HELD,
        "ReplacingRootVolume:Wait": HELD,
        "Warmed:Pending:Wait": HELD,
        "Warmed:Terminating:Wait": HELD,
    },
    LAUNCHING: {
        "Pending:Wait": HELD,
        "Warmed:Pending:Wait": IN_WARM_POOL,
        None: GONE,
        "Terminating": GONE,
        "Terminating:Wait": GONE,
        "Terminating:Proceed": GONE,
        "Terminating:Retained": GONE,
        "Terminated": GONE,
        "ReplacingRootVolume": GONE,
        "ReplacingRootVolume:Wait": GONE,
        "ReplacingRootVolume:Proceed": GONE,
        "Warmed:Terminating": GONE,
        "Warmed:Terminating:Wait": GONE,
        "Warmed:Terminating:Proceed": GONE,
        "Warmed:Terminating:Retained": GONE,
        "Warmed:Terminated": GONE,
        "InService": IN_SERVICE,
        "Warmed:Pending:Proceed": IN_WARM_POOL,
        "Warmed:Running": IN_WARM_POOL,
        "Warmed:Stopped": IN_WARM_POOL,
        "Warmed:Hibernated": IN_WARM_POOL,
    },
}


@pytest.mark.parametrize(
    ("transition", "state"),
    [(transition, state) for transition, states in ENDINGS.items() for state in states],
)
def test_an_action_that_has_ended_already_is_no_error(
    transition: Transition, state: str | None
) -> None:
    completion = ended(state).complete(action(transition))
    assert completion is ENDINGS[transition][state]


@pytest.mark.parametrize(
    ("transition", "state"),
    [
        (transition, state)
        for transition, states in ENDINGS.items()
        for state in sorted({*LifecycleState} - {*states} - RETAINED)
    ],
)
def test_no_active_action_in_a_state_that_no_ended_one_leaves_behind_is_unexpected(
    transition: Transition, state: str
) -> None:
    with pytest.raises(UnexpectedState, match=f"{INSTANCE_ID} is {state}"):
        ended(state).complete(action(transition))


@pytest.mark.parametrize("state", sorted(RETAINED))
def test_a_retained_instance_is_left_to_the_operator(state: str) -> None:
    with pytest.raises(Permanent, match="TerminateInstanceInAutoScalingGroup") as caught:
        ended(state).complete(action())
    assert f"{INSTANCE_ID} is {state}: " in str(caught.value)


@pytest.mark.parametrize("transition", Transition)
def test_a_completion_that_meets_a_state_that_is_not_known_says_to_keep_it(
    transition: Transition,
) -> None:
    with pytest.raises(UnexpectedState, match="keep the instance, discard nothing"):
        ended("AStateThatAwsAddsLater").complete(action(transition))


def test_a_state_is_unknown_while_auto_scaling_cannot_be_asked() -> None:
    client = scripted(
        complete_lifecycle_action=NO_ACTIVE_ACTION, describe_auto_scaling_instances=THROTTLED
    )
    with pytest.raises(ClientError, match="Rate exceeded"):
        AutoScaling(client).complete(action())


def test_the_answer_for_another_instance_is_not_taken() -> None:
    client = scripted(describe_auto_scaling_instances=described("InService", "i-0000000000000000f"))
    assert AutoScaling(client).lifecycle_state(INSTANCE_ID) is None
    assert client.calls[0][1] == {"InstanceIds": [INSTANCE_ID]}


def test_a_heartbeat_names_group_hook_token_and_instance() -> None:
    client = scripted(record_lifecycle_action_heartbeat={})
    assert AutoScaling(client).record_heartbeat(action()) == (Heartbeat.RECORDED, "")
    assert client.calls == [("record_lifecycle_action_heartbeat", NAMED)]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (NO_ACTIVE_ACTION, Heartbeat.NO_ACTIVE_ACTION),
        (THROTTLED, Heartbeat.FAILED),
        (aws_error("ValidationError", "AutoScalingGroup name not found"), Heartbeat.FAILED),
        (ConnectTimeoutError(endpoint_url="https://autoscaling"), Heartbeat.FAILED),
    ],
)
def test_a_heartbeat_that_fails_is_an_outcome_and_no_error(
    error: Exception, outcome: Heartbeat
) -> None:
    client = scripted(record_lifecycle_action_heartbeat=error)
    assert AutoScaling(client).record_heartbeat(action()) == (outcome, str(error))


GROUP_ANSWER: dict[str, Any] = {
    "AutoScalingGroupName": GROUP,
    "MinSize": 1,
    "DesiredCapacity": 2,
    "Instances": [{"InstanceId": INSTANCE_ID, "LifecycleState": "InService"}],
}


class TestGroup:
    def test_a_group_has_its_members(self) -> None:
        client = scripted(describe_auto_scaling_groups={"AutoScalingGroups": [GROUP_ANSWER]})
        group = AutoScaling(client).group(GROUP)
        assert group.states == {INSTANCE_ID: "InService"}
        assert (group.desired_capacity, group.weights) == (2, {INSTANCE_ID: 1})

    def test_a_member_has_the_weight_that_its_group_gives_its_instance_type(self) -> None:
        [member] = GROUP_ANSWER["Instances"]
        answer = GROUP_ANSWER | {"Instances": [member | {"WeightedCapacity": "4"}]}
        client = scripted(describe_auto_scaling_groups={"AutoScalingGroups": [answer]})
        assert AutoScaling(client).group(GROUP).weights == {INSTANCE_ID: 4}

    @pytest.mark.parametrize(
        ("policy", "retains"),
        [
            (None, False),
            ({}, False),
            ({"RetentionTriggers": {}}, False),
            ({"RetentionTriggers": {"TerminateHookAbandon": "terminate"}}, False),
            ({"RetentionTriggers": {"TerminateHookAbandon": "retain"}}, True),
        ],
    )
    def test_only_the_policy_itself_says_that_it_retains(
        self, policy: dict[str, object] | None, *, retains: bool
    ) -> None:
        answer = GROUP_ANSWER | ({} if policy is None else {"InstanceLifecyclePolicy": policy})
        client = scripted(describe_auto_scaling_groups={"AutoScalingGroups": [answer]})
        assert AutoScaling(client).group(GROUP).retains_on_abandon is retains

    @pytest.mark.parametrize("groups", [[], [GROUP_ANSWER | {"AutoScalingGroupName": "other"}]])
    def test_no_answer_about_a_group_is_no_empty_group(self, groups: list[object]) -> None:
        client = scripted(describe_auto_scaling_groups={"AutoScalingGroups": groups})
        with pytest.raises(UnexpectedState, match=f"there is no Auto Scaling group {GROUP}"):
            AutoScaling(client).group(GROUP)

    def test_members_are_looked_up_fifty_at_a_time_in_whatever_group_they_are(self) -> None:
        member = {
            "InstanceId": INSTANCE_ID,
            "AutoScalingGroupName": "other",
            "LifecycleState": "Standby",
        }
        client = scripted(
            describe_auto_scaling_instances=[
                {"AutoScalingInstances": [member]},
                {"AutoScalingInstances": []},
            ]
        )
        found = AutoScaling(client).memberships([f"i-{number:08x}" for number in range(51)])
        assert found == {INSTANCE_ID: Membership("other", "Standby")}
        asked = client.arguments_of("describe_auto_scaling_instances")
        assert [len(one["InstanceIds"]) for one in asked] == [50, 1]
