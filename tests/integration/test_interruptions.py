"""Instances that AWS takes away, or that somebody kills: what a lifecycle hook cannot hold up.

That nobody is released early or while registered is checked in every test, by the pipeline fixture.
"""

import pytest

from lifecycle.decisions.marks import TAG_KEY, MarkKind
from lifecycle.telemetry import LogEvent, Metric
from sandbox.emulator.autoscaling.backend import WaitingAutoScalingBackend
from sandbox.emulator.autoscaling.interruptions import NOTICE_SECONDS, reclaim, recommend
from tests.support.fleet import EMPTY
from tests.support.messages import (
    GROUP,
    OTHER_INSTANCE_ID,
    TERMINATE_HOOK,
    shutting_down_event,
    spot_event,
)
from tests.support.pipeline import HEARTBEAT_TIMEOUT, Pipeline
from tests.support.recording import Line

# botocore tries a throttled call three times: so often that the product sees one refusal.
THROTTLED_ONCE = 3
RETRY_SECONDS = 60.0
# Until Auto Scaling finds that an instance is gone; longer than three attempts of the function.
UNNOTICED_SECONDS = 240.0


@pytest.fixture
def pipeline(pipeline: Pipeline) -> Pipeline:
    """All stages, so that instances are in Cloud Map and can be told to flush."""
    pipeline.stages = ("operation", "flush", "buffer")
    pipeline.wire(lambda: pipeline.fleet)
    return pipeline


def backend(pipeline: Pipeline) -> WaitingAutoScalingBackend:
    [found] = [
        one
        for one in WaitingAutoScalingBackend.all_of(pipeline.world)
        if GROUP in one.autoscaling_groups
    ]
    return found


def warn(pipeline: Pipeline, instance_id: str) -> None:
    with pipeline.world.turn():
        reclaim(backend(pipeline), instance_id)


def suggest(pipeline: Pipeline, instance_id: str) -> None:
    with pipeline.world.turn():
        recommend(backend(pipeline), instance_id)


def counted(pipeline: Pipeline) -> float:
    return pipeline.telemetry.total(Metric.UNCLEAN_TERMINATION)


def mark_of(pipeline: Pipeline, instance_id: str) -> MarkKind | None:
    marks = pipeline.marks([instance_id])
    return marks[0].kind if marks else None


def reasons(pipeline: Pipeline, event: LogEvent) -> list[object]:
    return [line["reason"] for line in pipeline.telemetry.of(event)]


def of_instance(lines: list[Line], instance_id: str) -> list[Line]:
    return [line for line in lines if line.fields.get("instance_id") == instance_id]


def kill(pipeline: Pipeline, *instance_ids: str) -> None:
    """What a person does with EC2's console; Auto Scaling finds out minutes later."""
    pipeline.world.faults.unnoticed_seconds = UNNOTICED_SECONDS
    pipeline.clients.ec2.terminate_instances(InstanceIds=list(instance_ids))


def end_the_wait(pipeline: Pipeline, instance_id: str) -> None:
    """Nobody is there any more to prove anything, and the hook gives up on it."""
    pipeline.clients.autoscaling.complete_lifecycle_action(
        AutoScalingGroupName=GROUP,
        LifecycleHookName=TERMINATE_HOOK,
        InstanceId=instance_id,
        LifecycleActionResult="ABANDON",
    )


