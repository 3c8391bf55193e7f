"""When automation gives up: a person is told in time, nothing is lost yet, a redrive resumes.

That nobody is released early or while registered is checked in every test, by the pipeline fixture.
"""

import json

import pytest

from lifecycle.messages import BufferCheck, parse_check_message
from lifecycle.telemetry import LogEvent, Metric
from tests.support.fleet import EMPTY, HOLDING
from tests.support.messages import buffer_check, operation_check
from tests.support.pipeline import DRAIN_TIMEOUT, HEARTBEAT_TIMEOUT, Pipeline


def start_draining(pipeline: Pipeline, capture: str = HOLDING) -> str:
    [instance_id] = pipeline.start_fleet()
    pipeline.fleet.shows(instance_id, capture)
    pipeline.scale_to(0)
    pipeline.until(lambda: pipeline.waiting("buffer") == 1)
    return instance_id


def until_given_up(pipeline: Pipeline) -> float:
    """Wait for the dead letter; returns when it came."""
    pipeline.until(lambda: pipeline.waiting("buffer-dlq") == 1, within=DRAIN_TIMEOUT + 200)
    return pipeline.clock()


def until_operation_given_up(pipeline: Pipeline) -> None:
    pipeline.until(lambda: pipeline.waiting("operation-dlq") == 1, within=DRAIN_TIMEOUT + 200)


def keep_no_hook_alive(pipeline: Pipeline) -> None:
    pipeline.world.faults.fail_calls("RecordLifecycleActionHeartbeat", "Outage", times=100_000)


class TestDeadline:
    def test_a_drain_that_takes_too_long_is_handed_to_a_person(self, pipeline: Pipeline) -> None:
        instance_id = start_draining(pipeline)
        [body] = pipeline.bodies("buffer")
        begun_at = pipeline.clock()
        given_up_at = until_given_up(pipeline)
        assert DRAIN_TIMEOUT <= given_up_at - begun_at <= DRAIN_TIMEOUT + 120 + 10
        assert pipeline.state(instance_id) == "Terminating:Wait"
        [(kept, reason)] = pipeline.dead_letters("buffer")
        assert kept == body
        assert "DRAINING (staged): 3 chunks staged" in reason
        assert pipeline.waiting("buffer") == 0
        assert pipeline.telemetry.total(Metric.CHECK_MESSAGE_DEAD_LETTERED) == 1
        line = pipeline.telemetry.the(LogEvent.CHECK_MESSAGE_DEAD_LETTERED)
        assert line["instance_id"] == instance_id

    def test_the_person_has_the_whole_heartbeat_timeout_from_then_on(
        self, pipeline: Pipeline
    ) -> None:
        instance_id = start_draining(pipeline)
        given_up_at = until_given_up(pipeline)
        beats = pipeline.journal(instance_id, "heartbeat")
        assert beats[-1]["at"] == given_up_at
        pipeline.advance(HEARTBEAT_TIMEOUT - 10)
        assert pipeline.state(instance_id) == "Terminating:Wait"
        pipeline.advance(20)
        assert pipeline.journal(instance_id, "expired")[0]["at"] == given_up_at + HEARTBEAT_TIMEOUT
        assert pipeline.state(instance_id) is None

    def test_with_the_retention_policy_it_is_kept_even_after_that(self, pipeline: Pipeline) -> None:
        instance_id = start_draining(pipeline)
        pipeline.retain_on_abandon()
        until_given_up(pipeline)
        pipeline.advance(HEARTBEAT_TIMEOUT * 2)
        assert pipeline.state(instance_id) == "Terminating:Retained"

    def test_a_redrive_resumes_and_starts_the_clock_afresh(self, pipeline: Pipeline) -> None:
        instance_id = start_draining(pipeline)
        until_given_up(pipeline)
        assert pipeline.redrive("buffer") == 1
        pipeline.advance(DRAIN_TIMEOUT / 2)
        assert pipeline.state(instance_id) == "Terminating:Wait"
        assert pipeline.waiting("buffer") == 1
        pipeline.fleet.shows(instance_id, EMPTY)
        pipeline.until(lambda: pipeline.state(instance_id) is None)
        assert pipeline.is_quiet()

    def test_a_redrive_after_the_exporter_returned_releases_what_was_proven(
        self, pipeline: Pipeline
    ) -> None:
        instance_id = start_draining(pipeline)
        pipeline.fleet.loses_exporter(instance_id)
        until_given_up(pipeline)
        [(_, reason)] = pipeline.dead_letters("buffer")
        assert "UNKNOWN" in reason
        pipeline.fleet.shows(instance_id, EMPTY)
        pipeline.redrive("buffer")
        pipeline.until(lambda: pipeline.state(instance_id) is None)

    def test_a_registration_that_takes_too_long_is_handed_to_a_person(
        self, pipeline: Pipeline
    ) -> None:
        pipeline.wire(lambda: pipeline.fleet, TIMEOUT_SECONDS="120")
        pipeline.world.faults.operation_seconds = 10_000
        pipeline.create_group(1)
        pipeline.until(lambda: pipeline.waiting("operation-dlq") == 1)
        assert pipeline.states_are("Pending:Wait", 1)
        [(_, reason)] = pipeline.dead_letters("operation")
        assert "still under way" in reason

    def test_a_message_that_crashes_its_function_is_set_aside_by_the_queue_itself(
        self, pipeline: Pipeline
    ) -> None:
        instance_id = start_draining(pipeline)
        arn = pipeline.clients.sqs.get_queue_attributes(
            QueueUrl=pipeline.queue_urls["buffer-dlq"], AttributeNames=["QueueArn"]
        )["Attributes"]["QueueArn"]
        pipeline.clients.sqs.set_queue_attributes(
            QueueUrl=pipeline.queue_urls["buffer"],
            Attributes={
                "RedrivePolicy": json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 4}),
                "VisibilityTimeout": "30",
            },
        )

        def crash(event: object) -> object:
            raise MemoryError

        pipeline.consume = crash
        pipeline.until(lambda: pipeline.waiting("buffer-dlq") == 1)
        assert pipeline.state(instance_id) == "Terminating:Wait"


