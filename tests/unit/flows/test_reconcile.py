"""The reconciler: what two looks agree on is corrected, each on its own."""

from typing import Any

import pytest

from lifecycle.decisions.marks import Mark, MarkKind
from lifecycle.errors import UnexpectedState
from lifecycle.flows.entrance import Entrance
from lifecycle.flows.reconcile import Reconciler
from lifecycle.flows.standing import StandingCheck
from lifecycle.flows.survey import Survey
from lifecycle.settings import ReconcilerSettings, load_settings
from lifecycle.telemetry import LogEvent, Metric
from tests.support import environments
from tests.support.messages import GROUP, INSTANCE_ID, OTHER_INSTANCE_ID
from tests.support.parts import MODULE, Parts, described, fleet, listed, marked, members
from tests.support.scripted import NO_ACTIVE_ACTION, THROTTLED, aws_error

LEAVING = marked(MarkKind.TERMINATING, 0)  # of a wait long ago: nothing is under way


def reconcile(parts: Parts, *, in_cloud_map: bool = True, **settings: str) -> None:
    environment = environments.reconciler(**settings)
    if not in_cloud_map:
        environment = environments.without_cloud_map(environment)
    loaded = load_settings(ReconcilerSettings, environment)
    cloud_map = parts.discovery.cloud_map if in_cloud_map else None
    Reconciler(
        settings=loaded,
        survey=Survey(loaded, MODULE, parts.autoscaling, parts.instances, cloud_map, parts.runtime),
        autoscaling=parts.autoscaling,
        instances=parts.instances,
        marker=parts.marker,
        entrance=Entrance(
            parts.autoscaling,
            parts.instances,
            parts.marker,
            parts.discovery if in_cloud_map else parts.next_stage,
            parts.runtime,
        ),
        standing=StandingCheck(GROUP, parts.instances, None, None, parts.runtime),
        runtime=parts.runtime,
    ).handle()


def test_what_is_right_is_reported_after_one_snapshot() -> None:
    parts = fleet({INSTANCE_ID: "InService"}, INSTANCE_ID)
    reconcile(parts)
    assert (parts.done, parts.slept) == ([], [])
    line = parts.telemetry.the(LogEvent.RECONCILED)
    assert (line["registered"], line["in_service"], line["discrepancies"]) == (1, 1, 0)
    assert parts.telemetry.flushed == 1


@pytest.mark.parametrize("mode", ["correct", "observe"])
@pytest.mark.parametrize(("desired", "missing"), [(1, 0), (3, 2)])
def test_each_run_reports_how_much_capacity_is_missing(
    mode: str, desired: int, missing: int
) -> None:
    parts = fleet({INSTANCE_ID: "InService"}, INSTANCE_ID, desired=desired)
    reconcile(parts, RECONCILE_MODE=mode)
    assert (Metric.CAPACITY_SHORT, missing) in parts.telemetry.values
    assert parts.telemetry.the(LogEvent.RECONCILED)["capacity_short"] == missing
    assert parts.done == []


def test_what_is_wrong_is_corrected_after_a_second_snapshot() -> None:
    parts = fleet({INSTANCE_ID: "InService"})
    reconcile(parts)
    assert parts.slept == [60]
    assert parts.done == ["tag launching", "register"]
    assert parts.telemetry.total(Metric.CORRECTIONS_MADE) == 1


def test_what_is_right_in_the_second_snapshot_is_left_alone() -> None:
    parts = fleet({INSTANCE_ID: "InService"}, list_instances=[listed(), listed(INSTANCE_ID)])
    reconcile(parts)
    assert (parts.slept, parts.done) == ([60], [])
    assert parts.telemetry.of(LogEvent.DISCREPANCY_FOUND) == []


def test_what_is_right_when_it_is_to_be_corrected_is_left_alone() -> None:
    parts = fleet(
        {INSTANCE_ID: "InService"},
        describe_auto_scaling_instances=members({INSTANCE_ID: "Standby"}),
    )
    reconcile(parts)
    assert parts.done == []
    assert parts.telemetry.the(LogEvent.CORRECTION_NOT_NEEDED)["because"] == "its state has changed"