class TestSpotWarning:
    def test_it_is_out_of_cloud_map_and_told_to_flush_long_before_it_dies(
        self, pipeline: Pipeline
    ) -> None:
        taken, other = pipeline.start_fleet(2)
        warned_at = pipeline.clock()
        warn(pipeline, taken)
        pipeline.advance(10)
        assert list(pipeline.registered()) == [other]
        [flushed_at] = pipeline.machines.signals_of(taken)
        assert flushed_at <= warned_at + 10 < warned_at + NOTICE_SECONDS
        assert mark_of(pipeline, taken) is MarkKind.RECLAIMED
        assert pipeline.state(taken) == "InService"

    def test_it_is_counted_once_though_it_is_warned_of_twice_and_then_dies(
        self, pipeline: Pipeline
    ) -> None:
        taken, _ = pipeline.start_fleet(2)
        suggest(pipeline, taken)
        pipeline.advance(30)
        assert counted(pipeline) == 1
        warn(pipeline, taken)
        pipeline.copies = 2
        pipeline.advance(NOTICE_SECONDS + 10)
        assert pipeline.state(taken) == "Terminating:Wait"
        end_the_wait(pipeline, taken)
        pipeline.advance(30)
        assert pipeline.state(taken) is None
        assert counted(pipeline) == 1
        line = pipeline.telemetry.the(LogEvent.UNCLEAN_TERMINATION)
        assert (line["instance_id"], line["reason"]) == (taken, "rebalance_recommendation")
        assert "already_counted" in reasons(pipeline, LogEvent.INSTANCE_ENDED)

    def test_the_last_aggregator_is_taken_out_too(self, pipeline: Pipeline) -> None:
        [taken] = pipeline.start_fleet(1)
        warn(pipeline, taken)
        pipeline.advance(10)
        assert pipeline.registered() == {}
        assert counted(pipeline) == 1

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

    def test_an_instance_of_another_group_is_ignored(self, pipeline: Pipeline) -> None:
        [ours] = pipeline.start_fleet(1)
        pipeline.receive_event(spot_event(OTHER_INSTANCE_ID))
        pipeline.advance(10)
        assert reasons(pipeline, LogEvent.INTERRUPTION_IGNORED) == ["in no Auto Scaling group"]
        pipeline.wire(lambda: pipeline.fleet, AUTOSCALING_GROUP_NAME="somebody-elses")
        warn(pipeline, ours)
        pipeline.advance(10)
        assert reasons(pipeline, LogEvent.INTERRUPTION_IGNORED)[1:] == [
            "another Auto Scaling group"
        ]
        assert list(pipeline.registered()) == [ours]
        assert pipeline.machines.signals == []
        assert counted(pipeline) == 0

    def test_a_fleet_in_no_service_discovery_is_told_to_flush(self, pipeline: Pipeline) -> None:
        pipeline.stages = ("flush",)
        pipeline.wire()
        [taken] = pipeline.start_fleet(1)
        warn(pipeline, taken)
        pipeline.advance(10)
        assert len(pipeline.machines.signals_of(taken)) == 1
        assert counted(pipeline) == 1

    def test_a_fleet_that_is_not_flushed_is_taken_out(self, pipeline: Pipeline) -> None:
        pipeline.stages = ("operation", "buffer")
        pipeline.wire(lambda: pipeline.fleet)
        taken, other = pipeline.start_fleet(2)
        warn(pipeline, taken)
        pipeline.advance(10)
        assert list(pipeline.registered()) == [other]
        assert pipeline.machines.signals == []


def keep_the_last(pipeline: Pipeline) -> None:
    """Let the last aggregator wait for a successor, as the module does by default."""
    pipeline.wire(lambda: pipeline.fleet, ALLOW_EMPTY_SERVICE="false")