class TestHookThatExpired:
    def test_an_instance_that_was_let_go_without_proof_raises_the_alarm_once(
        self, pipeline: Pipeline
    ) -> None:
        instance_id = start_draining(pipeline)
        pipeline.let_hooks_expire("buffer")
        assert pipeline.state(instance_id) is None
        pipeline.until(lambda: pipeline.waiting("buffer") == 0)
        assert pipeline.telemetry.total(Metric.LIFECYCLE_ACTION_EXPIRED) == 1
        line = pipeline.telemetry.the(LogEvent.LIFECYCLE_ACTION_EXPIRED)
        assert (line.level, line["instance_id"]) == ("ERROR", instance_id)
        assert pipeline.is_quiet()

    def test_a_failing_heartbeat_alone_keeps_the_drain_going(self, pipeline: Pipeline) -> None:
        instance_id = start_draining(pipeline)
        keep_no_hook_alive(pipeline)
        pipeline.advance(HEARTBEAT_TIMEOUT / 2)
        assert pipeline.state(instance_id) == "Terminating:Wait"
        assert pipeline.waiting("buffer") == 1
        lines = pipeline.telemetry.of(LogEvent.HEARTBEAT_FAILED)
        assert {line["outcome"] for line in lines} == {"failed"}

    def test_a_drain_in_a_group_that_was_deleted_by_force_is_handed_to_a_person(
        self, pipeline: Pipeline
    ) -> None:
        instance_id = start_draining(pipeline)
        pipeline.fleet.loses_target(instance_id)
        pipeline.clients.autoscaling.delete_auto_scaling_group(
            AutoScalingGroupName="fluentd-aggregators", ForceDelete=True
        )
        until_given_up(pipeline)
        assert pipeline.waiting("buffer") == 0

    def test_a_release_that_came_too_late_but_was_proven_is_no_alarm(
        self, pipeline: Pipeline
    ) -> None:
        instance_id = start_draining(pipeline, EMPTY)
        [body] = pipeline.take_all("buffer")
        pipeline.advance(100)
        pipeline.clients.autoscaling.complete_lifecycle_action(
            AutoScalingGroupName="fluentd-aggregators",
            LifecycleHookName="pipeline-terminate",
            LifecycleActionResult="ABANDON",  # somebody was quicker
            InstanceId=instance_id,
        )
        pipeline.send("buffer", body)
        pipeline.advance(5)
        assert pipeline.is_quiet()
        assert pipeline.telemetry.total(Metric.LIFECYCLE_ACTION_EXPIRED) == 0
        line = pipeline.telemetry.the(LogEvent.LIFECYCLE_ACTION_ALREADY_ENDED)
        assert line["ended"] == "already_ended_gone"

    @pytest.mark.parametrize("gone_after", [0, 3])
    def test_a_termination_of_an_instance_that_is_gone_ends_with_the_alarm(
        self, pipeline: Pipeline, gone_after: float
    ) -> None:
        [instance_id] = pipeline.start_fleet()
        pipeline.scale_to(0)
        pipeline.advance(gone_after, step=1)
        pipeline.clients.autoscaling.complete_lifecycle_action(
            AutoScalingGroupName="fluentd-aggregators",
            LifecycleHookName="pipeline-terminate",
            LifecycleActionResult="ABANDON",
            InstanceId=instance_id,
        )
        pipeline.fleet.loses_target(instance_id)
        pipeline.advance(300)
        assert pipeline.registered() == {}
        assert pipeline.telemetry.total(Metric.LIFECYCLE_ACTION_EXPIRED) == 1
        assert pipeline.is_quiet()


