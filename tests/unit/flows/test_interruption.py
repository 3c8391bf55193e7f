"""The handler's order and its refusals; what it does with AWS is in tests/integration."""

from typing import Any

import pytest

from handlers.interruption import wire
from lifecycle.adapters.autoscaling import AutoScaling
from lifecycle.adapters.cloud_map import CloudMap
from lifecycle.adapters.instances import Instances
from lifecycle.adapters.queues import Queue
from lifecycle.adapters.run_command import RunCommand
from lifecycle.errors import ConfigurationError, Malformed, UnexpectedState
from lifecycle.flows.interruption import InterruptionHandler
from lifecycle.flows.placement import Placement
from lifecycle.flows.stage import Discovery
from lifecycle.settings import InterruptionSettings, load_settings
from lifecycle.telemetry import LogEvent, Metric, Runtime
from tests.support import environments
from tests.support.messages import (
    GROUP,
    INSTANCE_ID,
    NOW,
    OTHER_INSTANCE_ID,
    rebalance_event,
    shutting_down_event,
    spot_event,
    termination_event,
)
from tests.support.recording import RecordingTelemetry
from tests.support.scripted import THROTTLED, aws_error, scripted

PROVEN = "proven 2023-11-14T22:13:25Z"
TERMINATING = "terminating 2023-11-14T22:13:20Z"
RECLAIMED = "reclaimed 2023-11-14T22:13:20Z"


def described(
    state: str = "running", mark: str | None = None, *, counted: bool = False
) -> dict[str, Any]:
    tags = {"fluentd-lifecycle": mark, "fluentd-lifecycle-unclean": "x" if counted else None}
    instance = {
        "InstanceId": INSTANCE_ID,
        "State": {"Name": state},
        "LaunchTime": type("Moment", (), {"timestamp": lambda _: NOW})(),
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items() if value],
    }
    return {"Reservations": [{"Instances": [instance]}]}


STOPPING_EVENT = shutting_down_event(state="stopping")
NOBODY: dict[str, Any] = {"Reservations": []}


class Handled:
    """One event, handled while the instance is in this state of this group."""

    def __init__(
        self,
        event: object,
        state: str | None = "InService",
        instance: Any = None,
        *,
        group: str = GROUP,
        deregistration: Any = None,
        command: Any = None,
        tagging: Any = None,
        registered: Any = None,
    ) -> None:
        members = [
            {"InstanceId": INSTANCE_ID, "LifecycleState": state, "AutoScalingGroupName": group}
        ]
        self.autoscaling = scripted(
            describe_auto_scaling_instances={"AutoScalingInstances": members if state else []}
        )
        self.cloud_map = scripted(
            deregister_instance=deregistration or {"OperationId": "operation-1"},
            list_instances=registered or {"Instances": [{"Id": INSTANCE_ID}]},
        )
        self.ssm = scripted(send_command=command or {"Command": {"CommandId": "command-1"}})
        self.ec2 = scripted(create_tags=tagging or {}, describe_instances=instance or described())
        self.telemetry = RecordingTelemetry()
        self.slept: list[float] = []
        self.error: Exception | None = None
        runtime = Runtime(self.telemetry, lambda: NOW, self.slept.append)
        autoscaling = AutoScaling(self.autoscaling)
        instances = Instances(self.ec2)
        cloud_map = CloudMap(self.cloud_map, ["srv-1"], 24224)
        handler = InterruptionHandler(
            settings=load_settings(InterruptionSettings, environments.interruption()),
            autoscaling=autoscaling,
            instances=instances,
            discovery=Discovery(
                cloud_map,
                Queue(scripted(), "https://sqs/operation"),
                Placement(cloud_map, autoscaling, instances, allow_empty=False, runtime=runtime),
            ),
            run_command=RunCommand(self.ssm, "pipeline-flush", 30),
            runtime=runtime,
        )
        try:
            handler.handle(event)
        except Exception as error:  # noqa: BLE001 (the tests look at it)
            self.error = error

    @property
    def done(self) -> set[str]:
        """What was changed anywhere."""
        calls = (*self.cloud_map.calls, *self.ssm.calls, *self.ec2.calls)
        return {name for name, _ in calls} - {"list_instances", "describe_instances"}

    @property
    def tags(self) -> dict[str, str]:
        return {
            tag["Key"]: tag["Value"]
            for call in self.ec2.arguments_of("create_tags")
            for tag in call["Tags"]
        }

    @property
    def counted(self) -> float:
        return self.telemetry.total(Metric.UNCLEAN_TERMINATION)

    def reason(self, event: LogEvent) -> object:
        return self.telemetry.the(event)["reason"]