def test_an_observer_reports_and_changes_nothing() -> None:
    parts = fleet({INSTANCE_ID: "InService"})
    reconcile(parts, RECONCILE_MODE="observe")
    assert parts.done == []
    assert parts.telemetry.of(LogEvent.DISCREPANCY_FOUND)
    assert parts.telemetry.the(LogEvent.RECONCILED)["corrections"] == 0


def test_one_that_leaves_while_it_is_registered_is_taken_out_at_once() -> None:
    states = [members({INSTANCE_ID: "InService"}), members({INSTANCE_ID: "Terminating:Wait"})]
    parts = fleet({INSTANCE_ID: "InService"}, describe_auto_scaling_instances=states)
    reconcile(parts)
    assert parts.done == ["tag launching", "register", "deregister"]
    assert parts.telemetry.of(LogEvent.REGISTRATION_WITHDRAWN)


def test_a_correction_that_fails_is_raised_when_the_others_are_made() -> None:
    states = {INSTANCE_ID: "InService", OTHER_INSTANCE_ID: "InService"}
    parts = fleet(
        states,
        describe_instances=described(INSTANCE_ID, OTHER_INSTANCE_ID),
        register_instance=[THROTTLED, {"OperationId": "register-2"}],
    )
    with pytest.raises(UnexpectedState, match="1 of 2 corrections failed"):
        reconcile(parts)
    assert parts.telemetry.total(Metric.CORRECTIONS_MADE) == 1
    assert parts.telemetry.total(Metric.CORRECTIONS_FAILED) == 1
    assert parts.telemetry.flushed == 1


@pytest.mark.parametrize(
    "unseen", ["describe_auto_scaling_groups", "describe_warm_pool", "list_instances"]
)
def test_a_snapshot_that_is_not_whole_corrects_nothing(unseen: str) -> None:
    parts = fleet({INSTANCE_ID: "InService"}, **{unseen: THROTTLED})
    with pytest.raises(type(THROTTLED)):
        reconcile(parts)
    assert parts.done == []


class TestRestart:
    def test_a_wait_that_nothing_drains_is_kept_alive_and_its_pipeline_started(self) -> None:
        parts = fleet(
            {INSTANCE_ID: "Terminating:Wait", OTHER_INSTANCE_ID: "InService"},
            INSTANCE_ID,
            OTHER_INSTANCE_ID,
            describe_instances=lambda **_: both(LEAVING, SERVING_TOO),
        )
        reconcile(parts)
        assert parts.done == ["record", "deregister", "send operation", "tag terminating"]

    def test_without_cloud_map_it_goes_into_the_first_draining_stage(self) -> None:
        parts = fleet({INSTANCE_ID: "Terminating:Wait"}, describe_instances=LEAVING)
        reconcile(parts, in_cloud_map=False)
        assert parts.done == ["record", "send buffer", "tag terminating"]

    def test_a_hook_of_others_is_left_alone(self) -> None:
        parts = fleet(
            {INSTANCE_ID: "Terminating:Wait"},
            describe_instances=LEAVING,
            record_lifecycle_action_heartbeat=NO_ACTIVE_ACTION,
        )
        reconcile(parts)
        assert parts.done == ["record"]
        reason = parts.telemetry.the(LogEvent.CORRECTION_NOT_NEEDED)["because"]
        assert reason == "no hook of ours holds it"

    def test_a_heartbeat_that_fails_is_a_failed_correction(self) -> None:
        parts = fleet(
            {INSTANCE_ID: "Terminating:Wait"},
            describe_instances=LEAVING,
            record_lifecycle_action_heartbeat=THROTTLED,
        )
        with pytest.raises(UnexpectedState):
            reconcile(parts)
        assert parts.telemetry.of(LogEvent.CORRECTION_FAILED)

    def test_a_launch_into_the_warm_pool_is_tried_after_a_return_to_it(self) -> None:
        parts = fleet(
            {INSTANCE_ID: "Warmed:Pending:Wait"},
            describe_instances=described(INSTANCE_ID),
            record_lifecycle_action_heartbeat=[NO_ACTIVE_ACTION, {}],
        )
        reconcile(parts)
        assert parts.done == ["record", "record", "complete", "tag pooled"]

    def test_one_that_its_group_retains_needs_no_heartbeat(self) -> None:
        parts = fleet({INSTANCE_ID: "Terminating:Retained"}, describe_instances=LEAVING)
        reconcile(parts)
        assert parts.done == ["deregister", "send operation", "tag terminating"]


