"""Whose instance an event is about; ends that no hook held up, judged by what is left behind."""

from dataclasses import replace

import pytest

from lifecycle.decisions.instance import Instance
from lifecycle.decisions.interruption import (
    Ending,
    Fate,
    fate_of,
    how_it_ended,
    pause_seconds,
    why_not_ours,
)
from lifecycle.decisions.marks import Mark, MarkKind
from lifecycle.decisions.ownership import Module, Whereabouts
from lifecycle.errors import Malformed, MembershipUnknown, NotReady
from lifecycle.events import Interruption, Signal
from tests.support.messages import GROUP, INSTANCE_ID, NOW

MODULE = Module("fluentd", GROUP)
ENDED = Interruption(
    Signal.TERMINATION_SUCCESSFUL, INSTANCE_ID, GROUP, "AutoScalingGroup", "EC2", started_at=NOW
)
FROM_POOL = replace(ENDED, origin="WarmPool")
UNDATED = replace(ENDED, started_at=None)
GONE = Instance(INSTANCE_ID, "terminated", NOW - 86400, address=None, mark=None)
UNPROVEN = (MarkKind.LAUNCHING, MarkKind.TERMINATING, MarkKind.RECLAIMED)


@pytest.mark.parametrize(
    ("kind", "age", "termination", "ending"),
    [
        (MarkKind.PROVEN, -600, ENDED, Ending.PROVEN),
        (MarkKind.PROVEN, 60, ENDED, Ending.PROVEN),  # should the activity begin when the hook ends
        (MarkKind.PROVEN, 3600, ENDED, Ending.NOT_PROVEN),  # of an earlier life in a warm pool
        (MarkKind.PROVEN, 0, UNDATED, Ending.NOT_PROVEN),
        (MarkKind.PROVEN, 86400, FROM_POOL, Ending.PROVEN),  # it stayed in the pool since
        (MarkKind.RETAINED, 30 * 86400, ENDED, Ending.PROVEN),  # until the operator ends it
        (MarkKind.REPLACED, -5, ENDED, Ending.NOT_PROVEN),  # it served again
        (MarkKind.POOLED, 86400, FROM_POOL, Ending.NEVER_IN_SERVICE),
        (MarkKind.POOLED, 86400, ENDED, Ending.NOT_PROVEN),
        *((kind, 0, how, Ending.NOT_PROVEN) for kind in UNPROVEN for how in (ENDED, FROM_POOL)),
    ],
)
@pytest.mark.parametrize("may_have_served", [True, False])
def test_a_mark_says_whether_an_end_is_clean(
    kind: MarkKind, age: float, termination: Interruption, ending: Ending, *, may_have_served: bool
) -> None:
    instance = replace(GONE, mark=Mark(kind, NOW - age))
    found = how_it_ended(termination, instance, may_have_served=may_have_served)
    assert found is ending
    assert found.is_unclean == (ending is Ending.NOT_PROVEN)


@pytest.mark.parametrize(
    ("instance", "termination", "may_have_served", "ending", "is_unclean"),
    [
        (None, FROM_POOL, False, Ending.UNKNOWN_TO_EC2, True),
        (GONE, ENDED, True, Ending.NOT_PROVEN, True),
        (GONE, ENDED, False, Ending.NEVER_REGISTERED, False),  # an abandoned launch
        (GONE, FROM_POOL, True, Ending.NEVER_IN_SERVICE, False),
        (replace(GONE, is_counted=True), ENDED, True, Ending.ALREADY_COUNTED, False),
    ],
)
def test_without_a_mark_what_is_not_known_is_unclean(
    instance: Instance | None,
    termination: Interruption,
    may_have_served: bool,
    ending: Ending,
    is_unclean: bool,
) -> None:
    found = how_it_ended(termination, instance, may_have_served=may_have_served)
    assert (found, found.is_unclean) == (ending, is_unclean)


