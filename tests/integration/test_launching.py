"""From the launch to service: registered first, in service then, and nobody else."""

from collections.abc import Sequence

import pytest

from lifecycle.adapters.instances import Instances
from lifecycle.decisions.instance import Instance
from lifecycle.errors import Malformed
from lifecycle.telemetry import LogEvent, Metric
from tests.support.messages import launch_event
from tests.support.pipeline import HEARTBEAT_TIMEOUT, Pipeline


def only_instance(pipeline: Pipeline) -> str:
    [instance_id] = pipeline.states()
    return instance_id


def where_it_is(pipeline: Pipeline, instance_id: str) -> dict[str, str]:
    """The attributes that its registration must have."""
    answer = pipeline.clients.ec2.describe_instances(InstanceIds=[instance_id])
    instance = answer["Reservations"][0]["Instances"][0]
    return {
        "AWS_INSTANCE_IPV4": instance["PrivateIpAddress"],
        "AWS_INSTANCE_PORT": "24224",
        "AVAILABILITY_ZONE": instance["Placement"]["AvailabilityZone"],
    }


def test_an_instance_goes_into_service_once_it_is_registered(pipeline: Pipeline) -> None:
    pipeline.create_group(1)
    instance_id = only_instance(pipeline)
    assert pipeline.state(instance_id) == "Pending:Wait"
    pipeline.until(lambda: pipeline.state(instance_id) == "InService")
    assert pipeline.registered() == {instance_id: where_it_is(pipeline, instance_id)}
    [registered] = pipeline.journal(instance_id, "registered")
    [in_service] = pipeline.journal(instance_id, "in_service")
    assert registered["at"] <= in_service["at"]
    assert pipeline.telemetry.total(Metric.LIFECYCLE_ACTION_COMPLETED) == 1
    assert pipeline.is_quiet()


def test_every_instance_of_a_larger_launch_goes_into_service(pipeline: Pipeline) -> None:
    instance_ids = pipeline.start_fleet(12)
    assert sorted(pipeline.registered()) == sorted(instance_ids)
    assert pipeline.crashes == []


def test_a_slow_registration_is_waited_for_beyond_the_hooks_own_timeout(
    pipeline: Pipeline,
) -> None:
    pipeline.world.faults.operation_seconds = HEARTBEAT_TIMEOUT * 1.5
    pipeline.wire(lambda: pipeline.fleet, TIMEOUT_SECONDS=str(HEARTBEAT_TIMEOUT * 2))
    pipeline.create_group(1)
    pipeline.advance(HEARTBEAT_TIMEOUT * 1.4)
    instance_id = only_instance(pipeline)
    assert (pipeline.state(instance_id), pipeline.registered()) == ("Pending:Wait", {})
    pipeline.until(lambda: pipeline.state(instance_id) == "InService")
    assert list(pipeline.registered()) == [instance_id]
    assert LogEvent.OPERATION_PENDING in pipeline.telemetry.events


def test_events_and_messages_that_arrive_twice_change_nothing(pipeline: Pipeline) -> None:
    pipeline.copies = 2
    instance_id = pipeline.start_fleet()[0]
    pipeline.advance(60)
    assert pipeline.state(instance_id) == "InService"
    assert list(pipeline.registered()) == [instance_id]
    assert len(pipeline.journal(instance_id, "completed")) == 1
    assert (pipeline.crashes, pipeline.is_quiet()) == ([], True)


def test_an_event_that_arrives_again_much_later_changes_nothing(pipeline: Pipeline) -> None:
    instance_id = pipeline.start_fleet()[0]
    pipeline.receive_event(pipeline.world.lifecycle_events[0])
    pipeline.advance(60)
    assert pipeline.state(instance_id) == "InService"
    assert pipeline.registered() == {instance_id: where_it_is(pipeline, instance_id)}
    assert pipeline.is_quiet()
    assert len(pipeline.telemetry.of(LogEvent.LIFECYCLE_ACTION_ALREADY_ENDED)) == 1


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"AutoScalingGroupName": "another-group"}, "another Auto Scaling group"),
        ({"LifecycleHookName": "another-hook"}, "another lifecycle hook"),
    ],
)
def test_an_event_of_another_group_or_hook_is_ignored_with_a_log_line(
    pipeline: Pipeline, changed: dict[str, str], reason: str
) -> None:
    pipeline.alter = lambda event: {**event, "detail": {**event["detail"], **changed}}
    pipeline.create_group(1)
    pipeline.advance(60)
    assert pipeline.states_are("Pending:Wait", 1)
    assert pipeline.registered() == {}
    assert pipeline.is_quiet()
    assert pipeline.telemetry.the(LogEvent.LIFECYCLE_EVENT_IGNORED)["reason"] == reason


