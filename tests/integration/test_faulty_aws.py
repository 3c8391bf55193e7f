"""AWS on a bad day: calls are refused, or do their work and then fail. Nothing is lost by it."""

import pytest

from lifecycle.telemetry import LogEvent, Metric
from tests.support.fleet import EMPTY
from tests.support.pipeline import HEARTBEAT_TIMEOUT, Pipeline

LAUNCH_CALLS = [
    "DescribeAutoScalingInstances",
    "DescribeInstances",
    "RegisterInstance",
    "SendMessage",
    "GetOperation",
    "GetInstance",
    "CompleteLifecycleAction",
]
TERMINATE_CALLS = [
    "DescribeAutoScalingInstances",
    "DeregisterInstance",
    "SendMessage",
    "GetOperation",
    "GetInstance",
    "RecordLifecycleActionHeartbeat",
    "ChangeMessageVisibility",
    "CompleteLifecycleAction",
]
# botocore tries a throttled call three times: so often that the product sees two refusals.
THROTTLED_TWICE = 6


def refuse(pipeline: Pipeline, call: str) -> None:
    pipeline.world.faults.throttle(call, times=THROTTLED_TWICE)


def lose_the_reply(pipeline: Pipeline, call: str) -> None:
    """The next call does its work, and its answer is lost.

    As on AWS, botocore calls again after a timeout: the completion depends on it, since there is
    no proof to be had of an instance that is gone. Every other caller copes without.
    """
    code = "RequestTimeout" if call == "CompleteLifecycleAction" else "ServiceUnavailable"
    pipeline.world.faults.fail_calls(call, code, times=1, moment="after")


def in_service(pipeline: Pipeline) -> bool:
    # Not by asking Auto Scaling: that would use up the faults.
    return any(entry["event"] == "in_service" for entry in pipeline.world.journal)


def terminated(pipeline: Pipeline) -> bool:
    return any(entry["event"] == "terminated" for entry in pipeline.world.journal)


def no_alarm_pages(pipeline: Pipeline) -> bool:
    return (
        pipeline.given_up == []
        and pipeline.waiting("operation-dlq") == 0
        and pipeline.waiting("buffer-dlq") == 0
        and pipeline.telemetry.total(Metric.LIFECYCLE_ACTION_EXPIRED) == 0
    )


def launched(pipeline: Pipeline) -> str:
    return next(
        str(one["instance_id"]) for one in pipeline.world.journal if one["event"] == "launched"
    )


@pytest.mark.parametrize("fault", [refuse, lose_the_reply])
@pytest.mark.parametrize("call", LAUNCH_CALLS)
def test_a_launch_survives_a_call_that_fails(pipeline: Pipeline, call: str, fault: object) -> None:
    assert callable(fault)
    pipeline.create_group(0)
    fault(pipeline, call)
    pipeline.scale_to(1)
    pipeline.until(lambda: in_service(pipeline))
    assert pipeline.world.faults.call_failures == [], "the fault was never met"
    pipeline.advance(400)
    assert list(pipeline.registered()) == [launched(pipeline)]
    assert len(pipeline.journal(launched(pipeline), "completed")) == 1
    assert no_alarm_pages(pipeline)
    assert pipeline.is_quiet()


@pytest.mark.parametrize("fault", [refuse, lose_the_reply])
@pytest.mark.parametrize("call", TERMINATE_CALLS)
def test_a_drain_survives_a_call_that_fails(pipeline: Pipeline, call: str, fault: object) -> None:
    assert callable(fault)
    [instance_id] = pipeline.start_fleet()
    fault(pipeline, call)
    pipeline.scale_to(0)
    pipeline.advance(200)
    pipeline.fleet.shows(instance_id, EMPTY)
    pipeline.until(lambda: terminated(pipeline))
    assert pipeline.world.faults.call_failures == [], "the fault was never met"
    pipeline.advance(800)
    assert pipeline.registered() == {}
    assert len(pipeline.journal(instance_id, "completed")) == 2
    assert pipeline.given_up == []
    assert pipeline.is_quiet()
    assert no_alarm_pages(pipeline)


def test_an_outage_of_every_call_keeps_the_instance_and_the_message(pipeline: Pipeline) -> None:
    [instance_id] = pipeline.start_fleet()
    pipeline.scale_to(0)
    pipeline.until(lambda: pipeline.waiting("buffer") == 1)
    pipeline.fleet.shows(instance_id, EMPTY)
    for call in TERMINATE_CALLS:
        pipeline.world.faults.throttle(call, times=100_000)
    pipeline.advance(HEARTBEAT_TIMEOUT - 60)
    assert not terminated(pipeline)
    assert pipeline.crashes == []
    pipeline.world.faults.clear()
    pipeline.until(lambda: terminated(pipeline))
    assert no_alarm_pages(pipeline)


def test_an_outage_that_outlasts_lambdas_retries_ends_at_the_on_failure_destination(
    pipeline: Pipeline,
) -> None:
    [instance_id] = pipeline.start_fleet()
    pipeline.world.faults.throttle("DeregisterInstance", times=100_000)
    pipeline.scale_to(0)
    pipeline.advance(240)
    [event] = pipeline.given_up
    assert event["detail"]["EC2InstanceId"] == instance_id
    pipeline.world.faults.clear()
    pipeline.given_up.clear()
    pipeline.receive_event(event)  # what the runbook does
    pipeline.fleet.shows(instance_id, EMPTY)
    pipeline.until(lambda: terminated(pipeline))


def test_a_registration_under_way_when_its_end_begins_is_waited_for_and_undone(
    pipeline: Pipeline,
) -> None:
    [instance_id] = pipeline.start_fleet()
    pipeline.world.faults.operation_seconds = 40
    pipeline.request_registration(instance_id)
    pipeline.scale_to(0)
    pipeline.fleet.shows(instance_id, EMPTY)
    pipeline.until(lambda: terminated(pipeline))
    assert pipeline.registrations(instance_id) == ["registered", "registered", "deregistered"]
    assert LogEvent.OPERATION_REQUESTED_AGAIN in pipeline.telemetry.events
    assert no_alarm_pages(pipeline)