SPOT = Interruption(Signal.SPOT_INTERRUPTION_WARNING, INSTANCE_ID)
NOT_ENDED = replace(ENDED, signal=Signal.TERMINATION_UNSUCCESSFUL)
IN_SERVICE_AGAIN = ("InService", "Pending", "Pending:Wait")


@pytest.mark.parametrize(
    ("told", "group", "state", "reason"),
    [
        (SPOT, GROUP, "InService", None),
        (SPOT, GROUP, None, None),  # EC2 has its tag still
        (SPOT, None, None, "in no Auto Scaling group"),
        (SPOT, "others", None, "another Auto Scaling group"),
        (ENDED, None, None, None),
        (ENDED, GROUP, "Terminating:Wait", None),
        (
            replace(ENDED, autoscaling_group_name="others"),
            GROUP,
            None,
            "another Auto Scaling group",
        ),
        (replace(ENDED, destination="WarmPool"), GROUP, None, "it went into the warm pool"),
        (replace(ENDED, destination="AutoScalingGroup"), GROUP, None, "it stays in its group"),
        *((ENDED, GROUP, state, f"it is {state}") for state in IN_SERVICE_AGAIN),
        *((NOT_ENDED, GROUP, state, f"it is {state}") for state in IN_SERVICE_AGAIN),
    ],
)
def test_nothing_is_called_for_by_others_or_by_one_that_has_not_ended(
    told: Interruption, group: str | None, state: str | None, reason: str | None
) -> None:
    assert why_not_ours(told, Whereabouts(group, state), MODULE) == reason


SHUTTING_DOWN = Interruption(Signal.SHUTTING_DOWN, INSTANCE_ID, started_at=NOW)
ELSEWHERE = "another Auto Scaling group has it in service"


@pytest.mark.parametrize(
    ("told", "found", "reason"),
    [
        (SHUTTING_DOWN, Whereabouts(None, None, "fluentd"), None),
        (SHUTTING_DOWN, Whereabouts("others", "InService", "fluentd"), None),
        (SPOT, Whereabouts("others", "InService", "fluentd"), ELSEWHERE),
        (replace(ENDED, autoscaling_group_name="former"), Whereabouts(None, None, "fluentd"), None),
        (SHUTTING_DOWN, Whereabouts(None, None, "other"), "in no Auto Scaling group"),
    ],
)
def test_what_is_ours_by_its_tag_counts_outside_of_our_group(
    told: Interruption, found: Whereabouts, reason: str | None
) -> None:
    assert why_not_ours(told, found, MODULE) == reason


def test_a_proof_right_before_ec2s_event_is_one_of_this_end() -> None:
    for age, ending in ((100, Ending.PROVEN), (400, Ending.NOT_PROVEN)):
        proven = replace(GONE, mark=Mark(MarkKind.PROVEN, NOW - age))
        assert how_it_ended(SHUTTING_DOWN, proven, may_have_served=True) is ending


@pytest.mark.parametrize(
    ("error", "count", "age", "fate"),
    [
        (MembershipUnknown("throttled"), 1, 0, Fate.PUT_BACK),
        (MembershipUnknown("throttled"), 20, 1199, Fate.PUT_BACK),
        (MembershipUnknown("throttled"), 1, 1200, Fate.DROPPED),
        (NotReady("slow"), 2, 1e9, Fate.PUT_BACK),
        (NotReady("slow"), 3, 45, Fate.DEAD_LETTERED),
        (ValueError("anything"), 3, 45, Fate.DEAD_LETTERED),
        (Malformed("of another form"), 1, 0, Fate.DEAD_LETTERED),
    ],
)
def test_only_what_may_be_foreign_is_dropped_when_it_is_of_no_use(
    error: Exception, count: int, age: float, fate: Fate
) -> None:
    assert fate_of(error, count, age) is fate


def test_what_is_put_back_is_asked_again_less_and_less_often() -> None:
    assert [pause_seconds(count) for count in (1, 2, 3, 4, 5, 1000)] == [15, 30, 60, 120, 120, 120]