def test_a_warning_is_acted_upon_counted_and_remembered() -> None:
    handled = Handled(spot_event())
    assert handled.done == {"deregister_instance", "send_command", "create_tags"}
    assert handled.counted == 1
    assert handled.tags == {
        "fluentd-lifecycle": RECLAIMED,
        "fluentd-lifecycle-unclean": "2023-11-14T22:13:20Z",
    }
    assert handled.telemetry.flushed == 1
    assert handled.error is None


def test_a_flush_that_no_agent_can_take_is_logged_and_holds_nothing_up() -> None:
    handled = Handled(spot_event(), command=aws_error("InvalidInstanceId"))
    assert (handled.error, handled.counted) == (None, 1)
    assert INSTANCE_ID in str(handled.reason(LogEvent.FLUSH_NOT_REQUESTED))
    assert handled.telemetry.of(LogEvent.FLUSH_REQUESTED) == []


def test_a_warning_of_one_that_was_counted_is_acted_upon_and_not_counted() -> None:
    handled = Handled(spot_event(), instance=described(mark=RECLAIMED, counted=True))
    assert {"deregister_instance", "send_command"} <= handled.done
    assert handled.counted == 0


def test_a_warning_of_one_that_is_proven_and_leaves_is_not_counted() -> None:
    handled = Handled(spot_event(), "Terminating:Proceed", described(mark=PROVEN))
    assert handled.counted == 0
    assert handled.tags == {}
    assert "proven" in str(handled.reason(LogEvent.INTERRUPTION_IGNORED))


def test_a_proof_of_an_earlier_life_does_not_keep_a_warning_from_counting() -> None:
    handled = Handled(spot_event(), "InService", described(mark=PROVEN))
    assert handled.counted == 1


def test_a_warning_of_one_whose_pipeline_is_under_way_keeps_its_mark() -> None:
    handled = Handled(spot_event(), "Terminating:Wait", described(mark=TERMINATING))
    assert handled.counted == 1
    assert list(handled.tags) == ["fluentd-lifecycle-unclean"]


def test_a_warning_of_one_that_ec2_does_not_know_yet_is_counted() -> None:
    assert Handled(spot_event(), instance=NOBODY).counted == 1


@pytest.mark.parametrize(("state", "group"), [(None, GROUP), ("InService", "somebody-elses")])
@pytest.mark.parametrize(
    "event", [spot_event(), rebalance_event(), shutting_down_event(), STOPPING_EVENT]
)
def test_nothing_is_done_about_an_instance_of_others(
    event: dict[str, Any], state: str | None, group: str
) -> None:
    handled = Handled(event, state, group=group)
    assert handled.done == set()
    assert handled.counted == 0
    assert handled.telemetry.the(LogEvent.INTERRUPTION_IGNORED)["instance_id"] == INSTANCE_ID


@pytest.mark.parametrize("state", ["InService", "Standby", "Terminating:Wait"])
@pytest.mark.parametrize("shown", ["shutting-down", "terminated"])
def test_one_that_ec2_ends_is_only_deregistered(state: str, shown: str) -> None:
    handled = Handled(shutting_down_event(), state, described(shown, TERMINATING))
    assert handled.done == {"deregister_instance"}
    assert handled.counted == 0
    assert handled.telemetry.the(LogEvent.DEREGISTRATION_REQUESTED)["instance_id"] == INSTANCE_ID
    assert handled.slept == []
    assert handled.error is None


