"""From the launch to service: registered first, then in service, and no other instance."""

import pytest

from lifecycle.errors import Malformed
from lifecycle.telemetry import LogEvent, Metric
from tests.support.account import create_ipv6_only_subnet
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


def test_a_slow_registration_is_waited_for_beyond_the_hooks_own_timeout(pipeline: Pipeline) -> None:
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


def test_an_instance_without_an_ipv4_address_is_registered_by_its_ipv6_address(
    pipeline: Pipeline,
) -> None:
    pipeline.subnet_id = create_ipv6_only_subnet(pipeline.clients)
    [instance_id] = pipeline.start_fleet()
    [registered] = pipeline.registered().values()
    address = registered.pop("AWS_INSTANCE_IPV6")
    assert ":" in address
    assert registered.keys() == {"AWS_INSTANCE_PORT", "AVAILABILITY_ZONE"}
    line = pipeline.telemetry.the(LogEvent.REGISTRATION_REQUESTED)
    assert (line["instance_id"], line["private_ip_address"]) == (instance_id, address)


class TestAnErrorThatEachLaunchHas:
    """What fails for one instance fails for its replacement, too."""

    def launches(self, pipeline: Pipeline) -> int:
        return sum(entry["event"] == "launched" for entry in pipeline.world.journal)

    def test_the_hooks_own_timeout_is_all_that_replaces_one_that_cloud_map_refuses(
        self, pipeline: Pipeline
    ) -> None:
        pipeline.world.faults.fail_operations(times=1000, code="ACCESS_DENIED")
        pipeline.create_group(1)
        pipeline.advance(10 * HEARTBEAT_TIMEOUT, step=15)
        assert 2 <= self.launches(pipeline) <= 10
        assert pipeline.telemetry.total(Metric.CHECK_MESSAGE_DEAD_LETTERED) >= 2
        pipeline.reconcile()
        assert (Metric.CAPACITY_SHORT, 1) in pipeline.telemetry.values
        assert {one["event"] for one in pipeline.world.journal} & {"completed"} == set()

    def test_one_whose_registration_cannot_be_requested_is_kept_by_the_reconciler(
        self, pipeline: Pipeline
    ) -> None:
        pipeline.world.faults.fail_calls("RegisterInstance", code="InvalidInput", times=1000)
        pipeline.heartbeat_timeout = 900
        pipeline.create_group(2)
        pipeline.reconcile_at = pipeline.clock.now
        pipeline.advance(8 * 900, step=30)
        assert self.launches(pipeline) == 2
        assert len(pipeline.given_up) == 2
        assert pipeline.telemetry.total(Metric.CORRECTIONS_FAILED) >= 10
        assert (Metric.CAPACITY_SHORT, 2) in pipeline.telemetry.values


class TestFailedOperations:
    def test_after_three_more_requests_the_operator_gets_the_error_code(
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
    def test_one_that_is_terminated_while_it_is_registered_stays_deregistered(
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
