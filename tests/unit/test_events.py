"""Events: nothing malformed passes, and what is wrong is named."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import Malformed
from lifecycle.events import (
    Interruption,
    LifecycleEvent,
    Location,
    Signal,
    parse_interruption,
    parse_lifecycle_event,
)
from lifecycle.messages import Transition
from tests.support.messages import (
    GROUP,
    INSTANCE_ID,
    LAUNCH_HOOK,
    NOT_INSTANCE_IDS,
    NOW,
    TERMINATE_HOOK,
    TOKEN,
    launch_event,
    rebalance_event,
    shutting_down_event,
    spot_event,
    terminate_event,
    termination_event,
)


def problem_of(event: object) -> str:
    with pytest.raises(Malformed) as caught:
        parse_lifecycle_event(event)
    return str(caught.value)


class TestLifecycleEvents:
    def test_a_launch_is_read_with_its_origin_and_destination(self) -> None:
        event = parse_lifecycle_event(launch_event())
        assert event.action.transition is Transition.LAUNCHING
        assert event.action.lifecycle_hook_name == LAUNCH_HOOK
        assert (event.origin, event.destination) == (Location.EC2, Location.AUTO_SCALING_GROUP)

    def test_a_termination_is_read_with_the_time_at_which_its_wait_began(self) -> None:
        action = parse_lifecycle_event(terminate_event()).action
        assert action.model_dump() == {
            "autoscaling_group_name": GROUP,
            "lifecycle_hook_name": TERMINATE_HOOK,
            "lifecycle_action_token": TOKEN,
            "instance_id": INSTANCE_ID,
            "transition": Transition.TERMINATING,
            "started_at": NOW,
        }

    def test_an_event_without_origin_and_destination_is_fine(self) -> None:
        event = parse_lifecycle_event(terminate_event(Origin=None, Destination=None))
        assert (event.origin, event.destination) == (None, None)

    def test_an_instance_id_of_the_old_short_form_is_fine(self) -> None:
        assert parse_lifecycle_event(
            terminate_event(EC2InstanceId="i-0123abcd")
        ).action.instance_id == ("i-0123abcd")

    def test_fields_that_aws_adds_later_are_no_problem(self) -> None:
        event = terminate_event(NotificationMetadata="whatever", Novelty={"deep": [1, None]})
        event["novelty"] = True
        assert parse_lifecycle_event(event) == parse_lifecycle_event(terminate_event())

    def test_the_token_of_a_documented_sample_passes(self) -> None:
        token = "05e7e05e-05e7-05e7-05e7-05e7eEXAMPLE"
        parsed = parse_lifecycle_event(terminate_event(LifecycleActionToken=token))
        assert parsed.action.lifecycle_action_token == token

    @pytest.mark.parametrize("instance_id", NOT_INSTANCE_IDS)
    def test_what_is_no_instance_id_never_passes(self, instance_id: str) -> None:
        problem = problem_of(terminate_event(EC2InstanceId=instance_id))
        assert "detail.EC2InstanceId" in problem
        assert repr(instance_id) in problem

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("LifecycleActionToken", "short"),
            ("LifecycleActionToken", TOKEN + "\n"),
            ("LifecycleActionToken", 36 * " "),
            ("LifecycleActionToken", 87654321),
            ("AutoScalingGroupName", ""),
            ("AutoScalingGroupName", 256 * "g"),
            ("AutoScalingGroupName", ["g"]),
            ("LifecycleHookName", ""),
            ("LifecycleHookName", {}),
            ("EC2InstanceId", 17),
            ("LifecycleTransition", "autoscaling:EC2_INSTANCE_RESTING"),
            ("LifecycleTransition", "launching"),
            ("Origin", 7),
            ("Destination", ["WarmPool"]),
        ],
    )
    def test_a_wrong_member_is_named_with_its_value(self, field: str, value: object) -> None:
        problem = problem_of(terminate_event(**{field: value}))
        assert f"detail.{field}: " in problem
        assert repr(value)[:100] in problem

    @pytest.mark.parametrize(
        "field",
        [
            "LifecycleActionToken",
            "AutoScalingGroupName",
            "LifecycleHookName",
            "EC2InstanceId",
            "LifecycleTransition",
        ],
    )
    def test_a_missing_member_is_named(self, field: str) -> None:
        assert problem_of(terminate_event(**{field: None})) == (
            f"lifecycle event: detail.{field}: is missing"
        )

    @pytest.mark.parametrize(
        "time",
        [
            None,
            "",
            "yesterday",
            "2023-11-14T22:13:20",
            "1970-01-01T00:00:00Z",
            "1960-01-01T00:00:00Z",
            "0001-01-01T00:00:00+14:00",
            [],
        ],
    )
    def test_a_time_that_is_no_moment_of_this_age_is_named_with_its_value(
        self, time: object
    ) -> None:
        problem = problem_of({**terminate_event(), "time": time})
        assert problem.startswith("lifecycle event: time: ")
        assert repr(time) in problem

    def test_every_problem_is_in_the_one_message(self) -> None:
        event = terminate_event(EC2InstanceId="x", LifecycleHookName=None, Origin=7)
        problem = problem_of({**event, "source": "aws.ec2"})
        for field in ("source", "detail.EC2InstanceId", "detail.LifecycleHookName", "Origin"):
            assert field in problem

    @pytest.mark.parametrize("event", [None, [], "text", 7, {}, {"detail": None}])
    def test_what_is_no_event_at_all_is_malformed(self, event: object) -> None:
        assert problem_of(event).startswith("lifecycle event: ")

    def test_a_long_value_is_cut_short(self) -> None:
        assert len(problem_of(terminate_event(EC2InstanceId=10_000 * "x"))) < 400

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda children: st.lists(children) | st.dictionaries(st.text(), children),
        )
    )
    def test_no_document_raises_anything_but_malformed(self, document: object) -> None:
        event = {**terminate_event(), "detail": document}
        for broken in (document, event, {**terminate_event(), "time": document}):
            try:
                parsed = parse_lifecycle_event(broken)
            except Malformed:
                continue
            assert isinstance(parsed, LifecycleEvent)


def without(event: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key != name}


class TestInterruptions:
    @pytest.mark.parametrize(
        ("event", "signal", "is_notice"),
        [
            (spot_event(), Signal.SPOT_INTERRUPTION_WARNING, True),
            (rebalance_event(), Signal.REBALANCE_RECOMMENDATION, True),
            (shutting_down_event(), Signal.SHUTTING_DOWN, False),
            (shutting_down_event(state="stopping"), Signal.STOPPING, False),
        ],
    )
    def test_an_event_of_ec2_is_read_as_ec2_writes_it(
        self, event: dict[str, Any], signal: Signal, *, is_notice: bool
    ) -> None:
        began_at = NOW if signal.is_state_change else None
        assert parse_interruption(event) == Interruption(signal, INSTANCE_ID, started_at=began_at)
        assert signal.is_notice is is_notice

    def test_only_ends_and_stops_are_changes_of_state(self) -> None:
        changes = {one for one in Signal if one.is_state_change}
        assert changes == {Signal.SHUTTING_DOWN, Signal.STOPPING}

    def test_of_no_group_tells_ec2_alone(self) -> None:
        told_by_ec2 = {signal for signal in Signal if signal.is_from_ec2}
        assert told_by_ec2 == {
            Signal.SPOT_INTERRUPTION_WARNING,
            Signal.REBALANCE_RECOMMENDATION,
            Signal.SHUTTING_DOWN,
            Signal.STOPPING,
        }

    @pytest.mark.parametrize(
        "state", ["pending", "running", "stopped", "terminated", "Shutting-down", "Stopping", ""]
    )
    def test_no_other_change_of_state_is_taken_for_an_end(self, state: str) -> None:
        with pytest.raises(Malformed, match="state"):
            parse_interruption(shutting_down_event(state=state))

    def test_a_termination_is_read_as_auto_scaling_writes_it(self) -> None:
        ended = Interruption(
            Signal.TERMINATION_SUCCESSFUL,
            INSTANCE_ID,
            autoscaling_group_name=GROUP,
            origin="AutoScalingGroup",
            destination="EC2",
            started_at=NOW,
        )
        assert parse_interruption(termination_event()) == ended
        assert not ended.signal.is_notice

    def test_a_termination_that_failed_is_told_from_one_that_did_not(self) -> None:
        event = termination_event() | {"detail-type": "EC2 Instance Terminate Unsuccessful"}
        assert parse_interruption(event).signal is Signal.TERMINATION_UNSUCCESSFUL

    @pytest.mark.parametrize("left_out", ["Origin", "Destination", "StartTime"])
    def test_what_only_refines_the_verdict_may_be_missing(self, left_out: str) -> None:
        interruption = parse_interruption(termination_event(**{left_out: None}))
        assert interruption.instance_id == INSTANCE_ID

    def test_fields_that_aws_adds_later_are_no_problem(self) -> None:
        event = spot_event()
        event["detail"]["new"] = event["new"] = {"a": 1}
        assert parse_interruption(event).instance_id == INSTANCE_ID

    @pytest.mark.parametrize(
        ("event", "named"),
        [
            (None, "(whole)"),
            ([], "(whole)"),
            ({}, "source"),
            (spot_event() | {"source": "aws.somewhere"}, "source"),
            (spot_event() | {"detail-type": "EC2 Instance Launch Successful"}, "detail-type"),
            (without(spot_event(), "detail-type"), "detail-type"),
            (spot_event() | {"detail-type": "EC2 Instance State-change Notification"}, "state"),
            (shutting_down_event() | {"source": "aws.autoscaling"}, "detail-type"),
            (without(shutting_down_event(), "detail"), "detail"),
            (shutting_down_event() | {"detail": {"instance-id": INSTANCE_ID}}, "state"),
            (shutting_down_event() | {"detail": {"state": "shutting-down"}}, "instance-id"),
            (shutting_down_event("not-an-id"), "instance-id"),
            (without(spot_event(), "detail"), "detail"),
            (spot_event() | {"detail": {}}, "instance-id"),
            (spot_event() | {"detail": {"instance-id": 'i-1"} or vector(0)'}}, "instance-id"),
            (terminate_event(), "detail-type"),
            (termination_event(EC2InstanceId=None), "EC2InstanceId"),
            (termination_event(EC2InstanceId=""), "EC2InstanceId"),
            (termination_event(AutoScalingGroupName=None), "AutoScalingGroupName"),
            (termination_event(StartTime="yesterday"), "StartTime"),
            (termination_event(Origin=7), "Origin"),
        ],
    )
    def test_an_event_of_another_form_names_what_is_wrong(self, event: object, named: str) -> None:
        with pytest.raises(Malformed, match="interruption event: ") as caught:
            parse_interruption(event)
        assert named in str(caught.value)