def test_one_that_ec2_ends_and_does_not_know_any_more_is_deregistered() -> None:
    handled = Handled(shutting_down_event(), instance=NOBODY)
    assert handled.done == {"deregister_instance"}
    assert handled.counted == 0


@pytest.mark.parametrize("event", [shutting_down_event(), STOPPING_EVENT])
@pytest.mark.parametrize("shown", ["pending", "running"])
def test_one_that_ec2_shows_alive_is_never_deregistered(shown: str, event: dict[str, Any]) -> None:
    handled = Handled(event, instance=described(shown))
    assert handled.done == set()
    assert handled.reason(LogEvent.INTERRUPTION_IGNORED) == f"EC2 shows it as {shown}"
    assert handled.slept == [2.0, 2.0]
    assert handled.error is None


@pytest.mark.parametrize("state", ["InService", "Standby", "Terminating:Wait", "Warmed:Stopped"])
@pytest.mark.parametrize("shown", ["stopping", "stopped", "shutting-down"])
def test_one_that_ec2_stops_is_only_deregistered(state: str, shown: str) -> None:
    handled = Handled(STOPPING_EVENT, state, described(shown, TERMINATING))
    assert handled.done == {"deregister_instance"}
    assert (handled.counted, handled.error) == (0, None)
    assert handled.telemetry.the(LogEvent.DEREGISTRATION_REQUESTED)["signal"] == "stopping"


def test_one_that_stops_and_may_be_started_again_is_never_marked_as_reclaimed() -> None:
    in_service = Handled(STOPPING_EVENT, instance=described("stopping"))
    assert in_service.tags == {"fluentd-lifecycle": "launching 2023-11-14T22:13:20Z"}
    leaving = Handled(STOPPING_EVENT, "Terminating:Wait", described("stopping"))
    assert leaving.tags == {"fluentd-lifecycle": RECLAIMED}


def test_one_that_the_warm_pool_stops_is_neither_marked_nor_counted() -> None:
    handled = Handled(
        STOPPING_EVENT,
        "Warmed:Stopped",
        described("stopped", PROVEN),
        deregistration=aws_error("InstanceNotFound"),
    )
    assert (handled.tags, handled.counted, handled.error) == ({}, 0, None)
    assert handled.reason(LogEvent.INTERRUPTION_IGNORED) == "it is not registered"


@pytest.mark.parametrize("detail_type", ["Successful", "Unsuccessful"])
def test_an_end_of_one_that_lives_in_an_unknown_state_is_asked_for_again(detail_type: str) -> None:
    event = termination_event() | {"detail-type": f"EC2 Instance Terminate {detail_type}"}
    handled = Handled(event, "AStateThatAwsAddsLater", described())
    assert isinstance(handled.error, UnexpectedState)
    assert "keep the instance, discard nothing" in str(handled.error)
    assert (handled.done, handled.counted) == (set(), 0)
    gone = Handled(termination_event(), "AStateThatAwsAddsLater", described("terminated"))
    assert (gone.counted, gone.error) == (1, None)


def test_an_activity_that_ends_in_the_group_is_no_end() -> None:
    handled = Handled(termination_event(Destination="AutoScalingGroup"), "Pending:Wait")
    assert handled.done == set()
    assert handled.reason(LogEvent.INTERRUPTION_IGNORED) == "it stays in its group"


def test_a_proof_from_before_its_root_volume_was_replaced_says_nothing_of_its_end() -> None:
    replaced = described("terminated", "replaced 2023-11-14T22:13:25Z")
    assert Handled(termination_event(), None, replaced).counted == 1
    assert Handled(termination_event(), None, described("terminated", PROVEN)).counted == 0


def test_an_answer_of_ec2_that_is_older_than_its_event_is_asked_for_again() -> None:
    shown = [described(mark=TERMINATING), described("shutting-down", TERMINATING)]
    handled = Handled(shutting_down_event(), instance=shown)
    assert handled.done == {"deregister_instance"}
    assert handled.slept == [2.0]


