"""Instances that leave their group, or its module, without their hook: detached, or moved."""

import pytest

from lifecycle.telemetry import LogEvent, Metric
from tests.support.fleet import EMPTY
from tests.support.messages import GROUP, TERMINATE_HOOK
from tests.support.pipeline import RECONCILE_INTERVAL, Pipeline

OTHER_GROUP = "fluentd-aggregators-green"


def serving(pipeline: Pipeline, size: int = 2) -> list[str]:
    """A fleet in service, and a reconciler on its schedule."""
    ids = pipeline.start_fleet(size)
    pipeline.reconcile_at = pipeline.clock() + 10
    pipeline.advance(RECONCILE_INTERVAL)
    return ids


def detach(pipeline: Pipeline, instance_id: str) -> None:
    pipeline.clients.autoscaling.detach_instances(
        AutoScalingGroupName=GROUP, InstanceIds=[instance_id], ShouldDecrementDesiredCapacity=True
    )


def other_group(pipeline: Pipeline) -> None:
    """Another group, without a hook."""
    pipeline.clients.autoscaling.create_auto_scaling_group(
        AutoScalingGroupName=OTHER_GROUP,
        MinSize=0,
        MaxSize=9,
        DesiredCapacity=0,
        VPCZoneIdentifier=pipeline.subnet_id,
        LaunchTemplate={"LaunchTemplateName": "aggregator"},
    )


def attach(pipeline: Pipeline, instance_id: str) -> None:
    """Attach it to the other group."""
    pipeline.clients.autoscaling.attach_instances(
        AutoScalingGroupName=OTHER_GROUP, InstanceIds=[instance_id]
    )


def wire_to(pipeline: Pipeline, group: str, name: str = "pipeline") -> None:
    """Deploy the module with another group, as a second apply does."""
    pipeline.wire(
        lambda: pipeline.fleet, AUTOSCALING_GROUP_NAME=group, POWERTOOLS_SERVICE_NAME=name
    )


def reported(pipeline: Pipeline) -> set[object]:
    lines = pipeline.telemetry.of(LogEvent.INSTANCE_LEFT_GROUP)
    return {line["instance_id"] for line in lines}


def unclean(pipeline: Pipeline) -> float:
    return pipeline.telemetry.total(Metric.UNCLEAN_TERMINATION)


def end(pipeline: Pipeline, instance_id: str) -> None:
    pipeline.clients.ec2.terminate_instances(InstanceIds=[instance_id])
    pipeline.advance(60)


class TestDetached:
    def test_it_is_reported_and_its_end_is_counted_once(self, pipeline: Pipeline) -> None:
        first, second = serving(pipeline)
        detach(pipeline, first)
        pipeline.advance(RECONCILE_INTERVAL)
        assert reported(pipeline) == {first}
        assert set(pipeline.registered()) == {first, second}  # it accepts logs still
        assert unclean(pipeline) == 0
        end(pipeline, first)
        assert set(pipeline.registered()) == {second}
        pipeline.advance(2 * RECONCILE_INTERVAL)
        assert unclean(pipeline) == 1

    def test_attached_again_it_is_drained_as_any_other(self, pipeline: Pipeline) -> None:
        first, _ = serving(pipeline)
        detach(pipeline, first)
        pipeline.clients.autoscaling.attach_instances(
            AutoScalingGroupName=GROUP, InstanceIds=[first]
        )
        pipeline.fleet.shows(first, EMPTY)
        pipeline.terminate(first)
        pipeline.until(lambda: pipeline.state(first) is None)
        assert (reported(pipeline), unclean(pipeline)) == (set(), 0)


class TestAttachedElsewhere:
    def test_what_another_group_has_in_service_is_reported_and_not_touched(
        self, pipeline: Pipeline
    ) -> None:
        first, _ = serving(pipeline)
        other_group(pipeline)
        detach(pipeline, first)
        attach(pipeline, first)
        pipeline.advance(2 * RECONCILE_INTERVAL)
        assert reported(pipeline) == {first}
        assert pipeline.registrations(first) == ["registered"]
        end(pipeline, first)
        assert unclean(pipeline) == 1

    def test_another_module_takes_it_over(self, pipeline: Pipeline) -> None:
        first, _ = serving(pipeline)
        other_group(pipeline)
        detach(pipeline, first)
        attach(pipeline, first)
        wire_to(pipeline, OTHER_GROUP, name="green")
        pipeline.reconcile()
        pipeline.telemetry.lines.clear()
        wire_to(pipeline, GROUP)
        pipeline.reconcile()
        assert reported(pipeline) == set()


class TestHookDeleted:
    def test_a_drain_under_way_is_completed_without_proof_and_pages(
        self, pipeline: Pipeline
    ) -> None:
        first, _ = serving(pipeline)
        pipeline.terminate(first)
        pipeline.until(lambda: pipeline.waiting("buffer") == 1)
        pipeline.delete_terminate_hook()
        pipeline._journal_seen = len(pipeline.world.journal)  # released without proof, by AWS
        pipeline.advance(60)
        assert pipeline.state(first) is None
        assert unclean(pipeline) == 1


class TestGroupReplaced:
    """The module's ``autoscaling_group_name`` is changed in place."""

    @pytest.mark.parametrize("stages", [("operation", "buffer"), ("buffer",)])
    def test_every_instance_of_the_group_before_pages_at_once_and_at_its_end(
        self, pipeline: Pipeline, stages: tuple[str, ...]
    ) -> None:
        pipeline.stages = stages
        pipeline.wire(lambda: pipeline.fleet)
        ids = serving(pipeline)
        other_group(pipeline)
        wire_to(pipeline, OTHER_GROUP)
        pipeline.reconcile()
        assert reported(pipeline) == set(ids)
        pipeline.clients.autoscaling.delete_lifecycle_hook(
            AutoScalingGroupName=GROUP, LifecycleHookName=TERMINATE_HOOK
        )
        pipeline.scale_to(0)
        pipeline.advance(60)
        assert unclean(pipeline) == len(ids)

    def test_a_drain_that_our_hook_still_holds_is_finished(self, pipeline: Pipeline) -> None:
        first, _ = serving(pipeline)
        pipeline.terminate(first)
        pipeline.until(lambda: pipeline.waiting("buffer") == 1)
        other_group(pipeline)
        wire_to(pipeline, OTHER_GROUP)
        pipeline.fleet.shows(first, EMPTY)
        pipeline.until(lambda: pipeline.state(first) is None)
        assert (unclean(pipeline), pipeline.dead_letters("buffer")) == (0, [])

    def test_a_wait_there_whose_event_was_lost_is_drained_by_the_reconciler(
        self, pipeline: Pipeline
    ) -> None:
        first, second = serving(pipeline)
        pipeline.lose_events()
        pipeline.terminate(first)
        other_group(pipeline)
        wire_to(pipeline, OTHER_GROUP)
        pipeline.fleet.shows(first, EMPTY)
        pipeline.reconcile()
        pipeline.until(lambda: pipeline.state(first) is None)
        assert (unclean(pipeline), pipeline.dead_letters("buffer")) == (0, [])
        assert pipeline.registrations(second) == ["registered"]  # reported, and not touched
        assert reported(pipeline) == {first, second}
