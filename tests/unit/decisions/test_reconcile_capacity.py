"""How much of the desired capacity is not in service."""

import pytest

from lifecycle.decisions.reconcile import HookLimits, Sighting, Snapshot


def look(*members: Sighting, desired: int, **weights: int) -> Snapshot:
    return Snapshot(
        now=0.0,
        hooks=HookLimits(launch=None, terminate=3600),
        sightings={one.id: one for one in members},
        weights=weights,
        desired_capacity=desired,
        retains_on_abandon=True,
    )


@pytest.mark.parametrize(
    ("states", "desired", "missing"),
    [
        (["InService", "InService"], 2, 0),
        (["InService", "InService"], 1, 0),
        (["InService", "Pending:Wait"], 2, 1),
        (["InService", "Terminating:Wait"], 1, 0),
        (["InService", "Standby"], 2, 1),
        (["InService", "Warmed:Stopped"], 2, 1),
        (["InService", "ReplacingRootVolume:Wait"], 2, 1),
        (["InService", "AStateThatAwsAddsLater"], 2, 1),
        ([], 3, 3),
        ([], 0, 0),
    ],
)
def test_capacity_that_is_not_in_service_is_missing_whatever_the_cause(
    states: list[str], desired: int, missing: int
) -> None:
    members = [Sighting(f"i-{number}", state=state) for number, state in enumerate(states)]
    assert look(*members, desired=desired).missing_capacity == missing


def test_capacity_is_counted_in_the_units_of_a_group_with_weights() -> None:
    members = [Sighting("i-1", state="InService"), Sighting("i-2", state="InService")]
    weights = {"i-1": 4, "i-2": 2}
    assert look(*members, desired=8, **weights).missing_capacity == 2
    assert look(*members, desired=5, **weights).missing_capacity == 0
    # One that joined after the group was described has no weight yet.
    assert look(*members, desired=6, **{"i-1": 4}).missing_capacity == 1