def test_one_that_ec2_ends_after_its_proven_release_is_a_quiet_line() -> None:
    gone = aws_error("InstanceNotFound")
    handled = Handled(
        shutting_down_event(),
        "Terminating:Proceed",
        described("shutting-down", PROVEN),
        deregistration=gone,
    )
    assert handled.tags == {}
    assert handled.counted == 0
    assert handled.reason(LogEvent.INTERRUPTION_IGNORED) == "it is not registered"
    assert {line.level for line in handled.telemetry.lines} == {"INFO"}
    assert handled.error is None


def test_one_that_only_its_registration_shows_to_have_served_is_marked_before_it_is_taken_out() -> (
    None
):
    handled = Handled(shutting_down_event(), instance=described("shutting-down"))
    assert handled.tags == {"fluentd-lifecycle": RECLAIMED}
    assert "deregister_instance" in handled.done
    assert handled.counted == 0


def test_one_that_was_never_registered_is_not_marked() -> None:
    handled = Handled(
        shutting_down_event(),
        "Pending:Proceed",
        described("shutting-down"),
        deregistration=aws_error("InstanceNotFound"),
        registered={"Instances": []},
    )
    assert handled.tags == {}
    assert handled.reason(LogEvent.INTERRUPTION_IGNORED) == "it is not registered"


def test_what_cannot_be_marked_keeps_the_only_trace_of_its_service() -> None:
    handled = Handled(shutting_down_event(), instance=described("shutting-down"), tagging=THROTTLED)
    assert "deregister_instance" not in handled.done
    assert handled.error is THROTTLED


@pytest.mark.parametrize(
    "refused",
    [
        {"deregistration": THROTTLED, "instance": described("terminated", TERMINATING)},
        {"instance": THROTTLED},
        {"instance": described("terminated"), "registered": THROTTLED},
    ],
    ids=["DeregisterInstance", "DescribeInstances", "ListInstances"],
)
def test_what_aws_refuses_while_ec2_ends_one_is_named_and_raised(refused: dict[str, Any]) -> None:
    handled = Handled(shutting_down_event(), **refused)
    assert handled.error is THROTTLED
    assert handled.counted == 0
    assert handled.telemetry.the(LogEvent.INTERRUPTION_STEP_FAILED)["step"] == "deregister"
    assert handled.telemetry.flushed == 1


def test_an_end_in_another_group_is_ignored() -> None:
    handled = Handled(termination_event(AutoScalingGroupName="somebody-elses"), None)
    assert handled.done == set()
    assert handled.reason(LogEvent.INTERRUPTION_IGNORED) == "another Auto Scaling group"


def test_a_return_into_the_warm_pool_is_no_end() -> None:
    handled = Handled(termination_event(Destination="WarmPool"), "Warmed:Stopped")
    assert handled.done == set()
    assert handled.counted == 0


@pytest.mark.parametrize("state", ["InService", "Pending", "Pending:Wait"])
def test_a_working_instance_is_never_deregistered_for_a_late_or_failed_termination(
    state: str,
) -> None:
    event = termination_event() | {"detail-type": "EC2 Instance Terminate Unsuccessful"}
    for one in (event, termination_event()):
        handled = Handled(one, state)
        assert handled.done == set()
        assert handled.counted == 0


@pytest.mark.parametrize("state", ["Terminating:Wait", "Terminating:Proceed"])
def test_one_whose_termination_failed_stays_as_it_is_while_it_lives(state: str) -> None:
    event = termination_event() | {"detail-type": "EC2 Instance Terminate Unsuccessful"}
    handled = Handled(event, state, described(mark=TERMINATING))
    assert handled.done == set()
    assert handled.counted == 0
    assert handled.reason(LogEvent.INTERRUPTION_IGNORED) == "it has not ended"


def test_a_termination_that_failed_after_the_instance_was_gone_is_counted() -> None:
    event = termination_event() | {"detail-type": "EC2 Instance Terminate Unsuccessful"}
    handled = Handled(event, None, described("terminated", mark=TERMINATING))
    assert handled.counted == 1


