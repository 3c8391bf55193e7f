"""What AWS says of ends that no hook holds up, read, and judged by what an instance left behind."""

from typing import Any

import pytest

from lifecycle.decisions.interruption import Ending, Traces, how_it_ended
from lifecycle.decisions.marks import Mark, MarkKind
from lifecycle.errors import Malformed
from lifecycle.events import Interruption, Signal, parse_interruption
from tests.support.messages import (
    GROUP,
    INSTANCE_ID,
    NOW,
    rebalance_event,
    shutting_down_event,
    spot_event,
    terminate_event,
    termination_event,
)

ENDED = Interruption(
    Signal.TERMINATION_SUCCESSFUL,
    INSTANCE_ID,
    autoscaling_group_name=GROUP,
    origin="AutoScalingGroup",
    destination="EC2",
    started_at=NOW,
)
FROM_POOL = Interruption(
    Signal.TERMINATION_SUCCESSFUL, INSTANCE_ID, GROUP, "WarmPool", "EC2", started_at=NOW
)


def ended(
    mark: Mark | None,
    *,
    termination: Interruption = ENDED,
    is_known: bool = True,
    is_counted: bool = False,
    may_be_registered: bool | None = True,
) -> Ending:
    traces = Traces(
        is_known=is_known,
        mark=mark,
        is_counted=is_counted,
        may_be_registered=may_be_registered,
    )
    return how_it_ended(termination, traces)


def test_a_spot_warning_is_read_as_ec2_writes_it() -> None:
    expected = Interruption(Signal.SPOT_INTERRUPTION_WARNING, INSTANCE_ID)
    assert parse_interruption(spot_event()) == expected
    assert expected.signal.is_notice


def test_a_rebalance_recommendation_is_read_as_ec2_writes_it() -> None:
    expected = Interruption(Signal.REBALANCE_RECOMMENDATION, INSTANCE_ID)
    assert parse_interruption(rebalance_event()) == expected
    assert expected.signal.is_notice


def test_an_instance_that_shuts_down_is_read_as_ec2_writes_it() -> None:
    expected = Interruption(Signal.SHUTTING_DOWN, INSTANCE_ID)
    assert parse_interruption(shutting_down_event()) == expected
    assert not expected.signal.is_notice


def test_of_no_group_tells_ec2_alone() -> None:
    told_by_ec2 = {signal for signal in Signal if signal.is_from_ec2}
    assert told_by_ec2 == {
        Signal.SPOT_INTERRUPTION_WARNING,
        Signal.REBALANCE_RECOMMENDATION,
        Signal.SHUTTING_DOWN,
    }


@pytest.mark.parametrize(
    "state", ["pending", "running", "stopping", "stopped", "terminated", "Shutting-down", ""]
)
def test_no_other_change_of_state_is_taken_for_an_end(state: str) -> None:
    with pytest.raises(Malformed, match="state"):
        parse_interruption(shutting_down_event(state=state))


def test_a_termination_is_read_as_auto_scaling_writes_it() -> None:
    assert parse_interruption(termination_event()) == ENDED
    assert not ENDED.signal.is_notice


def test_a_termination_that_failed_is_told_from_one_that_did_not() -> None:
    event = termination_event() | {"detail-type": "EC2 Instance Terminate Unsuccessful"}
    assert parse_interruption(event).signal is Signal.TERMINATION_UNSUCCESSFUL


@pytest.mark.parametrize("left_out", ["Origin", "Destination", "StartTime"])
def test_what_only_refines_the_verdict_may_be_missing(left_out: str) -> None:
    interruption = parse_interruption(termination_event(**{left_out: None}))
    assert interruption.instance_id == INSTANCE_ID


def test_fields_that_aws_adds_later_are_no_problem() -> None:
    event = spot_event()
    event["detail"]["new"] = event["new"] = {"a": 1}
    assert parse_interruption(event).instance_id == INSTANCE_ID


def without(event: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key != name}


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
def test_an_event_of_another_form_names_what_is_wrong(event: object, named: str) -> None:
    with pytest.raises(Malformed, match="interruption event: ") as caught:
        parse_interruption(event)
    assert named in str(caught.value)


def test_a_proof_of_this_termination_is_a_clean_end() -> None:
    assert ended(Mark(MarkKind.PROVEN, NOW + 600)) is Ending.PROVEN
    # Should the activity begin only when the hook lets go.
    assert ended(Mark(MarkKind.PROVEN, NOW - 60)) is Ending.PROVEN


def test_a_proof_of_an_earlier_life_in_a_warm_pool_proves_nothing() -> None:
    assert ended(Mark(MarkKind.PROVEN, NOW - 3600)) is Ending.NOT_PROVEN


def test_the_proof_of_a_retained_instance_holds_until_a_person_ends_it() -> None:
    assert ended(Mark(MarkKind.RETAINED, NOW - 30 * 86400)) is Ending.PROVEN


def test_a_proof_that_cannot_be_dated_proves_nothing() -> None:
    undated = Interruption(Signal.TERMINATION_SUCCESSFUL, INSTANCE_ID, GROUP)
    mark = Mark(MarkKind.PROVEN, NOW)
    assert ended(mark, termination=undated) is Ending.NOT_PROVEN


@pytest.mark.parametrize("kind", [MarkKind.LAUNCHING, MarkKind.TERMINATING, MarkKind.RECLAIMED])
@pytest.mark.parametrize("termination", [ENDED, FROM_POOL])
def test_an_instance_that_was_not_proven_ended_uncleanly(
    kind: MarkKind, termination: Interruption
) -> None:
    ending = ended(Mark(kind, NOW), termination=termination, may_be_registered=False)
    assert ending is Ending.NOT_PROVEN
    assert ending.is_unclean


def test_an_instance_that_ec2_does_not_know_any_more_ended_uncleanly() -> None:
    ending = ended(None, is_known=False, may_be_registered=False, termination=FROM_POOL)
    assert ending is Ending.UNKNOWN_TO_EC2
    assert ending.is_unclean


def test_one_end_is_counted_once() -> None:
    ending = ended(Mark(MarkKind.TERMINATING, NOW), is_counted=True)
    assert ending is Ending.ALREADY_COUNTED
    assert not ending.is_unclean


def test_a_launch_that_was_abandoned_before_its_registration_is_no_loss() -> None:
    ending = ended(None, may_be_registered=False)
    assert ending is Ending.NEVER_REGISTERED
    assert not ending.is_unclean


@pytest.mark.parametrize("registered", [True, None])
def test_an_instance_without_a_mark_that_may_have_served_ended_uncleanly(
    registered: bool | None,
) -> None:
    assert ended(None, may_be_registered=registered) is Ending.NOT_PROVEN


def test_an_instance_that_never_left_the_warm_pool_is_no_loss() -> None:
    assert ended(None, termination=FROM_POOL, may_be_registered=None) is Ending.NEVER_IN_SERVICE


def test_an_old_proof_holds_for_an_instance_that_stayed_in_the_warm_pool() -> None:
    assert ended(Mark(MarkKind.PROVEN, NOW - 86400), termination=FROM_POOL) is Ending.PROVEN


def test_one_that_was_let_into_the_pool_and_never_out_of_it_has_received_nothing() -> None:
    mark = Mark(MarkKind.POOLED, NOW - 86400)
    assert ended(mark, termination=FROM_POOL) is Ending.NEVER_IN_SERVICE
    assert ended(mark) is Ending.NOT_PROVEN
