"""Ends that no hook held up, judged by what the instance left behind."""

import pytest

from lifecycle.decisions.interruption import Ending, Traces, how_it_ended
from lifecycle.decisions.marks import Mark, MarkKind
from lifecycle.events import Interruption, Signal
from tests.support.messages import GROUP, INSTANCE_ID, NOW

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