class TestRetained:
    def test_a_retained_instance_that_is_proven_empty_is_handed_to_a_person(
        self, pipeline: Pipeline
    ) -> None:
        instance_id = start_draining(pipeline)
        pipeline.retain_on_abandon()
        pipeline.let_hooks_expire("buffer")
        assert pipeline.state(instance_id) == "Terminating:Retained"
        assert pipeline.waiting("buffer") == 1  # its logs may still be saved
        pipeline.fleet.shows(instance_id, EMPTY)
        pipeline.until(lambda: pipeline.waiting("buffer-dlq") == 1)
        [(_, reason)] = pipeline.dead_letters("buffer")
        assert "TerminateInstanceInAutoScalingGroup" in reason
        assert pipeline.state(instance_id) == "Terminating:Retained"
        pipeline.advance(3600)
        pipeline.reconcile()
        pipeline.advance(300)
        assert pipeline.waiting("buffer-dlq") == 1  # one call is enough
        pipeline.clients.autoscaling.terminate_instance_in_auto_scaling_group(
            InstanceId=instance_id, ShouldDecrementDesiredCapacity=False
        )
        pipeline.until(lambda: pipeline.state(instance_id) is None)
        assert pipeline.telemetry.total(Metric.UNCLEAN_TERMINATION) == 0
        assert pipeline.telemetry.total(Metric.LIFECYCLE_ACTION_EXPIRED) == 0


class TestBadMessages:
    def test_a_malformed_message_does_not_hold_up_a_release(self, pipeline: Pipeline) -> None:
        instance_id = start_draining(pipeline, EMPTY)
        bad = ["", "hello", "{}", operation_check().model_dump_json()]
        for body in bad[1:]:
            pipeline.send("buffer", body)
        pipeline.until(lambda: pipeline.state(instance_id) is None)
        letters = pipeline.dead_letters("buffer")
        assert sorted(body for body, _ in letters) == sorted(bad[1:])
        assert all(reason.startswith("check message: ") for _, reason in letters)

    def test_an_instance_id_that_is_none_never_reaches_a_query(self, pipeline: Pipeline) -> None:
        start_draining(pipeline)
        evil = 'i-0"} or on() vector(0) or {x="'
        wrong = json.loads(buffer_check().model_dump_json())
        wrong["action"]["instance_id"] = evil
        pipeline.send("buffer", json.dumps(wrong))
        pipeline.advance(120)
        assert pipeline.waiting("buffer-dlq") == 1
        assert pipeline.fleet.queries
        assert not [query for query in pipeline.fleet.queries if "vector" in query]
        line = pipeline.telemetry.the(LogEvent.CHECK_MESSAGE_INVALID)
        assert "action.instance_id" in str(line["reason"])
        assert repr(evil) in str(line["reason"])

    def test_a_message_of_another_group_goes_to_a_person_and_touches_nothing(
        self, pipeline: Pipeline
    ) -> None:
        pipeline.start_fleet()
        pipeline.send("buffer", buffer_check(autoscaling_group_name="other").model_dump_json())
        pipeline.send("operation", operation_check(autoscaling_group_name="x").model_dump_json())
        pipeline.advance(30)
        for queue in ("buffer", "operation"):
            [(_, reason)] = pipeline.dead_letters(queue)
            assert "is not this pipeline's group" in reason
        assert pipeline.states_are("InService", 1)

    def test_what_is_set_aside_can_be_redriven_as_it_is(self, pipeline: Pipeline) -> None:
        start_draining(pipeline)
        until_given_up(pipeline)
        [(body, _)] = pipeline.dead_letters("buffer")
        assert parse_check_message(BufferCheck, body).requested_again == 0
