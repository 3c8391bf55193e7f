"""What two looks at a group, at Cloud Map and at EC2 call for, and what they leave alone."""

from dataclasses import replace
from typing import Any

import pytest

from lifecycle.decisions.instance import Address, Instance
from lifecycle.decisions.marks import Mark, MarkKind
from lifecycle.decisions.reconcile import (
    Correction,
    CorrectionKind,
    HookLimits,
    Sighting,
    Snapshot,
    can_wait,
    confirmed,
    corrections,
)
from tests.support.messages import INSTANCE_ID, NOW, OTHER_INSTANCE_ID

HEARTBEAT, PROVEN_FOR = 600.0, 150.0
EC2_STATES = ["pending", "running", "shutting-down", "terminated", "stopping", "stopped"]
WAITS = [
    *("Pending:Wait", "Terminating:Wait", "ReplacingRootVolume:Wait"),
    *("Warmed:Pending:Wait", "Warmed:Terminating:Wait"),
]
# Every lifecycle state of the API's model, by what a registration in it means.
OUT_OF_SERVICE = [
    *("EnteringStandby", "Standby", "Detaching", "Detached", "Quarantined"),
    *("ReplacingRootVolume:Proceed", "Terminating:Proceed", "Terminating:Retained"),
    *("Terminated", "Warmed:Pending:Proceed", "Warmed:Pending:Retained", "Warmed:Running"),
    *("Warmed:Stopped", "Warmed:Hibernated", "Warmed:Terminating:Proceed"),
    *("Warmed:Terminating:Retained", "Warmed:Terminated"),
]
RETAINED = [one for one in OUT_OF_SERVICE if one.endswith(":Retained")]
THE_PIPELINES = [
    *("Pending", "Pending:Wait", "Pending:Proceed", "Terminating", "Terminating:Wait"),
    *("Warmed:Pending", "Warmed:Pending:Wait", "Warmed:Terminating"),
    *("Warmed:Terminating:Wait", "ReplacingRootVolume", "ReplacingRootVolume:Wait"),
    *("RootVolumeReplaced", "AStateThatAwsAddsLater"),
]
NEVER_IN = [None, *OUT_OF_SERVICE, *THE_PIPELINES]


def instance(
    state: str = "running", kind: MarkKind | None = None, seconds_ago: float = 60.0
) -> Instance:
    mark = Mark(kind, NOW - seconds_ago) if kind else None
    return Instance(INSTANCE_ID, state, NOW - 1000, Address("10.0.0.7", "zone-1a"), mark)


def look(*sightings: Sighting, launch: float | None = HEARTBEAT) -> Snapshot:
    return Snapshot(
        now=NOW,
        hooks=HookLimits(launch=launch, terminate=HEARTBEAT),
        sightings={one.id: one for one in sightings},
        weights={},
        desired_capacity=0,
        retains_on_abandon=True,
    )


def in_service(**changes: object) -> Sighting:
    sighting = Sighting(INSTANCE_ID, state="InService", instance=instance())
    return replace(sighting, **changes)  # type: ignore[arg-type]


def called_for(sighting: Sighting, launch: float | None = HEARTBEAT) -> CorrectionKind | None:
    found = corrections(look(sighting, launch=launch))
    assert all(one.instance_id == sighting.id for one in found)
    return found[0].kind if found else None


def test_a_snapshot_counts_the_registered_and_those_in_service() -> None:
    other = Sighting(OTHER_INSTANCE_ID, state="Standby", is_registered=True)
    seen = look(in_service(), other)
    assert (seen.registered, seen.in_service) == ([OTHER_INSTANCE_ID], [INSTANCE_ID])


def test_a_member_in_a_state_that_aws_added_later_is_told_apart() -> None:
    odd = Sighting(OTHER_INSTANCE_ID, state="AStateThatAwsAddsLater")
    assert look(in_service(), odd, Sighting("i-1")).in_unknown_states == [odd]


@pytest.mark.parametrize(
    ("change", "is_adopted"),
    [
        ({}, True),
        ({"is_registered": False}, False),
        ({"state": "Standby"}, False),
        ({"instance": None}, False),
        ({"instance": instance(kind=MarkKind.LAUNCHING)}, False),
    ],
)
def test_one_that_serves_in_discovery_without_a_mark_of_ours_is_an_adopted_one(
    change: dict[str, object], *, is_adopted: bool
) -> None:
    sighting = replace(in_service(is_registered=True), **change)  # type: ignore[arg-type]
    assert look(sighting).unmarked == ([INSTANCE_ID] if is_adopted else [])