class TestDeregister:
    def test_one_in_standby_leaves_only_if_another_serves(self) -> None:
        parts = fleet({INSTANCE_ID: "Standby"}, INSTANCE_ID)
        reconcile(parts)
        assert parts.done == []
        assert parts.telemetry.of(LogEvent.LAST_AGGREGATOR_WAITS)

    def test_one_that_ended_leaves_though_it_is_the_last(self) -> None:
        of_ours: dict[str, Any] = {"aws:autoscaling:groupName": GROUP}
        gone = described(INSTANCE_ID, state="terminated", **of_ours)
        parts = fleet({}, INSTANCE_ID, describe_instances=gone)
        reconcile(parts)
        assert parts.done == ["deregister"]

    def test_one_of_others_that_ended_is_left_to_them(self) -> None:
        """The service may be shared."""
        gone = described(INSTANCE_ID, mark=None, state="terminated")
        parts = fleet({}, INSTANCE_ID, describe_instances=gone)
        reconcile(parts)
        assert parts.done == []

    def test_a_member_of_another_group_is_left_alone(self) -> None:
        parts = fleet(
            {},
            INSTANCE_ID,
            describe_auto_scaling_instances=members({INSTANCE_ID: "Standby"}, group="others"),
        )
        reconcile(parts)
        assert parts.done == []


def test_one_that_serves_without_a_tag_gets_one() -> None:
    parts = fleet(
        {INSTANCE_ID: "InService"}, INSTANCE_ID, describe_instances=described(INSTANCE_ID)
    )
    reconcile(parts)
    assert parts.done == ["tag launching"]


@pytest.mark.parametrize("in_cloud_map", [True, False])
def test_one_that_another_module_tagged_before_gets_the_owner_tag_of_this_one(
    in_cloud_map: bool,
) -> None:
    before = Mark(MarkKind.LAUNCHING, 0)
    attached = described(INSTANCE_ID, mark=before, **{"fluentd-lifecycle-owner": "other"})
    parts = fleet({INSTANCE_ID: "InService"}, INSTANCE_ID, describe_instances=attached)
    reconcile(parts, in_cloud_map=in_cloud_map)
    [call] = parts.client.arguments_of("create_tags")
    assert call == {
        "Resources": [INSTANCE_ID],
        "Tags": [{"Key": "fluentd-lifecycle-owner", "Value": "pipeline"}],
    }


