"""Whom the reconciler reports as out of the group, and whose owner tag it writes."""

from dataclasses import replace

import pytest

from lifecycle.decisions.instance import Instance
from lifecycle.decisions.marks import Mark, MarkKind
from lifecycle.decisions.ownership import Ownership
from lifecycle.decisions.reconcile import (
    CorrectionKind,
    HookLimits,
    Sighting,
    Snapshot,
    correction_of,
)

RUNNING = Instance("i-1", "running", 0.0, None, Mark(MarkKind.LAUNCHING, 0.0), owner="fluentd")
ENDED = replace(RUNNING, state="terminated")
PROVEN = Mark(MarkKind.PROVEN, 9.0)


def snapshot_of(sighting: Sighting) -> Snapshot:
    return Snapshot(
        now=10.0,
        hooks=HookLimits(launch=900, terminate=3600),
        sightings={sighting.id: sighting},
        weights={},
        desired_capacity=1,
        retains_on_abandon=True,
    )


@pytest.mark.parametrize(
    ("ownership", "instance", "is_reported"),
    [
        (Ownership.LEFT, RUNNING, True),
        (Ownership.SERVES_ELSEWHERE, RUNNING, True),
        (Ownership.LEFT, ENDED, True),
        (Ownership.LEFT, replace(ENDED, is_counted=True), False),
        (Ownership.LEFT, replace(ENDED, mark=PROVEN), False),
        (Ownership.LEFT, replace(RUNNING, mark=PROVEN), True),
        (Ownership.LEFT, None, False),
        (Ownership.MEMBER, RUNNING, False),
        (Ownership.FOREIGN, RUNNING, False),
    ],
)
def test_what_has_left_is_reported_until_its_end_is_accounted_for(
    ownership: Ownership, instance: Instance | None, *, is_reported: bool
) -> None:
    sighting = Sighting("i-1", instance=instance, ownership=ownership)
    assert snapshot_of(sighting).left == ([sighting] if is_reported else [])


@pytest.mark.parametrize(
    ("state", "instance", "is_written"),
    [
        ("InService", replace(RUNNING, owner=None), True),
        ("InService", replace(RUNNING, owner="another-module"), True),
        ("InService", RUNNING, False),
        ("InService", None, False),
        ("Standby", replace(RUNNING, owner=None), False),
    ],
)
def test_the_owner_is_written_on_who_serves_in_the_group(
    state: str, instance: Instance | None, *, is_written: bool
) -> None:
    found = snapshot_of(Sighting("i-1", state=state, instance=instance))
    assert found.unowned_by("fluentd") == (["i-1"] if is_written else [])


@pytest.mark.parametrize("ownership", [Ownership.FOREIGN, Ownership.SERVES_ELSEWHERE])
def test_a_registration_of_what_another_group_holds_stays(ownership: Ownership) -> None:
    sighting = Sighting(
        "i-1", is_elsewhere=True, is_registered=True, instance=ENDED, ownership=ownership
    )
    assert correction_of(sighting, snapshot_of(sighting)) is None


@pytest.mark.parametrize(("kind", "is_restarted"), [("launching", True), ("terminating", False)])
def test_a_wait_in_a_former_group_is_restarted_unless_it_is_under_way(
    kind: str, *, is_restarted: bool
) -> None:
    marked = replace(RUNNING, mark=Mark(MarkKind(kind), 0.0))
    held = Sighting(
        "i-1", is_elsewhere=True, waits_in="former", instance=marked, ownership=Ownership.LEFT
    )
    found = correction_of(held, snapshot_of(held))
    assert (found and found.kind) == (CorrectionKind.RESTART if is_restarted else None)
    assert found is None or found.reason == "held in former, and no pipeline is under way"