@pytest.mark.parametrize("state", [None, *EC2_STATES])
def test_only_one_that_runs_can_wait_for_a_successor(state: str | None) -> None:
    known = None if state is None else instance(state)
    assert can_wait(in_service(instance=known)) is (state == "running")


class TestRegister:
    def test_one_in_service_that_is_not_registered_is_registered(self) -> None:
        assert called_for(in_service()) is CorrectionKind.REGISTER
        assert called_for(in_service(), launch=None) is None, "a fleet without Cloud Map"

    @pytest.mark.parametrize(
        "change",
        [
            {"is_registered": True},
            {"instance": None},
            *({"instance": instance(one)} for one in EC2_STATES if one != "running"),
        ],
    )
    def test_one_that_is_registered_or_does_not_run_is_not(self, change: dict[str, Any]) -> None:
        assert called_for(in_service(**change)) is None

    @pytest.mark.parametrize("kind", MarkKind)
    def test_one_that_aws_takes_away_is_not_registered_again(self, kind: MarkKind) -> None:
        expected = None if kind is MarkKind.RECLAIMED else CorrectionKind.REGISTER
        assert called_for(in_service(instance=instance(kind=kind))) is expected

    @pytest.mark.parametrize("state", NEVER_IN)
    def test_no_other_state_is_registered(self, state: str | None) -> None:
        found = called_for(in_service(state=state))
        assert found is (CorrectionKind.RESTART if state in {*WAITS, *RETAINED} else None)


class TestDeregister:
    @pytest.mark.parametrize("state", ["shutting-down", "terminated"])
    @pytest.mark.parametrize("lifecycle_state", [None, "InService", "Pending:Wait"])
    @pytest.mark.parametrize("is_elsewhere", [False, True])
    def test_one_that_is_gone_for_ec2_is_taken_out(
        self, state: str, lifecycle_state: str | None, is_elsewhere: bool
    ) -> None:
        gone = Sighting(
            INSTANCE_ID,
            state=lifecycle_state,
            is_elsewhere=is_elsewhere,
            is_registered=True,
            instance=instance(state, MarkKind.LAUNCHING),
        )
        assert called_for(gone) is CorrectionKind.DEREGISTER

    def test_one_that_neither_ec2_nor_auto_scaling_knows_is_taken_out(self) -> None:
        unknown = Sighting(INSTANCE_ID, is_registered=True)
        assert called_for(unknown) is CorrectionKind.DEREGISTER

    def test_one_that_only_ec2_does_not_know_is_left_alone(self) -> None:
        for known in (
            in_service(is_registered=True, instance=None),
            Sighting(INSTANCE_ID, is_elsewhere=True, is_registered=True),
        ):
            assert called_for(known) is None

    @pytest.mark.parametrize("is_elsewhere", [False, True])
    @pytest.mark.parametrize("state", ["pending", "running", "stopping", "stopped"])
    def test_a_live_one_that_is_no_member_is_left_alone(
        self, state: str, is_elsewhere: bool
    ) -> None:
        """The service may be shared."""
        other = Sighting(
            INSTANCE_ID, is_elsewhere=is_elsewhere, is_registered=True, instance=instance(state)
        )
        assert called_for(other) is None

    @pytest.mark.parametrize("state", sorted({*OUT_OF_SERVICE} - {*RETAINED}))
    def test_a_member_that_is_out_of_service_is_taken_out(self, state: str) -> None:
        assert called_for(in_service(state=state)) is None
        registered = in_service(state=state, is_registered=True)
        assert called_for(registered) is CorrectionKind.DEREGISTER

    @pytest.mark.parametrize("state", THE_PIPELINES)
    def test_a_member_on_its_way_is_the_business_of_its_pipeline(self, state: str) -> None:
        kind = MarkKind.LAUNCHING if state == "Pending:Wait" else MarkKind.TERMINATING
        on_its_way = in_service(state=state, is_registered=True, instance=instance(kind=kind))
        assert called_for(on_its_way) is None

    @pytest.mark.parametrize("state", ["stopping", "stopped"])
    def test_one_that_stands_still_is_taken_out(self, state: str) -> None:
        halted = in_service(is_registered=True, instance=instance(state))
        assert called_for(halted) is CorrectionKind.DEREGISTER

    def test_one_that_aws_takes_away_is_taken_out(self) -> None:
        reclaimed = in_service(is_registered=True, instance=instance(kind=MarkKind.RECLAIMED))
        assert called_for(reclaimed) is CorrectionKind.DEREGISTER