def test_a_launch_with_the_name_of_the_terminate_hook_is_ignored(pipeline: Pipeline) -> None:
    pipeline.receive_event(launch_event(LifecycleHookName="pipeline-terminate"))
    pipeline.advance(5)
    assert LogEvent.LIFECYCLE_EVENT_IGNORED in pipeline.telemetry.events
    assert pipeline.is_quiet()


def test_a_launch_into_a_warm_pool_is_completed_and_not_registered(pipeline: Pipeline) -> None:
    pipeline.alter = lambda event: {
        **event,
        "detail": {**event["detail"], "Destination": "WarmPool"},
    }
    pipeline.copies = 2
    pipeline.create_group(1)
    instance_id = only_instance(pipeline)
    pipeline.advance(30)
    assert pipeline.state(instance_id) == "InService"  # the emulator has no pools
    assert pipeline.registrations(instance_id) == []
    assert pipeline.telemetry.total(Metric.LIFECYCLE_ACTION_COMPLETED) == 1
    assert pipeline.telemetry.flushed == 1
    assert (pipeline.crashes, pipeline.is_quiet()) == ([], True)


def test_a_late_event_of_an_instance_that_is_gone_registers_nothing(pipeline: Pipeline) -> None:
    pipeline.receive_event(launch_event())
    pipeline.advance(60)
    assert pipeline.registered() == {}
    assert (pipeline.crashes, pipeline.is_quiet()) == ([], True)
    line = pipeline.telemetry.the(LogEvent.LIFECYCLE_EVENT_IGNORED)
    assert line["reason"] == "the instance is gone"


def test_a_late_launching_event_of_a_terminating_instance_registers_nothing(
    pipeline: Pipeline,
) -> None:
    instance_id = pipeline.start_fleet()[0]
    pipeline.scale_to(0)
    pipeline.advance(30)
    assert pipeline.registered() == {}
    pipeline.receive_event(pipeline.world.lifecycle_events[0])
    pipeline.advance(30)
    assert pipeline.registrations(instance_id) == ["registered", "deregistered"]
    line = pipeline.telemetry.the(LogEvent.LIFECYCLE_EVENT_IGNORED)
    assert line["reason"] == "the instance is Terminating:Wait"


