"""The handler in every lifecycle state; what it does with AWS is in tests/integration."""

from typing import Any

import pytest

from lifecycle.decisions.marks import MarkKind
from lifecycle.messages import BufferCheck, FlushCheck
from lifecycle.telemetry import LogEvent, Metric
from tests.support.handled import INSTANCE, Handled, at_rest
from tests.support.messages import INSTANCE_ID, NOW, launch_event, terminate_event
from tests.support.scripted import NO_ACTIVE_ACTION, THROTTLED


@pytest.mark.parametrize(
    "state", ["Pending", "Pending:Wait", "Pending:Proceed", "InService", "RootVolumeReplaced"]
)
def test_an_instance_on_its_way_into_service_is_registered(state: str) -> None:
    handled = Handled(launch_event(), state)
    assert handled.done == ["register_instance", "send_message"]


@pytest.mark.parametrize(
    "state",
    [
        *(None, "Standby", "Detached", "Terminating", "Terminating:Wait", "Terminating:Proceed"),
        *("Terminating:Retained", "Terminated", "Warmed:Running", "Warmed:Stopped"),
        *("Warmed:Terminating:Wait", "ReplacingRootVolume", "ReplacingRootVolume:Wait"),
    ],
)
def test_an_instance_that_is_not_on_its_way_into_service_is_never_registered(
    state: str | None,
) -> None:
    handled = Handled(launch_event(), state)
    assert handled.done == []
    line = handled.telemetry.the(LogEvent.LIFECYCLE_EVENT_IGNORED)
    assert line["reason"] == f"the instance is {state or 'gone'}"


@pytest.mark.parametrize("origin", ["EC2", "AutoScalingGroup"])
def test_a_launch_into_a_warm_pool_is_completed_without_a_call_to_cloud_map(origin: str) -> None:
    event = launch_event(Origin=origin, Destination="WarmPool")
    handled = Handled(event, "Warmed:Pending:Wait")
    assert handled.done == []
    assert handled.parts.done == ["complete", "tag pooled"]
    assert LogEvent.LIFECYCLE_ACTION_COMPLETED in handled.telemetry.events


@pytest.mark.parametrize(
    "state", ["Warmed:Pending:Proceed", "Warmed:Stopped", "Warmed:Running", "InService", None]
)
def test_a_launch_into_a_warm_pool_that_was_completed_before_is_no_error(state: str | None) -> None:
    handled = Handled(launch_event(Destination="WarmPool"), state, NO_ACTIVE_ACTION)
    assert (handled.error, handled.done) == (None, [])
    assert LogEvent.LIFECYCLE_ACTION_ALREADY_ENDED in handled.telemetry.events


def test_an_instance_that_leaves_the_pool_for_the_group_is_registered() -> None:
    event = launch_event(Origin="WarmPool", Destination="AutoScalingGroup")
    assert Handled(event, "Pending:Wait").done == ["register_instance", "send_message"]


@pytest.mark.parametrize(
    "state",
    [
        *(None, "Terminating", "Terminating:Wait", "Terminating:Proceed", "Terminating:Retained"),
        *("Terminated", "Warmed:Terminating", "Warmed:Terminating:Wait", "Warmed:Pending"),
        *("Warmed:Pending:Wait", "ReplacingRootVolume", "ReplacingRootVolume:Wait"),
        "ReplacingRootVolume:Proceed",
    ],
)
@pytest.mark.parametrize("destination", ["EC2", "WarmPool", "AutoScalingGroup", "Elsewhere"])
def test_an_instance_that_leaves_is_deregistered_wherever_it_goes(
    state: str | None, destination: str
) -> None:
    handled = Handled(terminate_event(Destination=destination), state)
    assert handled.done == ["deregister_instance", "send_message"]


@pytest.mark.parametrize(
    "state", ["Pending", "Pending:Wait", "InService", "Standby", "Warmed:Stopped", "Warmed:Running"]
)
def test_an_instance_that_does_not_leave_is_never_deregistered(state: str) -> None:
    handled = Handled(terminate_event(), state)
    assert handled.done == []
    assert f"{INSTANCE_ID} is {state}, not terminating" in str(handled.error)