class TestRebalanceRecommendation:
    def test_it_is_taken_out_flushed_and_counted_while_others_serve(
        self, pipeline: Pipeline
    ) -> None:
        taken, other = pipeline.start_fleet(2)
        suggest(pipeline, taken)
        pipeline.advance(10)
        assert list(pipeline.registered()) == [other]
        assert len(pipeline.machines.signals_of(taken)) == 1
        assert counted(pipeline) == 1

    def test_the_last_one_in_service_stays_registered_and_is_flushed(
        self, pipeline: Pipeline
    ) -> None:
        keep_the_last(pipeline)
        [last] = pipeline.start_fleet(1)
        suggest(pipeline, last)
        pipeline.advance(10)
        assert list(pipeline.registered()) == [last]
        assert len(pipeline.machines.signals_of(last)) == 1
        assert counted(pipeline) == 0
        assert reasons(pipeline, LogEvent.INTERRUPTION_IGNORED) == [
            "no other registered instance is in service"
        ]
        assert mark_of(pipeline, last) is not MarkKind.RECLAIMED

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

    def test_the_last_one_of_a_shard_stays_registered(self, pipeline: Pipeline) -> None:
        pipeline.create_shards(2)
        keep_the_last(pipeline)
        first, second = pipeline.start_fleet(2)
        for _ in ("one joins the other shard", "and leaves its own"):
            pipeline.reconcile()
            pipeline.advance(10)
        assert [len(members) for members in pipeline.shards().values()] == [1, 1]
        suggest(pipeline, first)
        pipeline.advance(10)
        assert set(pipeline.registered()) == {first, second}

    def test_the_last_one_leaves_a_fleet_that_may_be_empty(self, pipeline: Pipeline) -> None:
        [last] = pipeline.start_fleet(1)
        suggest(pipeline, last)
        pipeline.advance(10)
        assert list(pipeline.registered()) == []
        assert counted(pipeline) == 1

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

    def stop(self, pipeline: Pipeline, instance_id: str) -> None:
        pipeline.world.faults.unnoticed_seconds = UNNOTICED_SECONDS
        pipeline.clients.ec2.stop_instances(InstanceIds=[instance_id])

    def test_it_leaves_service_discovery_at_once_and_nothing_is_counted(
        self, pipeline: Pipeline
    ) -> None:
        stopped, other = pipeline.start_fleet(2)
        self.stop(pipeline, stopped)
        pipeline.advance(10)
        assert list(pipeline.registered()) == [other]
        assert pipeline.state(stopped) == "InService"
        assert (counted(pipeline), pipeline.crashes) == (0, [])

    def test_the_last_one_leaves_too_for_nothing_there_accepts_logs(
        self, pipeline: Pipeline
    ) -> None:
        pipeline.environment["ALLOW_EMPTY_SERVICE"] = "false"
        pipeline.wire(lambda: pipeline.fleet)
        [last] = pipeline.start_fleet(1)
        self.stop(pipeline, last)
        pipeline.advance(10)
        assert pipeline.registered() == {}

    def test_started_again_it_is_registered_again(self, pipeline: Pipeline) -> None:
        stopped, other = pipeline.start_fleet(2)
        self.stop(pipeline, stopped)
        pipeline.advance(30)
        pipeline.clients.ec2.start_instances(InstanceIds=[stopped])
        pipeline.reconcile()
        pipeline.advance(10)
        assert set(pipeline.registered()) == {stopped, other}
        assert mark_of(pipeline, stopped) is MarkKind.LAUNCHING

    def test_one_of_an_adopted_fleet_too(self, pipeline: Pipeline) -> None:
        """It has no state tag: the only trace of its service is its registration."""
        pipeline.stages = ("buffer",)
        pipeline.create_group(2)
        pipeline.stages = ("operation", "flush", "buffer")
        pipeline.advance(5)
        stopped, other = pipeline.states()
        for one in (stopped, other):
            pipeline.register(one)
        self.stop(pipeline, stopped)
        pipeline.advance(30)
        assert mark_of(pipeline, stopped) is MarkKind.LAUNCHING
        pipeline.clients.ec2.start_instances(InstanceIds=[stopped])
        pipeline.reconcile()
        pipeline.advance(10)
        assert set(pipeline.registered()) == {stopped, other}

    def test_one_that_stays_stopped_is_kept_by_the_hook_for_what_is_on_its_disk(
        self, pipeline: Pipeline
    ) -> None:
        stopped, _ = pipeline.start_fleet(2)
        self.stop(pipeline, stopped)
        pipeline.advance(UNNOTICED_SECONDS + 300)
        assert pipeline.state(stopped) == "Terminating:Wait"
        assert counted(pipeline) == 0


