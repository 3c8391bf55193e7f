"""Whatever stops heartbeats pages before the hook ends; a healthy drain pages never.

The hook really ends: the emulator's timer starts again at each heartbeat that is recorded.
"""

import pytest

from lifecycle.decisions.heartbeats import HEARTBEATS_TAG_KEY, Urgency
from lifecycle.telemetry import LogEvent, Metric
from tests.support.alarms import first_alarms
from tests.support.fleet import EMPTY, HOLDING
from tests.support.pipeline import HEARTBEAT_TIMEOUT, Pipeline

TWO_HOURS = 7200
ALARM_DELAY = 120
# Heartbeat timeout, longest pause, visibility timeout, in seconds. 75 s is the shortest that allows
# a stage of two hours: a hook ends after 100 heartbeat timeouts, whatever the heartbeats.
HOOKS = [(75, 12, 54), (3600, 600, 360), (7200, 600, 360)]
EVERY_TIME = 1_000_000


def deploy(pipeline: Pipeline, hook: int, pause: int, visibility: int) -> None:
    pipeline.heartbeat_timeout = hook
    for queue in ("operation", "buffer"):
        pipeline.clients.sqs.set_queue_attributes(
            QueueUrl=pipeline.queue_urls[queue], Attributes={"VisibilityTimeout": str(visibility)}
        )
    pipeline.wire(
        lambda: pipeline.fleet,
        TERMINATE_HEARTBEAT_TIMEOUT_SECONDS=str(hook),
        LAUNCH_HEARTBEAT_TIMEOUT_SECONDS=str(hook),
        VISIBILITY_TIMEOUT_SECONDS=str(visibility),
        POLL_INTERVAL_SECONDS=str(pause),
        POLL_INTERVAL_MAX_SECONDS=str(pause),
        TIMEOUT_SECONDS=str(TWO_HOURS + 100),
    )


def drain_for_two_hours(pipeline: Pipeline, instance_id: str, hook: int) -> None:
    step = min(30.0, hook / 25)
    pipeline.advance(TWO_HOURS - 700, step)
    assert pipeline.state(instance_id) == "Terminating:Wait"
    pipeline.fleet.shows(instance_id, EMPTY)
    pipeline.until(lambda: pipeline.state(instance_id) is None, 700 + 2 * hook / 6, step)


def deny(pipeline: Pipeline, *actions: str, times: int = EVERY_TIME) -> None:
    for action in actions:
        pipeline.world.faults.fail_calls(action, "AccessDenied", times=times)


def alarms(pipeline: Pipeline) -> dict[str, float]:
    return first_alarms(pipeline.telemetry, pipeline.clock())


def tag_of(pipeline: Pipeline, instance_id: str) -> str | None:
    tags = pipeline.clients.ec2.describe_tags(
        Filters=[{"Name": "resource-id", "Values": [instance_id]}]
    )["Tags"]
    return {one["Key"]: one["Value"] for one in tags}.get(HEARTBEATS_TAG_KEY)


def urgencies(pipeline: Pipeline) -> list[float]:
    return [v for metric, v in pipeline.telemetry.values if metric is Metric.HEARTBEATS_FAILED]


@pytest.mark.parametrize(("hook", "pause", "visibility"), HOOKS)
class TestHealthy:
    def test_a_drain_of_two_hours_raises_no_alarm(
        self, pipeline: Pipeline, hook: int, pause: int, visibility: int
    ) -> None:
        deploy(pipeline, hook, pause, visibility)
        instance_id = pipeline.start_draining()
        drain_for_two_hours(pipeline, instance_id, hook)
        assert alarms(pipeline) == {}
        beats = [one["at"] for one in pipeline.journal(instance_id, "heartbeat")]
        assert len(beats) >= TWO_HOURS / hook
        assert LogEvent.HEARTBEAT_FAILED not in pipeline.telemetry.events

    def test_one_receive_that_is_lost_raises_none(
        self, pipeline: Pipeline, hook: int, pause: int, visibility: int
    ) -> None:
        deploy(pipeline, hook, pause, visibility)
        instance_id = pipeline.start_draining()
        pipeline.advance(hook / 2, step=pause / 2)
        pipeline.lost["buffer"] = 1
        pipeline.until(lambda: pipeline.lost["buffer"] == 0, within=2 * pause, step=pause / 4)
        pipeline.advance(min(2 * hook, TWO_HOURS / 4), step=pause / 2)
        assert pipeline.state(instance_id) == "Terminating:Wait"
        assert alarms(pipeline) == {}

    def test_one_heartbeat_that_is_throttled_raises_none(
        self, pipeline: Pipeline, hook: int, pause: int, visibility: int
    ) -> None:
        deploy(pipeline, hook, pause, visibility)
        instance_id = pipeline.start_draining()
        # botocore tries three times.
        pipeline.world.faults.throttle("RecordLifecycleActionHeartbeat", times=3)
        pipeline.until(lambda: urgencies(pipeline) == [Urgency.FIRST], 2 * pause, pause / 4)
        assert tag_of(pipeline, instance_id) is not None
        pipeline.advance(2 * pause, step=pause / 4)
        assert tag_of(pipeline, instance_id) is None
        assert urgencies(pipeline) == [Urgency.FIRST]
        assert alarms(pipeline) == {}


