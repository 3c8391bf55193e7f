"""Ends that no hook held up, judged by what the instance left behind."""

from dataclasses import replace

import pytest

from lifecycle.decisions.instance import Instance
from lifecycle.decisions.interruption import Ending, how_it_ended
from lifecycle.decisions.marks import Mark, MarkKind
from lifecycle.events import Interruption, Signal
from tests.support.messages import GROUP, INSTANCE_ID, NOW

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