class TestRetained:
    """Kept by the group after its hook expired."""

    @pytest.mark.parametrize("launch", [HEARTBEAT, None])
    @pytest.mark.parametrize("is_registered", [False, True])
    @pytest.mark.parametrize("state", RETAINED)
    def test_one_whose_event_was_lost_gets_its_pipeline_after_all(
        self, state: str, is_registered: bool, launch: float | None
    ) -> None:
        retained = in_service(state=state, is_registered=is_registered)
        assert called_for(retained, launch) is CorrectionKind.RESTART

    @pytest.mark.parametrize("kind", MarkKind)
    def test_one_whose_pipeline_is_under_way_or_reported_it_is_left_alone(
        self, kind: MarkKind
    ) -> None:
        known = {MarkKind.TERMINATING, MarkKind.PROVEN, MarkKind.RETAINED}
        retained = in_service(state="Terminating:Retained", instance=instance(kind=kind))
        assert called_for(retained) is (None if kind in known else CorrectionKind.RESTART)

    @pytest.mark.parametrize("state", ["running", "shutting-down", "terminated"])
    def test_one_that_was_reported_is_left_to_the_operator(self, state: str) -> None:
        told = instance(state, MarkKind.RETAINED, 30 * 86400)
        assert called_for(in_service(state="Terminating:Retained", instance=told)) is None

    def test_one_that_was_proven_and_is_registered_again_is_proven_anew(self) -> None:
        told = instance(kind=MarkKind.RETAINED)
        registered = in_service(state="Terminating:Retained", is_registered=True, instance=told)
        assert called_for(registered) is CorrectionKind.RESTART

    @pytest.mark.parametrize("state", ["shutting-down", "terminated"])
    def test_one_that_ended_unreported_is_reported(self, state: str) -> None:
        ended = in_service(state="Terminating:Retained", instance=instance(state))
        assert called_for(ended) is CorrectionKind.RESTART

    def test_one_that_ec2_knows_no_more_is_left_alone(self) -> None:
        assert called_for(in_service(state="Terminating:Retained", instance=None)) is None

    @pytest.mark.parametrize("state", RETAINED)
    def test_one_that_has_its_pipeline_and_is_registered_again_is_taken_out(
        self, state: str
    ) -> None:
        drained = instance(kind=MarkKind.TERMINATING)
        registered = in_service(state=state, is_registered=True, instance=drained)
        assert called_for(registered) is CorrectionKind.DEREGISTER

    def test_one_that_is_dead_and_registered_is_taken_out(self) -> None:
        told = instance("terminated", MarkKind.TERMINATING)
        dead = in_service(state="Terminating:Retained", is_registered=True, instance=told)
        assert called_for(dead) is CorrectionKind.DEREGISTER


