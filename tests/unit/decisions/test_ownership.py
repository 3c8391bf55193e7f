"""Whose an instance is: by its own tag, or as a member of our group."""

import pytest

from lifecycle.decisions.ownership import (
    Module,
    Ownership,
    Whereabouts,
    may_be_ours,
    ownership_of,
)

MODULE = Module("fluentd", "aggregators")
SERVING = ("Pending", "Pending:Wait", "Pending:Proceed", "InService", "RootVolumeReplaced")


@pytest.mark.parametrize(
    ("found", "ownership"),
    [
        (Whereabouts("aggregators", "InService"), Ownership.MEMBER),
        (Whereabouts("aggregators", None), Ownership.MEMBER),  # gone, and its tag is still there
        (Whereabouts("aggregators", "InService", "other"), Ownership.MEMBER),  # attached to us
        (Whereabouts(None, None, "fluentd"), Ownership.LEFT),
        (Whereabouts("others", None, "fluentd"), Ownership.LEFT),
        (Whereabouts("others", "Terminating:Wait", "fluentd"), Ownership.LEFT),
        (Whereabouts("others", "Standby", "fluentd"), Ownership.LEFT),
        *(
            (Whereabouts("others", state, "fluentd"), Ownership.SERVES_ELSEWHERE)
            for state in SERVING
        ),
        # Without an owner a state tag counts in our own group only.
        (Whereabouts(None, None), Ownership.FOREIGN),
        (Whereabouts("others", "Terminating:Wait"), Ownership.FOREIGN),
        (Whereabouts("others", "Terminating:Wait", "other"), Ownership.FOREIGN),
    ],
)
def test_its_own_tag_or_its_place_in_our_group_makes_it_ours(
    found: Whereabouts, ownership: Ownership
) -> None:
    assert ownership_of(MODULE, found) is ownership


@pytest.mark.parametrize(
    ("ownership", "may_be_touched", "is_out_of_group"),
    [
        (Ownership.MEMBER, True, False),
        (Ownership.LEFT, True, True),
        (Ownership.SERVES_ELSEWHERE, False, True),
        (Ownership.FOREIGN, False, False),
    ],
)
def test_what_another_group_holds_in_service_is_not_touched(
    ownership: Ownership, may_be_touched: bool, is_out_of_group: bool
) -> None:
    assert ownership.may_be_touched is may_be_touched
    assert ownership.is_out_of_group is is_out_of_group


def test_a_tag_that_is_missing_proves_no_other_group() -> None:
    found = [Whereabouts("aggregators", None), Whereabouts(None, None), Whereabouts("others", None)]
    assert [may_be_ours(MODULE, one) for one in found] == [True, True, False]
    assert may_be_ours(MODULE, Whereabouts("others", None, "fluentd"))