class TestLeft:
    """Instances of ours that are out of the group: detached, or of a group before."""

    def left(
        self,
        state: str | None = None,
        ec2: str = "running",
        mark: MarkKind = MarkKind.LAUNCHING,
        tags: dict[str, Any] | None = None,
        mode: str = "correct",
    ) -> Parts:
        instance = described(INSTANCE_ID, mark=Mark(mark, 0), state=ec2, **(tags or {}))
        elsewhere = members({INSTANCE_ID: state} if state else {}, group="others")
        parts = fleet({}, describe_instances=instance, describe_auto_scaling_instances=elsewhere)
        reconcile(parts, RECONCILE_MODE=mode)
        return parts

    @pytest.mark.parametrize(
        ("state", "ownership"),
        [(None, "left"), ("Standby", "left"), ("InService", "serves_elsewhere")],
    )
    @pytest.mark.parametrize("mode", ["correct", "observe"])
    def test_it_pages_and_nothing_is_done_to_it(
        self, state: str | None, ownership: str, mode: str
    ) -> None:
        parts = self.left(state, mode=mode)
        assert (parts.done, parts.telemetry.total(Metric.INSTANCES_LEFT_GROUP)) == ([], 1)
        line = parts.telemetry.the(LogEvent.INSTANCE_LEFT_GROUP)
        assert (line["instance_id"], line["ownership"], line.level) == (
            INSTANCE_ID,
            ownership,
            "ERROR",
        )
        assert (line["state"], line["mark"]) == ("running", "launching 1970-01-01T00:00:00Z")

    @pytest.mark.parametrize(
        ("mark", "tags", "count"),
        [
            (MarkKind.LAUNCHING, {}, 1),  # the event of its end may be lost
            (MarkKind.LAUNCHING, {"fluentd-lifecycle-unclean": "2023-11-14T22:13:20Z"}, 0),
            (MarkKind.PROVEN, {}, 0),
        ],
    )
    def test_one_that_has_ended_is_reported_until_its_end_is_accounted_for(
        self, mark: MarkKind, tags: dict[str, str], count: int
    ) -> None:
        parts = self.left(ec2="terminated", mark=mark, tags=tags)
        assert parts.telemetry.total(Metric.INSTANCES_LEFT_GROUP) == count

    def test_it_is_looked_for_by_its_owner_tag(self) -> None:
        [asked, *_] = [
            one["Filters"]
            for one in self.left().client.arguments_of("describe_instances")
            if one["Filters"][0]["Name"] != "instance-id"
        ]
        assert asked == [{"Name": "tag:fluentd-lifecycle-owner", "Values": ["pipeline"]}]


SERVING_TOO = described(OTHER_INSTANCE_ID, mark=Mark(MarkKind.LAUNCHING, 0))


def both(*answers: dict[str, Any]) -> dict[str, Any]:
    return {"Reservations": [one for answer in answers for one in answer["Reservations"]]}


def test_an_instance_in_a_state_that_is_not_known_is_kept_and_reported() -> None:
    parts = fleet({INSTANCE_ID: "Hibernating"}, INSTANCE_ID)
    with pytest.raises(UnexpectedState, match="'Hibernating', which this version does not know"):
        reconcile(parts)
    line = parts.telemetry.the(LogEvent.LIFECYCLE_STATE_UNKNOWN)
    assert (line["instance_id"], line.level) == (INSTANCE_ID, "ERROR")
    assert not {"complete", "deregister"} & set(parts.done)


@pytest.mark.parametrize(
    ("state", "heartbeat", "is_restarted"),
    [
        ("Terminating:Wait", {}, True),
        ("Terminating:Wait", NO_ACTIVE_ACTION, False),
        ("Terminating:Wait", aws_error("AccessDenied"), False),  # not in former_group_names
        ("InService", {}, False),
    ],
)
def test_a_wait_in_a_former_group_is_restarted_if_our_hook_there_holds_it(
    state: str, heartbeat: Any, *, is_restarted: bool
) -> None:
    parts = fleet(
        {},
        describe_auto_scaling_instances=members({INSTANCE_ID: state}, group="former"),
        describe_instances=LEAVING,
        record_lifecycle_action_heartbeat=heartbeat,
    )
    reconcile(parts)
    started = [one["action"]["autoscaling_group_name"] for one in parts.messages]
    assert started == (["former"] if is_restarted else [])
    assert parts.telemetry.of(LogEvent.INSTANCE_LEFT_GROUP)


def test_of_a_former_group_whose_hook_cannot_be_asked_the_log_says_what_aws_said() -> None:
    parts = fleet(
        {},
        describe_auto_scaling_instances=members({INSTANCE_ID: "Terminating:Wait"}, group="former"),
        describe_instances=LEAVING,
        record_lifecycle_action_heartbeat=aws_error("AccessDenied"),
    )
    reconcile(parts)
    because = str(parts.telemetry.the(LogEvent.CORRECTION_NOT_NEEDED)["because"])
    assert "AccessDenied" in because
    assert "former_group_names" in because