class TestRestart:
    @pytest.mark.parametrize("state", WAITS)
    @pytest.mark.parametrize("is_registered", [False, True])
    def test_a_wait_whose_event_was_lost_is_started_again(
        self, state: str, is_registered: bool
    ) -> None:
        waiting = in_service(state=state, is_registered=is_registered)
        assert called_for(waiting) is CorrectionKind.RESTART
        assert called_for(replace(waiting, instance=None)) is CorrectionKind.RESTART

    @pytest.mark.parametrize("state", WAITS)
    def test_without_cloud_map_only_terminations_are_ours(self, state: str) -> None:
        expected = None if state == "Pending:Wait" else CorrectionKind.RESTART
        assert called_for(in_service(state=state), launch=None) is expected

    @pytest.mark.parametrize("kind", MarkKind)
    @pytest.mark.parametrize("state", WAITS)
    def test_only_a_tag_of_the_same_transition_says_that_it_was_started(
        self, state: str, kind: MarkKind
    ) -> None:
        own = (
            {MarkKind.LAUNCHING}
            if state == "Pending:Wait"
            else {
                MarkKind.TERMINATING,
                MarkKind.PROVEN,
                MarkKind.RETAINED,
                *([MarkKind.REPLACED] if state == "ReplacingRootVolume:Wait" else []),
            }
        )
        waiting = in_service(state=state, instance=instance(kind=kind))
        assert called_for(waiting) is (None if kind in own else CorrectionKind.RESTART)

    @pytest.mark.parametrize(
        ("state", "kind", "longest"),
        [
            ("Pending:Wait", MarkKind.LAUNCHING, 100 * HEARTBEAT),
            ("Terminating:Wait", MarkKind.TERMINATING, 100 * HEARTBEAT),
            ("Terminating:Wait", MarkKind.PROVEN, PROVEN_FOR),
            ("Warmed:Pending:Wait", MarkKind.PROVEN, PROVEN_FOR),
            ("ReplacingRootVolume:Wait", MarkKind.REPLACED, PROVEN_FOR),
        ],
    )
    def test_a_mark_that_cannot_be_of_this_wait_any_more_says_nothing(
        self, state: str, kind: MarkKind, longest: float
    ) -> None:
        for seconds_ago, expected in ((longest, None), (longest + 1, CorrectionKind.RESTART)):
            waiting = in_service(state=state, instance=instance("running", kind, seconds_ago))
            assert called_for(waiting) is expected

    @pytest.mark.parametrize(
        ("kind", "longest"), [(MarkKind.TERMINATING, 48 * 3600), (MarkKind.PROVEN, 900)]
    )
    def test_no_mark_is_of_this_wait_for_longer(self, kind: MarkKind, longest: float) -> None:
        limits = HookLimits(launch=None, terminate=7200)
        for seconds_ago, corrected in ((longest, 0), (longest + 1, 1)):
            mark = instance("running", kind, seconds_ago)
            waiting = in_service(state="Terminating:Wait", instance=mark)
            assert len(corrections(replace(look(waiting), hooks=limits))) == corrected

    def test_each_transition_has_the_limit_of_its_own_hook(self) -> None:
        limits = HookLimits(launch=60, terminate=600)
        marked = instance("running", MarkKind.LAUNCHING, 6001)
        launching = look(in_service(state="Pending:Wait", instance=marked))
        assert len(corrections(replace(launching, hooks=limits))) == 1


class TestTwoLooks:
    def test_what_both_call_for_is_confirmed_with_the_reason_of_the_second(self) -> None:
        first = in_service(state="Standby", is_registered=True)
        second = in_service(state="Warmed:Stopped", is_registered=True)
        assert confirmed(look(first), look(second)) == [
            Correction(CorrectionKind.DEREGISTER, INSTANCE_ID, "registered, and Warmed:Stopped")
        ]

    def test_what_only_one_calls_for_is_not(self) -> None:
        wrong, right = in_service(), in_service(is_registered=True)
        assert confirmed(look(wrong), look(right)) == []
        assert confirmed(look(right), look(wrong)) == []
        assert confirmed(look(), look(wrong)) == []
        # Both call for something, but not for the same.
        assert confirmed(look(in_service(state="Pending:Wait")), look(wrong)) == []


class TestFigures:
    def test_the_oldest_wait_is_the_one_that_was_taken_over_first(self) -> None:
        young = instance("running", MarkKind.TERMINATING, 30)
        old = instance("running", MarkKind.TERMINATING, 500)
        both = look(
            in_service(state="Terminating:Wait", instance=young),
            Sighting(OTHER_INSTANCE_ID, state="Terminating:Wait", instance=old),
        )
        assert both.oldest_wait_seconds == 500
        assert len(both.waiting) == 2

    def test_a_wait_whose_event_was_lost_has_no_known_age(self) -> None:
        served = instance("running", MarkKind.LAUNCHING, 5000)
        lost = look(in_service(state="Terminating:Wait", instance=served))
        assert (lost.oldest_wait_seconds, len(lost.waiting)) == (0.0, 1)

    def test_a_clock_that_is_behind_the_mark_makes_no_negative_age(self) -> None:
        ahead = instance("running", MarkKind.TERMINATING, -2)
        assert look(in_service(state="Terminating:Wait", instance=ahead)).oldest_wait_seconds == 0