def marked(kind: MarkKind, age: float) -> dict[str, Any]:
    """What EC2 knows of a running instance that was marked so long before now."""
    return at_rest(kind, age, State={"Name": "running"})


class TestLaunchedAgain:
    """An instance that lives on after its termination: the event's time is NOW."""

    @pytest.mark.parametrize("state", ["Pending:Wait", "Pending:Proceed", "InService"])
    def test_a_late_duplicate_of_its_termination_is_ignored(self, state: str) -> None:
        handled = Handled(terminate_event(), state, instance=marked(MarkKind.LAUNCHING, age=-1))
        assert (handled.error, handled.done, handled.marks) == (None, [], [])
        ignored = handled.telemetry.the(LogEvent.LIFECYCLE_EVENT_IGNORED)
        assert "launched_again" in str(ignored["reason"])

    @pytest.mark.parametrize("state", ["ReplacingRootVolume:Proceed", "Pending:Wait"])
    def test_so_is_one_between_the_proof_and_the_launch(self, state: str) -> None:
        handled = Handled(terminate_event(), state, instance=marked(MarkKind.REPLACED, age=0))
        assert (handled.error, handled.done) == (None, [])

    @pytest.mark.parametrize("age", [0, 1, 3600])
    def test_a_launch_from_before_says_nothing_about_a_termination(self, age: float) -> None:
        handled = Handled(terminate_event(), "InService", instance=marked(MarkKind.LAUNCHING, age))
        assert f"{INSTANCE_ID} is InService, not terminating" in str(handled.error)

    def test_its_next_termination_is_drained_whatever_the_one_before_proved(self) -> None:
        for kind in (MarkKind.REPLACED, MarkKind.PROVEN):
            handled = Handled(terminate_event(), "Terminating:Wait", instance=marked(kind, age=5))
            assert handled.done == ["deregister_instance", "send_message"]

    @pytest.mark.parametrize("kind", [MarkKind.LAUNCHING, MarkKind.TERMINATING, MarkKind.RECLAIMED])
    def test_its_launch_reports_a_termination_without_a_proof(self, kind: MarkKind) -> None:
        event = launch_event(Origin="AutoScalingGroup", Action="ReplaceRootVolume")
        handled = Handled(event, "Pending:Wait", instance=marked(kind, age=600))
        assert handled.done == ["register_instance", "send_message"]
        line = handled.telemetry.the(LogEvent.LIFECYCLE_ACTION_EXPIRED)
        assert line["instance_id"] == INSTANCE_ID
        assert handled.telemetry.total(Metric.LIFECYCLE_ACTION_EXPIRED) == 1
        assert handled.telemetry.flushed == 1

    @pytest.mark.parametrize(
        "instance",
        [
            INSTANCE,
            marked(MarkKind.REPLACED, age=600),
            marked(MarkKind.PROVEN, age=600),
            marked(MarkKind.POOLED, age=600),
            marked(MarkKind.LAUNCHING, age=0),  # a second copy of the same event
            marked(MarkKind.RECLAIMED, age=-30),
        ],
    )
    def test_any_other_launch_reports_nothing(self, instance: dict[str, Any]) -> None:
        handled = Handled(launch_event(), "Pending:Wait", instance=instance)
        assert handled.done == ["register_instance", "send_message"]
        assert handled.telemetry.total(Metric.LIFECYCLE_ACTION_EXPIRED) == 0

    def test_a_launch_that_auto_scaling_does_not_show_yet_is_asked_for_again(self) -> None:
        event = launch_event(Origin="AutoScalingGroup", Action="ReplaceRootVolume")
        handled = Handled(event, "ReplacingRootVolume:Proceed")
        assert handled.done == []
        assert "its launch comes next" in str(handled.error)