def test_a_proven_end_is_logged_and_not_counted() -> None:
    gone = aws_error("InstanceNotFound")
    handled = Handled(
        termination_event(), None, described("terminated", PROVEN), deregistration=gone
    )
    assert handled.counted == 0
    assert handled.reason(LogEvent.INSTANCE_ENDED) == "proven"
    assert handled.telemetry.the(LogEvent.INSTANCE_ENDED)["mark"] == PROVEN


def test_an_end_that_ec2_has_forgotten_is_counted_and_its_registration_removed() -> None:
    handled = Handled(termination_event(), None, NOBODY)
    assert handled.counted == 1
    assert "deregister_instance" in handled.done
    assert handled.reason(LogEvent.UNCLEAN_TERMINATION) == "unknown_to_ec2"


def test_a_deregistration_that_fails_at_the_end_counts_what_may_have_been_registered() -> None:
    handled = Handled(termination_event(), None, described("terminated"), deregistration=THROTTLED)
    assert handled.counted == 1
    assert handled.error is THROTTLED


def test_a_tag_that_a_terminated_instance_does_not_take_is_no_failure() -> None:
    handled = Handled(termination_event(), None, described("terminated"), tagging=THROTTLED)
    assert handled.counted == 1
    assert handled.error is None
    assert handled.telemetry.the(LogEvent.MARK_FAILED)["mark"] == "counted"


def test_what_failed_first_is_raised_when_all_else_is_done() -> None:
    refused = aws_error("AccessDeniedException")
    handled = Handled(spot_event(), deregistration=refused, command=THROTTLED, tagging=THROTTLED)
    assert handled.done == {"deregister_instance", "send_command", "create_tags"}
    assert handled.counted == 1
    assert handled.error is refused
    steps = [one["step"] for one in handled.telemetry.of(LogEvent.INTERRUPTION_STEP_FAILED)]
    assert steps == ["deregister", "flush", "count"]
    assert handled.telemetry.flushed == 1


def test_without_ec2_it_is_taken_out_all_the_same_and_counted_later() -> None:
    handled = Handled(spot_event(), instance=THROTTLED)
    assert handled.done == {"deregister_instance", "send_command"}
    assert handled.counted == 0
    assert handled.error is THROTTLED


@pytest.mark.parametrize("event", [None, [], "text", {}, {"source": "aws.ec2"}])
def test_a_malformed_event_is_named_and_raised(event: object) -> None:
    handled = Handled(event)
    assert isinstance(handled.error, Malformed)
    assert handled.done == set()
    assert "interruption event: " in str(handled.reason(LogEvent.INTERRUPTION_INVALID))


def test_nothing_that_it_calls_can_let_an_instance_go() -> None:
    """The rule that outranks all; its role in Terraform could not do it either."""
    for event in (
        spot_event(),
        termination_event(),
        rebalance_event(OTHER_INSTANCE_ID),
        shutting_down_event(),
    ):
        for state in ("InService", "Terminating:Wait", None):
            handled = Handled(event, state)
            assert {name for name, _ in handled.autoscaling.calls} <= {
                "describe_auto_scaling_instances"
            }


@pytest.mark.usefixtures("aws_environment", "service")
def test_it_is_wired_from_its_environment() -> None:
    handler = wire(environments.interruption())
    assert handler.discovery is not None
    assert handler.run_command is not None
    bare = environments.without_cloud_map(environments.interruption())
    bare = {name: value for name, value in bare.items() if not name.startswith("FLUSH_")}
    handler = wire(bare)
    assert handler.discovery is None
    assert handler.run_command is None


@pytest.mark.usefixtures("aws_environment", "service")
def test_wrong_settings_are_named() -> None:
    with pytest.raises(ConfigurationError, match="FLUSH_DELIVERY_TIMEOUT_SECONDS"):
        wire(environments.interruption(FLUSH_DELIVERY_TIMEOUT_SECONDS="29"))
