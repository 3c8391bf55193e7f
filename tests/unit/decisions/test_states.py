"""What each lifecycle state means for an instance's logs."""

from collections.abc import Callable

import botocore.session
import pytest

from lifecycle.decisions import states
from lifecycle.decisions.states import LifecycleState, is_held, is_leaving, require_known
from lifecycle.errors import UnexpectedState
from lifecycle.messages import Transition
from tests.support.messages import INSTANCE_ID

EVERY = {*LifecycleState}
PENDING = {"Pending", "Pending:Wait", "Pending:Proceed"}
AT_REST_IN_THE_POOL = {"Warmed:Running", "Warmed:Stopped", "Warmed:Hibernated"}
GONE = {"Terminating:Proceed", "Terminated", "Warmed:Terminating:Proceed", "Warmed:Terminated"}
BEFORE_THE_REPLACEMENT = {"ReplacingRootVolume", "ReplacingRootVolume:Wait"}
DRAINED_BY_A_PIPELINE = {
    *("Terminating", "Terminating:Wait", "Warmed:Terminating", "Warmed:Terminating:Wait"),
    *BEFORE_THE_REPLACEMENT,
}
STAYING = {
    *PENDING,
    *("InService", "EnteringStandby", "Standby", "Detaching", "Detached", "Quarantined"),
    "RootVolumeReplaced",
    *AT_REST_IN_THE_POOL,
}
# Each question, the states in which the answer is yes, and the answer for one that is gone.
QUESTIONS: list[tuple[Callable[[str], bool], set[str], bool | None]] = [
    (states.is_in_service, {"InService"}, None),
    # Only an instance in service, or on its way there, may be registered.
    (states.may_serve, {*PENDING, "InService", "RootVolumeReplaced"}, False),
    (states.is_leaving, EVERY - STAYING, True),
    (
        states.is_terminating,
        {one for one in EVERY - STAYING if not one.startswith("Warmed:Pending")},
        None,
    ),
    # Past its last hook, and not before.
    (states.has_left, GONE, True),
    # Gone, or on its way back into service: nothing waits for it any more.
    (
        states.has_ended,
        {*GONE, *PENDING, "InService", "ReplacingRootVolume:Proceed", "RootVolumeReplaced"},
        True,
    ),
    (states.is_retained, {one for one in EVERY if one.endswith(":Retained")}, None),
    (
        states.is_leaving_warm_pool,
        {one for one in EVERY if one.startswith("Warmed:Terminating")}
        - {"Warmed:Terminating:Retained"},
        False,
    ),
    (states.is_in_warm_pool, {*AT_REST_IN_THE_POOL, "Warmed:Pending:Proceed"}, False),
    (states.is_entering_warm_pool, {"Warmed:Pending:Wait"}, None),
    (states.is_root_volume_held, {"ReplacingRootVolume:Wait"}, None),
    (states.launches_again, {*PENDING, "ReplacingRootVolume:Proceed", "RootVolumeReplaced"}, None),
    # Neither on the way into service, nor drained by a pipeline.
    (
        states.is_out_of_service,
        EVERY
        - DRAINED_BY_A_PIPELINE
        - {*PENDING, "InService", "RootVolumeReplaced", "Warmed:Pending", "Warmed:Pending:Wait"},
        None,
    ),
]


@pytest.mark.parametrize(
    ("question", "yes", "gone"), QUESTIONS, ids=[one.__name__ for one, _, _ in QUESTIONS]
)
def test_a_question_is_answered_for_every_state(
    question: Callable[[str | None], bool], yes: set[str], *, gone: bool | None
) -> None:
    assert {state for state in LifecycleState if question(state)} == yes
    assert gone is None or question(None) is gone


def test_a_hook_holds_an_instance_that_waits_and_no_other() -> None:
    held = {one: {state for state in EVERY if is_held(state, one)} for one in Transition}
    assert held == {
        Transition.LAUNCHING: {"Pending:Wait"},
        Transition.TERMINATING: {
            "Terminating:Wait",
            "ReplacingRootVolume:Wait",
            "Warmed:Pending:Wait",
            "Warmed:Terminating:Wait",
        },
    }


def test_every_state_of_the_api_is_listed_and_no_other() -> None:
    model = botocore.session.get_session().get_service_model("autoscaling")
    assert set(getattr(model.shape_for("LifecycleState"), "enum", ())) == EVERY


@pytest.mark.parametrize("state", [None, *LifecycleState])
def test_every_state_of_the_api_is_known(state: str | None) -> None:
    assert states.is_known(state)
    require_known(INSTANCE_ID, state)


def test_an_instance_whose_root_volume_is_replaced_leaves_and_launches_again() -> None:
    before = {*BEFORE_THE_REPLACEMENT, "ReplacingRootVolume:Proceed"}
    assert all(is_leaving(state) and states.is_terminating(state) for state in before)
    assert not any(states.has_left(state) for state in [*before, "RootVolumeReplaced"])


@pytest.mark.parametrize(
    "state",
    [
        *("Resting", "", "inservice", "InService ", "Resting:Wait", "Pending:Reviewed"),
        *("Terminating:Later", "Warmed:Pending:Late"),
    ],
)
def test_a_state_that_aws_adds_later_means_nothing_and_says_to_keep_the_instance(
    state: str,
) -> None:
    with pytest.raises(UnexpectedState, match="keep the instance, discard nothing") as caught:
        require_known(INSTANCE_ID, state)
    assert f"{INSTANCE_ID} is in the lifecycle state {state!r}" in str(caught.value)
    assert not any(question(state) for question, _, _ in QUESTIONS)
    assert not any(is_held(state, transition) for transition in Transition)
