"""Who may leave service discovery, and who moves."""

from typing import Any

import pytest

from lifecycle.decisions.shards import Step, StepKind
from lifecycle.errors import NotReady
from lifecycle.telemetry import LogEvent, Metric
from tests.support.messages import INSTANCE_ID, NOW, OTHER_INSTANCE_ID, action
from tests.support.parts import Parts, described, listed, members
from tests.support.scripted import THROTTLED

FIELDS = action().log_fields()
TWO = ("srv-1", "srv-2")
THIRD, FOURTH = "i-0aaaaaaaaaaaaaaa1", "i-0ffffffffffffffff"


def fleet(states: dict[str, str], *registered: str, **answers: Any) -> Parts:
    """A fleet in one service whose instances are in these states."""
    return Parts(
        list_instances=listed(*(registered or states)),
        describe_auto_scaling_instances=members(states),
        **answers,
    )


def shards(states: dict[str, str], first: set[str], second: set[str], **answers: Any) -> Parts:
    """A fleet in two services."""
    held = {"srv-1": first, "srv-2": second}
    return Parts(
        services=TWO,
        list_instances=lambda **asked: listed(*held[asked["ServiceId"]]),
        describe_auto_scaling_instances=members(states),
        **answers,
    )


class TestMayLeave:
    def test_one_with_a_successor_in_service_may_leave(self) -> None:
        parts = fleet({INSTANCE_ID: "Terminating:Wait", OTHER_INSTANCE_ID: "InService"})
        assert parts.placement.may_leave(INSTANCE_ID, FIELDS)
        assert parts.telemetry.lines == []

    @pytest.mark.parametrize("state", ["Pending:Wait", "Standby", "Terminating:Wait"])
    def test_one_whose_successor_does_not_serve_waits_and_says_so(self, state: str) -> None:
        parts = fleet({INSTANCE_ID: "Terminating:Wait", OTHER_INSTANCE_ID: state})
        assert not parts.placement.may_leave(INSTANCE_ID, FIELDS)
        line = parts.telemetry.the(LogEvent.LAST_AGGREGATOR_WAITS)
        assert (line["instance_id"], line["service_ids"]) == (INSTANCE_ID, ["srv-1"])

    def test_a_successor_that_is_about_to_leave_is_none(self) -> None:
        parts = fleet({INSTANCE_ID: "InService", OTHER_INSTANCE_ID: "InService"})
        assert not parts.placement.may_leave(INSTANCE_ID, FIELDS, leaving=lambda serving: serving)

    def test_one_that_is_gone_cannot_be_held(self) -> None:
        assert fleet({}, INSTANCE_ID).placement.may_leave(INSTANCE_ID, FIELDS)

    def test_a_fleet_that_may_be_empty_is_not_even_looked_at(self) -> None:
        parts = Parts(allow_empty=True, list_instances=THROTTLED)
        assert parts.placement.may_leave(INSTANCE_ID, FIELDS)
        parts.placement.make_way(INSTANCE_ID, FIELDS)
        assert parts.client.calls == []

    def test_while_the_fleet_cannot_be_seen_nothing_is_said(self) -> None:
        known = {INSTANCE_ID: "InService"}
        parts = fleet(known, INSTANCE_ID, OTHER_INSTANCE_ID, describe_instances=THROTTLED)
        with pytest.raises(type(THROTTLED)):
            parts.placement.may_leave(INSTANCE_ID, FIELDS)

    @pytest.mark.parametrize(("state", "serves"), [("running", True), ("stopped", False)])
    def test_an_instance_of_no_group_serves_while_it_runs(
        self, state: str, *, serves: bool
    ) -> None:
        parts = fleet(
            {INSTANCE_ID: "Terminating:Wait"},
            INSTANCE_ID,
            OTHER_INSTANCE_ID,
            describe_instances=described(OTHER_INSTANCE_ID, state=state),
        )
        assert parts.placement.may_leave(INSTANCE_ID, FIELDS) is serves

    def test_what_is_no_instance_serves(self) -> None:
        parts = fleet({INSTANCE_ID: "Terminating:Wait"}, INSTANCE_ID, "collector-in-the-office")
        assert parts.placement.may_leave(INSTANCE_ID, FIELDS)


