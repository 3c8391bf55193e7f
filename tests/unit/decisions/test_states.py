"""What each lifecycle state means for an instance's logs."""

import botocore.session
import pytest

from lifecycle.decisions.states import (
    LifecycleState,
    has_ended,
    has_left,
    is_entering_warm_pool,
    is_held,
    is_in_service,
    is_in_warm_pool,
    is_known,
    is_launch_held,
    is_leaving,
    is_leaving_warm_pool,
    is_out_of_service,
    is_retained,
    is_root_volume_held,
    is_terminating,
    launches_again,
    may_serve,
    require_known,
)
from lifecycle.errors import UnexpectedState
from lifecycle.messages import Transition
from tests.support.messages import INSTANCE_ID


def test_only_an_instance_in_service_or_on_its_way_there_may_be_registered() -> None:
    serving = {state for state in LifecycleState if may_serve(state)}
    assert serving == {
        "Pending",
        "Pending:Wait",
        "Pending:Proceed",
        "InService",
        "RootVolumeReplaced",
    }
    assert not may_serve(None)


def test_an_instance_in_service_at_rest_or_on_its_way_there_is_not_leaving() -> None:
    staying = {state for state in LifecycleState if not is_leaving(state)}
    assert staying == {
        "Pending",
        "Pending:Wait",
        "Pending:Proceed",
        "InService",
        "EnteringStandby",
        "Standby",
        "Detaching",
        "Detached",
        "Quarantined",
        "RootVolumeReplaced",
        "Warmed:Running",
        "Warmed:Stopped",
        "Warmed:Hibernated",
    }
    assert is_leaving(None)


def test_only_an_instance_that_is_gone_or_on_its_way_back_into_service_waits_no_more() -> None:
    waits_no_more = {state for state in LifecycleState if has_ended(state)}
    assert waits_no_more == {
        "InService",
        "Pending",
        "Pending:Wait",
        "Pending:Proceed",
        "ReplacingRootVolume:Proceed",
        "RootVolumeReplaced",
        "Terminating:Proceed",
        "Terminated",
        "Warmed:Terminating:Proceed",
        "Warmed:Terminated",
    }
    assert has_ended(None)


def test_only_an_instance_that_leaves_the_pool_for_good_is_let_go_for_what_it_was_before() -> None:
    leaving = {state for state in LifecycleState if is_leaving_warm_pool(state)}
    out_of_the_pool = {state for state in LifecycleState if state.startswith("Warmed:Terminating")}
    assert leaving == out_of_the_pool - {"Warmed:Terminating:Retained"}
    assert not is_leaving_warm_pool(None)


def test_an_instance_at_rest_in_the_pool_has_arrived_there() -> None:
    arrived = {state for state in LifecycleState if is_in_warm_pool(state)}
    assert arrived == {
        "Warmed:Pending:Proceed",
        "Warmed:Running",
        "Warmed:Stopped",
        "Warmed:Hibernated",
    }
    assert not is_in_warm_pool(None)


def test_an_instance_is_gone_past_its_last_hook_and_not_before() -> None:
    gone = {state for state in LifecycleState if has_left(state)}
    assert gone == {
        "Terminating:Proceed",
        "Terminated",
        "Warmed:Terminating:Proceed",
        "Warmed:Terminated",
    }
    assert has_left(None)


def test_a_hook_holds_an_instance_that_waits_and_no_other() -> None:
    held = {
        transition: {state for state in LifecycleState if is_held(state, transition)}
        for transition in Transition
    }
    assert held == {
        Transition.LAUNCHING: {"Pending:Wait"},
        Transition.TERMINATING: {
            "Terminating:Wait",
            "ReplacingRootVolume:Wait",
            "Warmed:Pending:Wait",
            "Warmed:Terminating:Wait",
        },
    }
    assert {state for state in LifecycleState if is_launch_held(state)} == {"Pending:Wait"}
    before = {state for state in LifecycleState if is_root_volume_held(state)}
    assert before == {"ReplacingRootVolume:Wait"}
    into_the_pool = {state for state in LifecycleState if is_entering_warm_pool(state)}
    assert into_the_pool == {"Warmed:Pending:Wait"}


def test_an_instance_that_a_pipeline_takes_out_is_not_called_out_of_service() -> None:
    taken_out_by_a_pipeline = {
        "Terminating",
        "Terminating:Wait",
        "ReplacingRootVolume",
        "ReplacingRootVolume:Wait",
        "Warmed:Terminating",
        "Warmed:Terminating:Wait",
    }
    on_their_way_in = {
        "Pending",
        "Pending:Wait",
        "Pending:Proceed",
        "InService",
        "RootVolumeReplaced",
        "Warmed:Pending",
        "Warmed:Pending:Wait",
    }
    out = {state for state in LifecycleState if is_out_of_service(state)}
    assert out == {*LifecycleState} - taken_out_by_a_pipeline - on_their_way_in


def test_a_retained_instance_says_so() -> None:
    retained = {state for state in LifecycleState if is_retained(state)}
    assert retained == {state for state in LifecycleState if state.endswith(":Retained")}


def test_every_state_of_the_api_is_listed_and_no_other() -> None:
    model = botocore.session.get_session().get_service_model("autoscaling")
    assert set(getattr(model.shape_for("LifecycleState"), "enum", ())) == {*LifecycleState}


@pytest.mark.parametrize("state", [None, *LifecycleState])
def test_every_state_of_the_api_is_known(state: str | None) -> None:
    assert is_known(state)
    require_known(INSTANCE_ID, state)


def test_an_instance_whose_root_volume_is_replaced_leaves_and_launches_again() -> None:
    before = ["ReplacingRootVolume", "ReplacingRootVolume:Wait", "ReplacingRootVolume:Proceed"]
    assert all(is_leaving(state) and is_terminating(state) for state in before)
    assert not any(has_left(state) for state in [*before, "RootVolumeReplaced"])
    again = {state for state in LifecycleState if launches_again(state)}
    assert again == {
        "ReplacingRootVolume:Proceed",
        "RootVolumeReplaced",
        "Pending",
        "Pending:Wait",
        "Pending:Proceed",
    }


def test_a_return_into_the_pool_leaves_without_terminating() -> None:
    leaving = {state for state in LifecycleState if is_leaving(state) and not is_terminating(state)}
    assert leaving == {state for state in LifecycleState if state.startswith("Warmed:Pending")}


@pytest.mark.parametrize(
    "state",
    [
        "Resting",
        "",
        "inservice",
        "InService ",
        "Resting:Wait",
        "Pending:Reviewed",
        "Terminating:Later",
        "Warmed:Pending:Late",
    ],
)
def test_a_state_that_aws_adds_later_means_nothing_and_says_to_keep_the_instance(
    state: str,
) -> None:
    with pytest.raises(UnexpectedState, match="keep the instance, discard nothing") as caught:
        require_known(INSTANCE_ID, state)
    assert f"{INSTANCE_ID} is in the lifecycle state {state!r}" in str(caught.value)
    assert not any(
        question(state)
        for question in (
            may_serve,
            is_in_service,
            is_leaving,
            has_left,
            has_ended,
            is_retained,
            is_leaving_warm_pool,
            is_in_warm_pool,
            is_launch_held,
            is_entering_warm_pool,
            is_out_of_service,
            is_root_volume_held,
            is_terminating,
            launches_again,
        )
    )
    assert not any(is_held(state, transition) for transition in Transition)
