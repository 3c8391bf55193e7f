"""When a stage times out: the operator is paged in time, nothing is lost, a redrive resumes."""

import json

import pytest

from lifecycle.telemetry import LogEvent, Metric
from tests.support.fleet import EMPTY
from tests.support.pipeline import DRAIN_TIMEOUT, HEARTBEAT_TIMEOUT, Pipeline


def until_timed_out(pipeline: Pipeline) -> float:
    """Wait for the dead letter; returns when it came."""
    pipeline.until(lambda: pipeline.waiting("buffer-dlq") == 1, within=DRAIN_TIMEOUT + 200)
    return pipeline.clock()


class TestDeadline:
    def test_a_drain_that_takes_too_long_is_dead_lettered(self, pipeline: Pipeline) -> None:
        instance_id = pipeline.start_draining()
        [body] = pipeline.bodies("buffer")
        begun_at = pipeline.clock()
        timed_out_at = until_timed_out(pipeline)
        assert DRAIN_TIMEOUT <= timed_out_at - begun_at <= DRAIN_TIMEOUT + 120 + 10
        assert pipeline.state(instance_id) == "Terminating:Wait"
        [(kept, reason)] = pipeline.dead_letters("buffer")
        assert kept == body
        assert "DRAINING (staged): 3 chunks staged" in reason
        assert pipeline.waiting("buffer") == 0
        assert pipeline.telemetry.total(Metric.CHECK_MESSAGE_DEAD_LETTERED) == 1
        line = pipeline.telemetry.the(LogEvent.CHECK_MESSAGE_DEAD_LETTERED)
        assert line["instance_id"] == instance_id

    def test_the_operator_has_the_whole_heartbeat_timeout_from_then_on(
        self, pipeline: Pipeline
    ) -> None:
        instance_id = pipeline.start_draining()
        timed_out_at = until_timed_out(pipeline)
        beats = pipeline.journal(instance_id, "heartbeat")
        assert beats[-1]["at"] == timed_out_at
        pipeline.advance(HEARTBEAT_TIMEOUT - 10)
        assert pipeline.state(instance_id) == "Terminating:Wait"
        pipeline.advance(20)
        assert pipeline.journal(instance_id, "expired")[0]["at"] == timed_out_at + HEARTBEAT_TIMEOUT
        assert pipeline.state(instance_id) is None

    def test_a_redrive_resumes_and_starts_the_clock_afresh(self, pipeline: Pipeline) -> None:
        instance_id = pipeline.start_draining()
        until_timed_out(pipeline)
        assert pipeline.redrive("buffer") == 1
        pipeline.advance(DRAIN_TIMEOUT / 2)
        assert pipeline.state(instance_id) == "Terminating:Wait"
        assert pipeline.waiting("buffer") == 1
        pipeline.fleet.shows(instance_id, EMPTY)
        pipeline.until(lambda: pipeline.state(instance_id) is None)
        assert pipeline.is_quiet()

    def test_a_message_that_crashes_its_function_is_dead_lettered_by_the_queue_itself(
        self, pipeline: Pipeline
    ) -> None:
        instance_id = pipeline.start_draining()
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
    def test_an_instance_that_ended_without_proof_raises_the_alarm_once(
        self, pipeline: Pipeline
    ) -> None:
        instance_id = pipeline.start_draining()
        pipeline.let_hooks_expire("buffer")
        assert pipeline.state(instance_id) is None
        pipeline.until(lambda: pipeline.waiting("buffer") == 0)
        assert pipeline.telemetry.total(Metric.LIFECYCLE_ACTION_EXPIRED) == 1
        line = pipeline.telemetry.the(LogEvent.LIFECYCLE_ACTION_EXPIRED)
        assert (line.level, line["instance_id"]) == ("ERROR", instance_id)
        assert pipeline.is_quiet()

    def test_a_drain_in_a_group_that_was_deleted_by_force_is_dead_lettered(
        self, pipeline: Pipeline
    ) -> None:
        instance_id = pipeline.start_draining()
        pipeline.fleet.loses_target(instance_id)
        pipeline.clients.autoscaling.delete_auto_scaling_group(
            AutoScalingGroupName="fluentd-aggregators", ForceDelete=True
        )
        until_timed_out(pipeline)
        assert pipeline.waiting("buffer") == 0

    @pytest.mark.parametrize("gone_after", [0, 3])
    def test_a_termination_of_an_instance_that_is_gone_ends_with_the_alarm(
        self, pipeline: Pipeline, gone_after: float
    ) -> None:
        [instance_id] = pipeline.start_fleet()
        pipeline.scale_to(0)
        pipeline.advance(gone_after, step=1)
        pipeline.complete(instance_id)
        pipeline.fleet.loses_target(instance_id)
        pipeline.advance(300)
        assert pipeline.registered() == {}
        assert pipeline.telemetry.total(Metric.LIFECYCLE_ACTION_EXPIRED) == 1
        assert pipeline.is_quiet()


class TestRetained:
    def test_a_retained_instance_that_is_proven_empty_is_dead_lettered(
        self, pipeline: Pipeline
    ) -> None:
        instance_id = pipeline.start_draining()
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
        pipeline.terminate(instance_id, is_replaced=True)
        pipeline.until(lambda: pipeline.state(instance_id) is None)
        assert pipeline.telemetry.total(Metric.UNCLEAN_TERMINATION) == 0
        assert pipeline.telemetry.total(Metric.LIFECYCLE_ACTION_EXPIRED) == 0