class TestMakeWay:
    def test_one_of_another_shard_that_can_be_spared_joins_first(self) -> None:
        states = {
            INSTANCE_ID: "Terminating:Wait",
            OTHER_INSTANCE_ID: "InService",
            THIRD: "InService",
        }
        parts = shards(states, {INSTANCE_ID}, {OTHER_INSTANCE_ID, THIRD})
        with pytest.raises(NotReady, match="waits for a successor"):
            parts.placement.make_way(INSTANCE_ID, FIELDS)
        [request] = parts.client.arguments_of("register_instance")
        assert (request["ServiceId"], request["InstanceId"]) == ("srv-1", OTHER_INSTANCE_ID)
        assert request["CreatorRequestId"] == f"{OTHER_INSTANCE_ID}-{NOW:.0f}"

    def test_one_that_another_group_has_in_service_is_never_moved(self) -> None:
        ours = members({INSTANCE_ID: "Terminating:Wait", OTHER_INSTANCE_ID: "InService"})
        theirs = members({THIRD: "InService", FOURTH: "InService"}, group="others")
        held = {"srv-1": {INSTANCE_ID}, "srv-2": {OTHER_INSTANCE_ID, THIRD, FOURTH}}
        parts = Parts(
            services=TWO,
            list_instances=lambda **asked: listed(*held[asked["ServiceId"]]),
            describe_auto_scaling_instances={
                "AutoScalingInstances": [
                    *ours["AutoScalingInstances"],
                    *theirs["AutoScalingInstances"],
                ]
            },
        )
        with pytest.raises(NotReady, match="waits for a successor"):
            parts.placement.make_way(INSTANCE_ID, FIELDS)
        parts.placement.carry_out(parts.placement.snapshot().steps_to_balance())
        assert parts.done == []

    def test_without_one_to_spare_it_only_waits(self) -> None:
        states = {INSTANCE_ID: "Terminating:Wait", OTHER_INSTANCE_ID: "InService"}
        parts = shards(states, {INSTANCE_ID}, {OTHER_INSTANCE_ID})
        with pytest.raises(NotReady):
            parts.placement.make_way(INSTANCE_ID, FIELDS)
        assert parts.done == []

    def test_a_successor_that_has_come_leaves_its_old_shard(self) -> None:
        states = {
            INSTANCE_ID: "Terminating:Wait",
            OTHER_INSTANCE_ID: "InService",
            THIRD: "InService",
        }
        parts = shards(states, {INSTANCE_ID, OTHER_INSTANCE_ID}, {OTHER_INSTANCE_ID, THIRD})
        parts.placement.make_way(INSTANCE_ID, FIELDS)
        [request] = parts.client.arguments_of("deregister_instance")
        assert request["InstanceId"] == OTHER_INSTANCE_ID


class TestSteps:
    def test_each_step_is_asked_for_and_logged(self) -> None:
        parts = Parts(services=TWO)
        parts.placement.carry_out(
            [Step(StepKind.JOIN, INSTANCE_ID, "srv-2"), Step(StepKind.LEAVE, INSTANCE_ID, "srv-1")]
        )
        assert parts.done == ["register", "deregister"]
        logged = [(line["step"], line["service_id"]) for line in parts.telemetry.lines]
        assert logged == [("join", "srv-2"), ("leave", "srv-1")]

    def test_one_that_is_gone_meanwhile_does_not_join(self) -> None:
        parts = Parts(services=TWO, describe_instances=described(INSTANCE_ID, state="terminated"))
        parts.placement.carry_out([Step(StepKind.JOIN, INSTANCE_ID, "srv-2")])
        assert parts.done == []

    @pytest.mark.parametrize(("size", "beyond"), [(8, 0), (9, 1), (11, 3)])
    def test_what_is_beyond_eight_in_a_shard_is_measured(self, size: int, beyond: int) -> None:
        parts = Parts()
        parts.placement.measure({"srv-1": {f"i-{number:08x}" for number in range(size)}})
        assert parts.telemetry.total(Metric.SHARD_OVERFLOW) == beyond
        assert len(parts.telemetry.of(LogEvent.SHARD_OVERFLOWS)) == (beyond > 0)