class TestUnknownStates:
    """Kept, and reported: three errors, a dead letter, a page whose runbook discards nothing."""

    @pytest.mark.parametrize("event", [launch_event(), terminate_event()])
    @pytest.mark.parametrize("state", ["AStateThatAwsAddsLater:Wait", "Pending:Reviewed"])
    def test_nothing_is_done_and_the_error_says_to_keep_it(
        self, state: str, event: dict[str, Any]
    ) -> None:
        handled = Handled(event, state)
        assert handled.done == []
        assert "keep the instance, discard nothing" in str(handled.error)
        assert repr(state) in str(handled.error)
        assert LogEvent.LIFECYCLE_EVENT_IGNORED not in handled.telemetry.events

    def test_so_it_is_with_a_place_that_an_instance_launches_into(self) -> None:
        handled = Handled(launch_event(Destination="AnotherPool"), "Pending:Wait")
        assert handled.done == []
        assert "launches into 'AnotherPool', which this version does not know" in str(handled.error)


def test_the_token_of_a_lifecycle_action_is_not_logged() -> None:
    handled = Handled(terminate_event(), "Terminating:Wait")
    token = terminate_event()["detail"]["LifecycleActionToken"]
    assert token not in str(handled.telemetry.lines)


@pytest.mark.parametrize(("first_stage", "stage"), [(FlushCheck, "flush"), (BufferCheck, "buffer")])
@pytest.mark.parametrize("state", [None, "Terminating:Wait", "Warmed:Terminating:Wait"])
def test_without_cloud_map_an_instance_goes_straight_into_the_first_stage(
    state: str | None, first_stage: type[FlushCheck] | type[BufferCheck], stage: str
) -> None:
    handled = Handled(terminate_event(), state, first_stage=first_stage)
    assert handled.done == ["send_message"]
    [message] = handled.parts.messages
    assert (message["stage"], message["deregistered_at"]) == (stage, NOW)
    assert message["requested_again"] == 0
    assert message["action"]["instance_id"] == INSTANCE_ID
    assert handled.telemetry.the(LogEvent.CHECK_MESSAGE_ENQUEUED)["stage"] == stage


@pytest.mark.parametrize("state", ["Pending", "InService", "Standby", "Warmed:Stopped"])
def test_without_cloud_map_too_one_that_does_not_leave_is_not_drained(state: str) -> None:
    handled = Handled(terminate_event(), state, first_stage=FlushCheck)
    assert handled.done == []
    assert "not terminating" in str(handled.error)


@pytest.mark.parametrize("destination", ["AutoScalingGroup", "WarmPool"])
def test_without_cloud_map_launches_are_ignored(destination: str) -> None:
    event = launch_event(Destination=destination)
    handled = Handled(event, "Pending:Wait", first_stage=FlushCheck)
    assert handled.done == []
    assert handled.parts.client.calls == []
    line = handled.telemetry.the(LogEvent.LIFECYCLE_EVENT_IGNORED)
    assert line["reason"] == "another lifecycle hook"


@pytest.mark.parametrize(
    ("event", "state", "mark"),
    [
        (launch_event(), "Pending:Wait", "launching 2023-11-14T22:13:20Z"),
        (terminate_event(), "Terminating:Wait", "terminating 2023-11-14T22:13:20Z"),
    ],
)
def test_the_instance_says_which_pipeline_took_it_over(
    event: dict[str, Any], state: str, mark: str
) -> None:
    assert Handled(event, state).marks == [mark]


def test_an_instance_that_is_left_alone_is_not_marked() -> None:
    assert Handled(launch_event(), "Terminating:Wait").marks == []


def test_a_mark_that_cannot_be_written_does_not_keep_the_pipeline_from_starting() -> None:
    handled = Handled(terminate_event(), "Terminating:Wait", tagging=THROTTLED)
    assert handled.error is None
    assert handled.done == ["deregister_instance", "send_message"]
    assert handled.telemetry.the(LogEvent.MARK_FAILED)["mark"] == "terminating"