class TestCapacityRebalancing:
    """The group launches a successor of the recommended instance, then ends that by our hook."""

    def test_it_is_drained_by_its_hook_and_counted_once(self, pipeline: Pipeline) -> None:
        taken, other = pipeline.start_fleet(2)
        suggest(pipeline, taken)
        pipeline.advance(10)
        assert list(pipeline.registered()) == [other]
        successor = launch_successor(pipeline)
        pipeline.reconcile()
        assert set(pipeline.registered()) == {other, successor}
        end_on_purpose(pipeline, taken)
        pipeline.advance(200)
        assert pipeline.state(taken) == "Terminating:Wait"
        assert mark_of(pipeline, taken) is MarkKind.TERMINATING
        pipeline.fleet.shows(taken, EMPTY)
        pipeline.until(lambda: pipeline.state(taken) is None)
        pipeline.advance(10)
        assert counted(pipeline) == 1
        assert set(pipeline.registered()) == {other, successor}
        assert (pipeline.crashes, pipeline.given_up) == ([], [])

    def test_the_last_aggregator_leaves_when_its_successor_serves(self, pipeline: Pipeline) -> None:
        keep_the_last(pipeline)
        [last] = pipeline.start_fleet(1)
        suggest(pipeline, last)
        pipeline.advance(10)
        assert list(pipeline.registered()) == [last]
        successor = launch_successor(pipeline)
        end_on_purpose(pipeline, last)
        pipeline.fleet.shows(last, EMPTY)
        pipeline.until(lambda: pipeline.state(last) is None)
        pipeline.advance(10)
        assert list(pipeline.registered()) == [successor]
        assert counted(pipeline) == 0
        assert reasons(pipeline, LogEvent.INSTANCE_ENDED) == ["proven"]

    def test_a_recommendation_that_comes_after_the_hooks_event_changes_nothing_about_the_drain(
        self, pipeline: Pipeline
    ) -> None:
        taken, other = pipeline.start_fleet(2)
        successor = launch_successor(pipeline)
        end_on_purpose(pipeline, taken)
        pipeline.advance(30)
        suggest(pipeline, taken)
        pipeline.advance(200)
        assert mark_of(pipeline, taken) is MarkKind.TERMINATING
        assert pipeline.state(taken) == "Terminating:Wait"
        pipeline.fleet.shows(taken, EMPTY)
        pipeline.until(lambda: pipeline.state(taken) is None)
        pipeline.advance(10)
        assert set(pipeline.registered()) == {other, successor}
        assert counted(pipeline) == 1

    def test_a_spot_reclaim_that_overtakes_the_drain_is_counted_once(
        self, pipeline: Pipeline
    ) -> None:
        taken, _ = pipeline.start_fleet(2)
        suggest(pipeline, taken)
        launch_successor(pipeline)
        end_on_purpose(pipeline, taken)
        warn(pipeline, taken)
        pipeline.advance(NOTICE_SECONDS + 10)
        end_the_wait(pipeline, taken)
        pipeline.advance(30)
        assert pipeline.state(taken) is None
        assert counted(pipeline) == 1


def launch_successor(pipeline: Pipeline) -> str:
    """What the group does first: one more, in service."""
    before = pipeline.states()
    pipeline.scale_to(len(before) + 1)
    pipeline.until(lambda: pipeline.states_are("InService", len(before) + 1))
    [successor] = set(pipeline.states()) - set(before)
    return successor


def end_on_purpose(pipeline: Pipeline, instance_id: str) -> None:
    """What the group does next: it sends the one away that was recommended."""
    pipeline.clients.autoscaling.terminate_instance_in_auto_scaling_group(
        InstanceId=instance_id, ShouldDecrementDesiredCapacity=True
    )