WITH_AND_WITHOUT_TAGS = pytest.mark.parametrize(
    "denied",
    [(), ("CreateTags",), ("DescribeInstances",)],
    ids=["tags", "no CreateTags", "no DescribeInstances"],
)


def drain_without_heartbeats(pipeline: Pipeline, denied: tuple[str, ...]) -> tuple[str, float]:
    """Start a drain with all heartbeats denied; returns the instance, and since when it waits."""
    [instance_id] = pipeline.start_fleet()
    deny(pipeline, "RecordLifecycleActionHeartbeat", *denied)
    pipeline.fleet.shows(instance_id, HOLDING)
    pipeline.scale_to(0)
    pipeline.until(lambda: pipeline.waiting("buffer") == 1)
    [wait] = pipeline.journal(instance_id, "terminating_wait")
    return instance_id, wait["at"]


@WITH_AND_WITHOUT_TAGS
class TestAlwaysDenied:
    def test_every_page_comes_in_time_and_then_the_hook_ends(
        self, pipeline: Pipeline, denied: tuple[str, ...]
    ) -> None:
        instance_id, began_at = drain_without_heartbeats(pipeline, denied)
        pipeline.until(lambda: pipeline.waiting("buffer-dlq") == 1)
        timed_out_at = pipeline.clock()
        assert timed_out_at <= began_at + HEARTBEAT_TIMEOUT * 2 / 3 + 5
        assert pipeline.waiting("buffer") == 0
        pipeline.until(lambda: pipeline.state(instance_id) is None)
        [expired] = pipeline.journal(instance_id, "expired")
        assert (expired["at"], expired["result"]) == (began_at + HEARTBEAT_TIMEOUT, "ABANDON")
        went_off = alarms(pipeline)
        # The second poll, a minute until CloudWatch has its metric.
        assert went_off["heartbeats-failing"] <= began_at + 50 + 5 + 60 + 10
        assert went_off["heartbeats-overdue"] <= began_at + HEARTBEAT_TIMEOUT / 2 + 50 + 5 + 60
        assert went_off["check-message-dead-lettered"] <= timed_out_at + 60
        assert expired["at"] - timed_out_at >= HEARTBEAT_TIMEOUT / 3 - 5

    def test_the_dead_letter_says_until_when_the_instance_is_kept_and_that_is_so(
        self, pipeline: Pipeline, denied: tuple[str, ...]
    ) -> None:
        instance_id, began_at = drain_without_heartbeats(pipeline, denied)
        pipeline.until(lambda: pipeline.waiting("buffer-dlq") == 1)
        [(_, reason)] = pipeline.dead_letters("buffer")
        line = pipeline.telemetry.of(LogEvent.HEARTBEAT_FAILED)[-1]
        assert f"kept until {line['kept_until']} at least" in reason
        assert line.level == "ERROR"
        pipeline.clock.now = began_at + HEARTBEAT_TIMEOUT - 1
        pipeline.advance(0.5, step=0.5)
        assert pipeline.state(instance_id) == "Terminating:Wait"

    def test_a_launch_times_out_as_well(self, pipeline: Pipeline, denied: tuple[str, ...]) -> None:
        pipeline.world.faults.operation_seconds = 10_000
        pipeline.create_group(1)
        pipeline.advance(0.5, step=0.5)  # the handler has looked its address up
        assert pipeline.waiting("operation") == 1
        deny(pipeline, "RecordLifecycleActionHeartbeat", *denied)
        pipeline.until(lambda: pipeline.waiting("operation-dlq") == 1)
        assert pipeline.states_are("Pending:Wait", 1)
        assert {"heartbeats-failing", "heartbeats-overdue"} <= set(alarms(pipeline))

    def test_once_heartbeats_are_recorded_again_a_redrive_goes_on(
        self, pipeline: Pipeline, denied: tuple[str, ...]
    ) -> None:
        instance_id, _ = drain_without_heartbeats(pipeline, denied)
        pipeline.until(lambda: pipeline.waiting("buffer-dlq") == 1)
        pipeline.world.faults.clear()
        pipeline.redrive("buffer")
        pipeline.advance(HEARTBEAT_TIMEOUT)
        assert pipeline.state(instance_id) == "Terminating:Wait"
        assert tag_of(pipeline, instance_id) is None
        pipeline.fleet.shows(instance_id, EMPTY)
        pipeline.until(lambda: pipeline.state(instance_id) is None)


def test_two_messages_of_one_instance_do_not_hide_each_others_failures(pipeline: Pipeline) -> None:
    instance_id, began_at = drain_without_heartbeats(pipeline, ())
    [body] = pipeline.bodies("buffer")
    pipeline.put("buffer", body)
    pipeline.until(lambda: pipeline.waiting("buffer-dlq") == 2)
    assert pipeline.clock() <= began_at + HEARTBEAT_TIMEOUT * 2 / 3 + 10
    assert pipeline.state(instance_id) == "Terminating:Wait"
    assert began_at + HEARTBEAT_TIMEOUT - pipeline.clock() + 25 >= ALARM_DELAY
