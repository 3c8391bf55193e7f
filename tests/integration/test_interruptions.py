"""Instances that AWS takes away, or that an operator kills: what a lifecycle hook cannot hold up.

What the handler does about one event is in tests/unit/flows/test_interruption.py.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from lifecycle.decisions.marks import TAG_KEY, MarkKind
from lifecycle.telemetry import LogEvent, Metric
from sandbox.emulator.autoscaling.interruptions import NOTICE_SECONDS, reclaim, recommend
from tests.support.fleet import EMPTY
from tests.support.messages import FOREIGN, GROUP, shutting_down_event
from tests.support.pipeline import HEARTBEAT_TIMEOUT, Pipeline

# botocore tries a throttled call three times: so often that the product sees one refusal.
THROTTLED_ONCE = 3
RETRY_SECONDS = 20.0
HINDERED = ("DescribeAutoScalingInstances", "DescribeInstances", "DeregisterInstance")
HINDERED_IN_TIME = ("SendCommand", "CreateTags")
# Until Auto Scaling finds that an instance is gone; longer than three attempts of the function.
UNNOTICED_SECONDS = 240.0


@pytest.fixture
def pipeline(pipeline: Pipeline) -> Pipeline:
    """All stages, so that instances are in Cloud Map and can be told to flush."""
    pipeline.stages = ("operation", "flush", "buffer")
    pipeline.wire(lambda: pipeline.fleet)
    return pipeline


def announce(what: Callable[[Any, str], None], pipeline: Pipeline, instance_id: str) -> None:
    with pipeline.world.turn():
        what(pipeline.backend, instance_id)


warn, suggest = partial(announce, reclaim), partial(announce, recommend)


def counted(pipeline: Pipeline) -> float:
    return pipeline.telemetry.total(Metric.UNCLEAN_TERMINATION)


def mark_of(pipeline: Pipeline, instance_id: str) -> MarkKind | None:
    marks = pipeline.marks([instance_id])
    return marks[0].kind if marks else None


def reasons(pipeline: Pipeline, event: LogEvent) -> list[object]:
    return [line["reason"] for line in pipeline.telemetry.of(event)]


def kill(pipeline: Pipeline, *instance_ids: str) -> None:
    """What an operator does with EC2's console; Auto Scaling finds out minutes later."""
    pipeline.world.faults.unnoticed_seconds = UNNOTICED_SECONDS
    pipeline.clients.ec2.terminate_instances(InstanceIds=list(instance_ids))


def stop(pipeline: Pipeline, instance_id: str) -> None:
    pipeline.world.faults.unnoticed_seconds = UNNOTICED_SECONDS
    pipeline.clients.ec2.stop_instances(InstanceIds=[instance_id])


class TestSpotWarning:
    def test_it_is_out_of_cloud_map_and_told_to_flush_long_before_it_dies(
        self, pipeline: Pipeline
    ) -> None:
        taken, other = pipeline.start_fleet(2)
        warn(pipeline, taken)
        pipeline.advance(NOTICE_SECONDS / 12)
        assert list(pipeline.registered()) == [other]
        assert len(pipeline.machines.signals_of(taken)) == 1
        assert mark_of(pipeline, taken) is MarkKind.RECLAIMED
        assert pipeline.state(taken) == "InService"

    def test_the_pipeline_of_a_termination_under_way_is_left_alone(
        self, pipeline: Pipeline
    ) -> None:
        taken, _ = pipeline.start_fleet(2)
        pipeline.scale_to(1)
        pipeline.until(lambda: pipeline.state(taken) == "Terminating:Wait")
        pipeline.advance(30)
        assert mark_of(pipeline, taken) is MarkKind.TERMINATING
        waiting = pipeline.waiting("flush") + pipeline.waiting("buffer")
        warn(pipeline, taken)
        pipeline.advance(10)
        assert mark_of(pipeline, taken) is MarkKind.TERMINATING
        assert pipeline.state(taken) == "Terminating:Wait"
        assert pipeline.waiting("flush") + pipeline.waiting("buffer") == waiting
        assert counted(pipeline) == 1


def keep_the_last(pipeline: Pipeline) -> None:
    pipeline.wire(lambda: pipeline.fleet, ALLOW_EMPTY_SERVICE="false")


class TestRebalanceRecommendation:
    def test_the_last_one_stays_registered_on_its_way_out_as_well(self, pipeline: Pipeline) -> None:
        keep_the_last(pipeline)
        [last] = pipeline.start_fleet(1)
        pipeline.scale_to(0)
        pipeline.advance(30)
        suggest(pipeline, last)
        pipeline.advance(30)
        assert list(pipeline.registered()) == [last]
        assert mark_of(pipeline, last) is MarkKind.TERMINATING
        assert counted(pipeline) == 0

    def test_of_two_that_are_recommended_one_stays(self, pipeline: Pipeline) -> None:
        keep_the_last(pipeline)
        first, second = pipeline.start_fleet(2)
        suggest(pipeline, first)
        suggest(pipeline, second)
        pipeline.advance(20)
        assert list(pipeline.registered()) == [second]
        assert mark_of(pipeline, second) is MarkKind.LAUNCHING
        assert counted(pipeline) == 1