class TestEnds:
    def test_a_drain_with_proof_is_not_counted(self, pipeline: Pipeline) -> None:
        leaves, _ = pipeline.start_fleet(2)
        pipeline.scale_to(1)
        pipeline.fleet.shows(leaves, EMPTY)
        pipeline.until(lambda: pipeline.state(leaves) is None)
        pipeline.advance(10)
        assert counted(pipeline) == 0
        assert reasons(pipeline, LogEvent.INSTANCE_ENDED) == ["proven"]

    def test_one_that_somebody_kills_is_deregistered_and_counted(self, pipeline: Pipeline) -> None:
        killed, other = pipeline.start_fleet(2)
        pipeline.clients.ec2.terminate_instances(InstanceIds=[killed])
        pipeline.advance(30)
        assert killed not in pipeline.registered()
        assert other in pipeline.registered()
        end_the_wait(pipeline, killed)
        pipeline.advance(30)
        assert counted(pipeline) == 1
        line = pipeline.telemetry.the(LogEvent.UNCLEAN_TERMINATION)
        assert (line["instance_id"], line["reason"]) == (killed, "not_proven")

    def test_one_that_no_hook_held_is_deregistered_at_once(self, pipeline: Pipeline) -> None:
        pipeline.start_fleet(1)
        pipeline.delete_terminate_hook()
        pipeline.scale_to(0)
        pipeline.advance(10)
        assert pipeline.registered() == {}
        assert counted(pipeline) == 1

    def test_a_forced_deletion_of_the_group_counts_every_instance(self, pipeline: Pipeline) -> None:
        pipeline.start_fleet(3)
        pipeline.clients.autoscaling.delete_auto_scaling_group(
            AutoScalingGroupName=GROUP, ForceDelete=True
        )
        pipeline.advance(20)
        assert pipeline.registered() == {}
        assert counted(pipeline) == 3

    def test_a_launch_that_nobody_took_over_and_that_was_abandoned_is_not_counted(
        self, pipeline: Pipeline
    ) -> None:
        pipeline.alter = lambda event: {"lost": event}
        pipeline.create_group(1)
        [abandoned] = pipeline.states()
        pipeline.advance(HEARTBEAT_TIMEOUT + 10)
        assert abandoned not in pipeline.states()
        assert counted(pipeline) == 0
        [line] = of_instance(pipeline.telemetry.of(LogEvent.INSTANCE_ENDED), abandoned)
        assert line["reason"] == "never_registered"