def test_an_instance_that_ec2_does_not_show_yet_is_asked_for_again(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe, hidden = Instances.describe, iter([True])

    def eventually(instances: Instances, instance_ids: Sequence[str]) -> dict[str, Instance]:
        return {} if next(hidden, False) else describe(instances, instance_ids)

    monkeypatch.setattr(Instances, "describe", eventually)
    pipeline.create_group(1)
    pipeline.advance(30)
    assert pipeline.states_are("Pending:Wait", 1)
    assert "EC2 does not know it" in str(pipeline.crashes[0])
    pipeline.until(lambda: pipeline.states_are("InService", 1))
    assert pipeline.given_up == []


def test_an_event_that_fails_three_times_reaches_the_on_failure_destination(
    pipeline: Pipeline,
) -> None:
    broken = launch_event(EC2InstanceId='i-0123456789abcdef0"} or up')
    pipeline.receive_event(broken)
    pipeline.advance(200)
    assert pipeline.given_up == [broken]
    assert [type(error) for error in pipeline.crashes] == 3 * [Malformed]
    lines = pipeline.telemetry.of(LogEvent.LIFECYCLE_EVENT_INVALID)
    assert len(lines) == 3
    assert "detail.EC2InstanceId" in str(lines[0]["reason"])
    assert repr('i-0123456789abcdef0"} or up') in str(lines[0]["reason"])


class TestFailedOperations:
    def test_a_failed_registration_is_requested_again(self, pipeline: Pipeline) -> None:
        pipeline.world.faults.fail_operations(times=1, code="THROTTLED_REQUEST")
        pipeline.start_fleet()
        line = pipeline.telemetry.the(LogEvent.OPERATION_FAILED)
        assert (line["error_code"], line["error_message"]) == ("THROTTLED_REQUEST", "injected")
        again = pipeline.telemetry.the(LogEvent.OPERATION_REQUESTED_AGAIN)
        assert again["requested_again"] == 1

    def test_after_three_more_requests_a_person_gets_the_error_code(
        self, pipeline: Pipeline
    ) -> None:
        pipeline.world.faults.fail_operations(times=4, code="HOSTED_ZONE_NOT_FOUND")
        pipeline.create_group(1)
        pipeline.advance(120)
        instance_id = only_instance(pipeline)
        assert pipeline.state(instance_id) == "Pending:Wait"
        assert len(pipeline.journal(instance_id, "operation_failed")) == 4
        [(_, reason)] = pipeline.dead_letters("operation")
        assert "4 requests" in reason
        assert "HOSTED_ZONE_NOT_FOUND" in reason
        assert pipeline.telemetry.total(Metric.CHECK_MESSAGE_DEAD_LETTERED) == 1

    def test_a_redrive_after_the_cause_is_gone_starts_afresh(self, pipeline: Pipeline) -> None:
        pipeline.world.faults.fail_operations(times=5, code="HOSTED_ZONE_NOT_FOUND")
        pipeline.create_group(1)
        pipeline.advance(120)
        assert pipeline.redrive("operation") == 1
        pipeline.until(lambda: pipeline.states_are("InService", 1))
        assert len(pipeline.registered()) == 1

    def test_an_operation_that_was_forgotten_after_its_success_is_no_problem(
        self, pipeline: Pipeline
    ) -> None:
        pipeline.create_group(1)
        pipeline.advance(1)
        pipeline.world.faults.fail_calls("GetOperation", "OperationNotFound", times=100)
        pipeline.until(lambda: pipeline.states_are("InService", 1))
        assert LogEvent.OPERATION_REQUESTED_AGAIN not in pipeline.telemetry.events

    def test_an_operation_that_was_forgotten_without_effect_is_requested_again(
        self, pipeline: Pipeline
    ) -> None:
        pipeline.world.faults.operation_seconds = 8
        pipeline.world.faults.fail_calls("GetOperation", "OperationNotFound", times=1)
        pipeline.start_fleet()
        assert LogEvent.OPERATION_REQUESTED_AGAIN in pipeline.telemetry.events
        assert len(pipeline.registered()) == 1


class TestInstancesThatDoNotMakeIt:
    def test_one_whose_hook_expired_is_taken_out_again(self, pipeline: Pipeline) -> None:
        pipeline.world.faults.operation_seconds = HEARTBEAT_TIMEOUT + 30
        pipeline.wire(lambda: pipeline.fleet, TIMEOUT_SECONDS=str(HEARTBEAT_TIMEOUT * 2))
        pipeline.create_group(1)
        instance_id = only_instance(pipeline)
        pipeline.scale_to(1)
        pipeline.until(lambda: pipeline.waiting("operation") == 1)
        pipeline.let_hooks_expire("operation")
        assert pipeline.state(instance_id) is None
        pipeline.until(
            lambda: pipeline.registrations(instance_id) == ["registered", "deregistered"],
            within=3 * HEARTBEAT_TIMEOUT,
        )
        assert LogEvent.INSTANCE_GONE in pipeline.telemetry.events
        assert LogEvent.REGISTRATION_WITHDRAWN in pipeline.telemetry.events

    @pytest.mark.parametrize(
        ("operation_seconds", "after"),
        [(1, 0), (1, 1), (1, 4), (3, 4), (7, 4), (7, 6), (12, 1), (12, 11), (40, 6), (40, 45)],
    )
    def test_one_that_is_sent_away_while_it_is_registered_ends_up_deregistered_for_good(
        self, pipeline: Pipeline, operation_seconds: float, after: float
    ) -> None:
        pipeline.world.faults.operation_seconds = operation_seconds
        pipeline.create_group(1)
        instance_id = only_instance(pipeline)
        pipeline.advance(after, step=1)
        pipeline.scale_to(0)
        pipeline.advance(120)
        assert pipeline.registered() == {}
        registrations = pipeline.registrations(instance_id)
        assert registrations.count("registered") <= 1, "it was registered again on its way out"
        pipeline.advance(60)
        assert pipeline.registrations(instance_id) == registrations
        assert pipeline.waiting("operation") == 0
        assert pipeline.waiting("buffer") == 1
        assert pipeline.given_up == []


def test_a_malformed_message_does_not_hold_up_the_others(pipeline: Pipeline) -> None:
    pipeline.create_group(3)
    pipeline.send("operation", '{"version": 1, "stage": "operation"}')
    pipeline.until(lambda: pipeline.states_are("InService", 3))
    [(body, reason)] = pipeline.dead_letters("operation")
    assert body == '{"version": 1, "stage": "operation"}'
    assert "action: is missing" in reason