class TestStopped:
    """EC2 says so at once; Auto Scaling finds it unhealthy minutes later, unless it runs again."""

    @pytest.mark.parametrize("adopted", [False, True])
    def test_started_again_it_is_registered_again(
        self, pipeline: Pipeline, *, adopted: bool
    ) -> None:
        """In an adopted fleet its registration is the only trace of its service."""
        stopped, other = pipeline.start_fleet(2)
        if adopted:
            tags = [{"Key": TAG_KEY}]
            pipeline.clients.ec2.delete_tags(Resources=[stopped, other], Tags=tags)
        stop(pipeline, stopped)
        pipeline.advance(30)
        assert (list(pipeline.registered()), counted(pipeline)) == ([other], 0)
        pipeline.clients.ec2.start_instances(InstanceIds=[stopped])
        pipeline.reconcile()
        pipeline.advance(10)
        assert set(pipeline.registered()) == {stopped, other}
        assert mark_of(pipeline, stopped) is MarkKind.LAUNCHING

    def test_one_that_stays_stopped_is_kept_by_the_hook_for_what_is_on_its_disk(
        self, pipeline: Pipeline
    ) -> None:
        stopped, _ = pipeline.start_fleet(2)
        stop(pipeline, stopped)
        pipeline.advance(UNNOTICED_SECONDS + 300)
        assert pipeline.state(stopped) == "Terminating:Wait"
        assert counted(pipeline) == 0


class TestCapacityRebalancing:
    """The group launches a successor of the recommended instance, then ends that by our hook."""

    @pytest.mark.parametrize("recommended_first", [True, False])
    def test_it_is_drained_by_its_hook_and_counted_once(
        self, pipeline: Pipeline, *, recommended_first: bool
    ) -> None:
        taken, other = pipeline.start_fleet(2)
        if recommended_first:
            suggest(pipeline, taken)
            pipeline.advance(10)
            assert list(pipeline.registered()) == [other]
        successor = launch_successor(pipeline)
        pipeline.reconcile()
        pipeline.terminate(taken)
        pipeline.advance(30)
        if not recommended_first:
            suggest(pipeline, taken)
        pipeline.advance(200)
        assert pipeline.state(taken) == "Terminating:Wait"
        assert mark_of(pipeline, taken) is MarkKind.TERMINATING
        pipeline.fleet.shows(taken, EMPTY)
        pipeline.until(lambda: pipeline.state(taken) is None)
        pipeline.advance(10)
        assert counted(pipeline) == 1
        assert set(pipeline.registered()) == {other, successor}

    def test_the_last_aggregator_leaves_when_its_successor_serves(self, pipeline: Pipeline) -> None:
        keep_the_last(pipeline)
        [last] = pipeline.start_fleet(1)
        suggest(pipeline, last)
        pipeline.advance(10)
        assert list(pipeline.registered()) == [last]
        successor = launch_successor(pipeline)
        pipeline.terminate(last)
        pipeline.fleet.shows(last, EMPTY)
        pipeline.until(lambda: pipeline.state(last) is None)
        pipeline.advance(10)
        assert list(pipeline.registered()) == [successor]
        assert counted(pipeline) == 0
        assert reasons(pipeline, LogEvent.INSTANCE_ENDED) == ["proven"]

    def test_a_spot_reclaim_that_overtakes_the_drain_is_counted_once(
        self, pipeline: Pipeline
    ) -> None:
        taken, _ = pipeline.start_fleet(2)
        pipeline.copies = 2
        suggest(pipeline, taken)
        pipeline.advance(10)
        launch_successor(pipeline)
        pipeline.terminate(taken)
        warn(pipeline, taken)
        pipeline.advance(NOTICE_SECONDS + 10)
        pipeline.complete(taken)
        pipeline.advance(30)
        assert pipeline.state(taken) is None
        assert counted(pipeline) == 1
        line = pipeline.telemetry.the(LogEvent.UNCLEAN_TERMINATION)
        assert (line["instance_id"], line["reason"]) == (taken, "rebalance_recommendation")
        assert "already_counted" in reasons(pipeline, LogEvent.INSTANCE_ENDED)


def launch_successor(pipeline: Pipeline) -> str:
    """What the group does first: one more, in service."""
    before = pipeline.states()
    pipeline.scale_to(len(before) + 1)
    pipeline.until(lambda: pipeline.states_are("InService", len(before) + 1))
    [successor] = set(pipeline.states()) - set(before)
    return successor