class TestKilled:
    """EC2 tells at once that an instance shuts down; Auto Scaling has not noticed yet."""

    def test_it_leaves_cloud_map_within_seconds_and_is_counted_once_when_noticed(
        self, pipeline: Pipeline
    ) -> None:
        killed, other = pipeline.start_fleet(2)
        kill(pipeline, killed)
        pipeline.advance(10)
        assert pipeline.state(killed) == "InService", "Auto Scaling has noticed nothing"
        assert list(pipeline.registered()) == [other]
        assert counted(pipeline) == 0
        assert pipeline.machines.signals == []
        pipeline.until(lambda: pipeline.state(killed) == "Terminating:Wait")
        end_the_wait(pipeline, killed)
        pipeline.advance(30)
        assert pipeline.state(killed) is None
        assert counted(pipeline) == 1
        assert pipeline.telemetry.the(LogEvent.UNCLEAN_TERMINATION)["reason"] == "not_proven"
        assert (pipeline.crashes, pipeline.given_up) == ([], [])

    def test_one_of_an_adopted_fleet_that_no_hook_holds_is_counted_all_the_same(
        self, pipeline: Pipeline
    ) -> None:
        """Its registration alone showed that it had served, and that is gone by then."""
        killed, other = pipeline.start_fleet(2)
        tags = [{"Key": TAG_KEY}]
        pipeline.clients.ec2.delete_tags(Resources=[killed, other], Tags=tags)
        pipeline.delete_terminate_hook()
        kill(pipeline, killed)
        pipeline.advance(10)
        assert list(pipeline.registered()) == [other]
        assert mark_of(pipeline, killed) is MarkKind.RECLAIMED
        pipeline.advance(UNNOTICED_SECONDS + 10)
        assert pipeline.state(killed) is None
        assert counted(pipeline) == 1

    def test_the_last_aggregator_is_taken_out_too(self, pipeline: Pipeline) -> None:
        pipeline.wire(lambda: pipeline.fleet, ALLOW_EMPTY_SERVICE="false")
        [last] = pipeline.start_fleet(1)
        kill(pipeline, last)
        pipeline.advance(10)
        assert pipeline.registered() == {}

    def test_it_is_taken_out_of_the_shard_that_it_is_in(self, pipeline: Pipeline) -> None:
        pipeline.create_shards(2)
        pipeline.wire(lambda: pipeline.fleet)
        killed, other = pipeline.start_fleet(2)
        kill(pipeline, killed)
        pipeline.advance(10)
        assert list(pipeline.registered()) == [other]

    def test_while_its_drain_is_under_way_it_is_dead_and_reported(self, pipeline: Pipeline) -> None:
        killed, other = pipeline.start_fleet(2)
        pipeline.scale_to(1)
        pipeline.until(lambda: pipeline.state(killed) == "Terminating:Wait")
        kill(pipeline, killed)
        pipeline.advance(30)
        assert mark_of(pipeline, killed) is MarkKind.TERMINATING
        end_the_wait(pipeline, killed)
        pipeline.advance(30)
        assert list(pipeline.registered()) == [other]
        assert counted(pipeline) == 1

    def test_the_successor_of_the_last_one_is_registered_as_any(self, pipeline: Pipeline) -> None:
        [killed] = pipeline.start_fleet(1)
        kill(pipeline, killed)
        pipeline.advance(UNNOTICED_SECONDS + 60)
        [successor] = pipeline.registered()
        assert successor != killed
        assert pipeline.state(successor) == "InService"

    def test_every_event_of_it_twice_does_no_harm(self, pipeline: Pipeline) -> None:
        pipeline.copies = 2
        killed, other = pipeline.start_fleet(2)
        kill(pipeline, killed)
        pipeline.advance(UNNOTICED_SECONDS + 10)
        end_the_wait(pipeline, killed)
        pipeline.advance(30)
        pipeline.receive_event(shutting_down_event(killed))
        pipeline.advance(10)
        assert other in pipeline.registered()
        assert killed not in pipeline.registered()
        assert pipeline.registrations(killed) == ["registered", "deregistered"]
        assert counted(pipeline) == 1
        assert pipeline.crashes == []

    def test_one_that_ec2_shows_running_is_not_deregistered(self, pipeline: Pipeline) -> None:
        running, other = pipeline.start_fleet(2)
        pipeline.receive_event(shutting_down_event(running))
        pipeline.advance(10)
        assert set(pipeline.registered()) == {running, other}
        assert reasons(pipeline, LogEvent.INTERRUPTION_IGNORED) == ["EC2 shows it as running"]
        assert pipeline.crashes == []

    def test_one_of_another_group_or_of_none_is_ignored(self, pipeline: Pipeline) -> None:
        [theirs] = pipeline.start_fleet(1)
        pipeline.receive_event(shutting_down_event(OTHER_INSTANCE_ID))
        pipeline.advance(10)
        pipeline.wire(lambda: pipeline.fleet, AUTOSCALING_GROUP_NAME="somebody-elses")
        kill(pipeline, theirs)
        pipeline.advance(10)
        assert reasons(pipeline, LogEvent.INTERRUPTION_IGNORED) == [
            "in no Auto Scaling group",
            "another Auto Scaling group",
        ]
        assert list(pipeline.registered()) == [theirs]

    def test_a_fleet_in_no_service_discovery_has_nothing_to_do(self, pipeline: Pipeline) -> None:
        pipeline.stages = ("flush",)
        pipeline.wire()
        [killed] = pipeline.start_fleet(1)
        kill(pipeline, killed)
        pipeline.advance(10)
        assert reasons(pipeline, LogEvent.INTERRUPTION_IGNORED) == [
            "the fleet is in no service discovery"
        ]

    @pytest.mark.parametrize("noticed_after", [0.0, 30.0])
    def test_a_release_with_proof_stays_quiet(
        self, pipeline: Pipeline, noticed_after: float
    ) -> None:
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
        [quiet] = reasons(pipeline, LogEvent.INTERRUPTION_IGNORED)
        assert quiet == ("it is not registered" if noticed_after else "in no Auto Scaling group")
        assert list(pipeline.registered()) == [other]
        assert counted(pipeline) == 0

    @pytest.mark.parametrize(
        "call", ["DescribeAutoScalingInstances", "DescribeInstances", "DeregisterInstance"]
    )
    def test_it_is_taken_out_by_the_next_attempt_if_a_call_is_throttled(
        self, pipeline: Pipeline, call: str
    ) -> None:
        killed, other = pipeline.start_fleet(2)
        pipeline.world.faults.throttle(call, times=THROTTLED_ONCE)
        kill(pipeline, killed)
        pipeline.advance(10)
        assert len(pipeline.crashes) == 1
        assert killed in pipeline.registered()
        pipeline.advance(RETRY_SECONDS)
        assert pipeline.state(killed) == "InService", "Auto Scaling has noticed nothing"
        assert list(pipeline.registered()) == [other]
        assert (len(pipeline.crashes), pipeline.given_up) == (1, [])

    def test_one_that_can_never_be_deregistered_reaches_the_dead_letter_queue(
        self, pipeline: Pipeline
    ) -> None:
        killed, _ = pipeline.start_fleet(2)
        pipeline.world.faults.throttle("DeregisterInstance", times=100)
        event = shutting_down_event(killed)
        pipeline.world.faults.unnoticed_seconds = 2 * UNNOTICED_SECONDS
        pipeline.lose_events()
        pipeline.clients.ec2.terminate_instances(InstanceIds=[killed])
        pipeline.receive_event(event)
        pipeline.advance(200)
        assert pipeline.given_up == [event]