class TestEnds:
    @pytest.mark.parametrize("forced", [False, True])
    def test_those_that_no_hook_held_are_deregistered_and_counted(
        self, pipeline: Pipeline, *, forced: bool
    ) -> None:
        pipeline.start_fleet(3)
        autoscaling = pipeline.clients.autoscaling
        if forced:
            autoscaling.delete_auto_scaling_group(AutoScalingGroupName=GROUP, ForceDelete=True)
        else:
            pipeline.delete_terminate_hook()
            pipeline.scale_to(0)
        pipeline.advance(20)
        assert (pipeline.registered(), counted(pipeline)) == ({}, 3)

    def test_a_launch_whose_event_was_lost_and_that_was_abandoned_is_not_counted(
        self, pipeline: Pipeline
    ) -> None:
        pipeline.alter = lambda event: {"lost": event}
        pipeline.create_group(1)
        [abandoned] = pipeline.states()
        pipeline.advance(HEARTBEAT_TIMEOUT + 10)
        assert abandoned not in pipeline.states()
        assert counted(pipeline) == 0
        ended = pipeline.telemetry.of(LogEvent.INSTANCE_ENDED)
        assert (abandoned, "never_registered") in [(e["instance_id"], e["reason"]) for e in ended]


class TestKilled:
    """EC2 tells at once that an instance shuts down; Auto Scaling has not noticed yet."""

    @pytest.mark.parametrize("copies", [1, 2])
    def test_it_leaves_cloud_map_within_seconds_and_is_counted_once_when_noticed(
        self, pipeline: Pipeline, copies: int
    ) -> None:
        killed, other = pipeline.start_fleet(2)
        pipeline.copies = copies
        kill(pipeline, killed)
        pipeline.advance(10)
        assert pipeline.state(killed) == "InService", "Auto Scaling has noticed nothing"
        assert list(pipeline.registered()) == [other]
        assert counted(pipeline) == 0
        pipeline.until(lambda: pipeline.state(killed) == "Terminating:Wait")
        pipeline.complete(killed)
        pipeline.advance(30)
        assert pipeline.state(killed) is None
        pipeline.receive_event(shutting_down_event(killed))
        pipeline.advance(10)
        assert pipeline.registrations(killed) == ["registered", "deregistered"]
        assert other in pipeline.registered()
        assert counted(pipeline) == 1
        assert pipeline.telemetry.the(LogEvent.UNCLEAN_TERMINATION)["reason"] == "not_proven"
        assert (pipeline.crashes, pipeline.given_up) == ([], [])

    @pytest.mark.parametrize("noticed_after", [0.0, 30.0])
    def test_a_proven_end_stays_quiet(self, pipeline: Pipeline, noticed_after: float) -> None:
        """EC2 tells of that end as of any other; the instance may be a member still."""
        leaves, other = pipeline.start_fleet(2)
        pipeline.world.faults.proceed_seconds = noticed_after
        pipeline.scale_to(1)
        pipeline.fleet.shows(leaves, EMPTY)
        pipeline.until(
            lambda: pipeline.state(leaves) == ("Terminating:Proceed" if noticed_after else None)
        )
        if noticed_after:
            pipeline.clients.ec2.terminate_instances(InstanceIds=[leaves])
        pipeline.advance(noticed_after + 10)
        assert [one for one in pipeline.telemetry.lines if one.level != "INFO"] == []
        assert reasons(pipeline, LogEvent.INSTANCE_ENDED) == ["proven"]
        assert reasons(pipeline, LogEvent.INTERRUPTION_IGNORED) == ["it is not registered"]
        assert (list(pipeline.registered()), counted(pipeline)) == ([other], 0)


@pytest.mark.parametrize(
    ("happen", "call"),
    [*((kill, one) for one in HINDERED), *((warn, one) for one in (*HINDERED, *HINDERED_IN_TIME))],
)
def test_the_next_attempt_does_what_a_throttled_call_hindered(
    pipeline: Pipeline, happen: Callable[[Pipeline, str], None], call: str
) -> None:
    taken, other = pipeline.start_fleet(2)
    pipeline.world.faults.throttle(call, times=THROTTLED_ONCE)
    happen(pipeline, taken)
    pipeline.advance(10)
    assert len(pipeline.telemetry.of(LogEvent.INTERRUPTION_PUT_BACK)) == 1
    pipeline.advance(RETRY_SECONDS)
    assert pipeline.state(taken) == "InService", "Auto Scaling has noticed nothing"
    assert list(pipeline.registered()) == [other]
    assert (pipeline.crashes, pipeline.bodies("interruption-dlq")) == ([], [])
    if happen is warn:
        assert pipeline.machines.signals_of(taken)
        assert mark_of(pipeline, taken) is MarkKind.RECLAIMED
        assert counted(pipeline) >= 1  # twice, if the mark that says so could not be written


def test_a_burst_of_foreign_instances_under_throttling_never_pages_and_hides_none_of_ours(
    pipeline: Pipeline,
) -> None:
    killed, other = pipeline.start_fleet(2)
    pipeline.world.faults.throttle("DescribeInstances", times=10 * THROTTLED_ONCE)
    for number in range(100):
        pipeline.receive_event(shutting_down_event(f"{FOREIGN}{number:09x}"))
    kill(pipeline, killed)
    pipeline.advance(120)
    assert list(pipeline.registered()) == [other]
    assert pipeline.telemetry.total(Metric.MEMBERSHIP_UNKNOWN) >= 10
    assert (pipeline.crashes, pipeline.given_up) == ([], [])
    assert (pipeline.bodies("interruption"), pipeline.bodies("interruption-dlq")) == ([], [])
    assert [one for one in pipeline.telemetry.lines if one.level == "ERROR"] == []