class TestBadDays:
    @pytest.mark.parametrize(
        "call",
        [
            "DescribeAutoScalingInstances",
            "DeregisterInstance",
            "SendCommand",
            "DescribeInstances",
            "CreateTags",
        ],
    )
    def test_a_warning_survives_a_call_that_is_throttled(
        self, pipeline: Pipeline, call: str
    ) -> None:
        taken, other = pipeline.start_fleet(2)
        pipeline.world.faults.throttle(call, times=THROTTLED_ONCE)
        warn(pipeline, taken)
        pipeline.advance(10)
        assert len(pipeline.crashes) == 1
        pipeline.advance(RETRY_SECONDS)
        assert list(pipeline.registered()) == [other]
        assert pipeline.machines.signals_of(taken)
        assert mark_of(pipeline, taken) is MarkKind.RECLAIMED
        assert counted(pipeline) >= 1  # twice, if the mark that says so could not be written
        assert pipeline.given_up == []

    def test_cloud_map_refusing_does_not_keep_the_flush_from_being_sent(
        self, pipeline: Pipeline
    ) -> None:
        taken, _ = pipeline.start_fleet(2)
        pipeline.world.faults.throttle("DeregisterInstance", times=100)
        warn(pipeline, taken)
        pipeline.advance(10)
        assert len(pipeline.machines.signals_of(taken)) == 1
        assert counted(pipeline) == 1
        assert len(pipeline.crashes) == 1

    def test_ssm_refusing_does_not_keep_it_in_cloud_map(self, pipeline: Pipeline) -> None:
        taken, other = pipeline.start_fleet(2)
        pipeline.world.faults.throttle("SendCommand", times=100)
        warn(pipeline, taken)
        pipeline.advance(10)
        assert list(pipeline.registered()) == [other]
        assert counted(pipeline) == 1
        assert len(pipeline.crashes) == 1

    def test_an_agent_that_ssm_cannot_reach_is_no_reason_to_try_again(
        self, pipeline: Pipeline
    ) -> None:
        taken, other = pipeline.start_fleet(2)
        pipeline.world.faults.fail_calls("SendCommand", "InvalidInstanceId", times=1)
        warn(pipeline, taken)
        pipeline.advance(10)
        assert list(pipeline.registered()) == [other]
        assert len(pipeline.telemetry.of(LogEvent.FLUSH_NOT_REQUESTED)) == 1
        assert pipeline.crashes == []

    def test_an_event_that_fails_three_times_reaches_the_dead_letter_queue(
        self, pipeline: Pipeline
    ) -> None:
        taken, _ = pipeline.start_fleet(2)
        pipeline.world.faults.throttle("SendCommand", times=100)
        event = spot_event(taken)
        pipeline.receive_event(event)
        pipeline.advance(200)
        assert pipeline.given_up == [event]
        assert counted(pipeline) == 1

    def test_a_registration_that_cannot_be_looked_at_keeps_a_recommended_one_in(
        self, pipeline: Pipeline
    ) -> None:
        keep_the_last(pipeline)
        taken, _ = pipeline.start_fleet(2)
        pipeline.world.faults.throttle("ListInstances", times=THROTTLED_ONCE)
        event_count = len(pipeline.registrations(taken))
        suggest(pipeline, taken)
        pipeline.advance(10)
        assert len(pipeline.registrations(taken)) == event_count
        assert len(pipeline.machines.signals_of(taken)) == 1
        assert counted(pipeline) == 0
        pipeline.advance(RETRY_SECONDS)
        assert taken not in pipeline.registered()
        assert counted(pipeline) == 1
