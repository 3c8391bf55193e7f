"""The reconciler beside the pipeline: what no event told, it finds and sets right."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from lifecycle.decisions.marks import MarkKind
from lifecycle.telemetry import LogEvent, Metric
from tests.support.fleet import EMPTY, HOLDING
from tests.support.pipeline import PORT, Pipeline


@pytest.fixture
def adopted(pipeline: Pipeline) -> list[str]:
    """A fleet that is older than the hooks."""
    pipeline.stages = ("buffer",)
    pipeline.create_group(3)
    pipeline.stages = ("operation", "buffer")
    pipeline.advance(5)
    return sorted(pipeline.states())


def corrected(pipeline: Pipeline) -> list[tuple[object, object]]:
    lines = pipeline.telemetry.of(LogEvent.CORRECTION_MADE)
    return [(line["correction"], line["instance_id"]) for line in lines]


def during_the_grace(pipeline: Pipeline, happens: Callable[[], None]) -> None:
    """Let something happen between the two looks."""

    def sleep(seconds: float) -> None:
        happens()
        pipeline.advance(seconds)

    runtime = replace(pipeline.reconciler.runtime, sleep=sleep)
    pipeline.reconciler = replace(pipeline.reconciler, runtime=runtime)


def take_out(pipeline: Pipeline, instance_id: str) -> None:
    """An operator deregisters an instance."""
    pipeline.deregister(instance_id)
    pipeline.advance(5)


class TestLostEvents:
    def test_a_launch_whose_event_was_lost_is_in_service_and_registered_after_one_run(
        self, pipeline: Pipeline
    ) -> None:
        pipeline.lose_events()
        pipeline.create_group(2)
        pipeline.reconcile()
        pipeline.until(lambda: pipeline.states_are("InService", 2), within=30)
        assert sorted(pipeline.registered()) == sorted(pipeline.states())
        assert [kind for kind, _ in corrected(pipeline)] == 2 * ["restart"]
        assert pipeline.telemetry.total(Metric.CORRECTIONS_MADE) == 2
        assert (pipeline.crashes, pipeline.is_quiet()) == ([], True)

    @pytest.mark.parametrize(
        "stages",
        [("operation", "buffer"), ("operation", "flush", "buffer"), ("buffer",), ("flush",)],
    )
    def test_a_termination_whose_event_was_lost_is_drained_and_released(
        self, pipeline: Pipeline, stages: tuple[str, ...]
    ) -> None:
        pipeline.stages = stages
        pipeline.wire(lambda: pipeline.fleet)
        [instance_id] = pipeline.start_fleet()
        pipeline.lose_events()
        pipeline.scale_to(0)
        pipeline.advance(60)
        assert pipeline.is_quiet()
        pipeline.reconcile()
        assert corrected(pipeline) == [("restart", instance_id)]
        pipeline.fleet.shows(instance_id, EMPTY)
        pipeline.until(lambda: pipeline.state(instance_id) is None)
        assert pipeline.registered() == {}
        assert (pipeline.crashes, pipeline.is_quiet()) == ([], True)

    @pytest.mark.parametrize("stages", [("operation", "buffer"), ("flush",)])
    @pytest.mark.parametrize("is_empty", [True, False])
    def test_an_instance_that_is_retained_since_its_event_was_lost_is_dead_lettered(
        self, pipeline: Pipeline, stages: tuple[str, ...], is_empty: bool
    ) -> None:
        pipeline.stages = stages
        pipeline.wire(lambda: pipeline.fleet)
        [instance_id] = pipeline.start_fleet()
        pipeline.retain_on_abandon()
        pipeline.lose_events()
        pipeline.scale_to(0)
        pipeline.until(lambda: pipeline.state(instance_id) == "Terminating:Retained")
        pipeline.fleet.shows(instance_id, EMPTY if is_empty else HOLDING)
        pipeline.machines[instance_id].is_receiving = not is_empty
        queue = f"{stages[-1]}-dlq"
        pipeline.reconcile()
        pipeline.until(lambda: pipeline.waiting(queue) == 1, within=2000)
        pipeline.reconcile()
        assert corrected(pipeline) == [("restart", instance_id)]
        [(body, reason)] = pipeline.dead_letters(stages[-1])
        assert instance_id in body
        assert ("ended before the proof" in reason) is is_empty
        assert (pipeline.registered(), pipeline.state(instance_id)) == ({}, "Terminating:Retained")

    def test_an_instance_that_died_undrained_before_it_was_retained_is_reported(
        self, pipeline: Pipeline
    ) -> None:
        [instance_id] = pipeline.start_fleet()
        pipeline.retain_on_abandon()
        pipeline.lose_events()
        pipeline.scale_to(0)
        pipeline.clients.ec2.terminate_instances(InstanceIds=[instance_id])
        pipeline.fleet.loses_target(instance_id)
        pipeline.until(lambda: pipeline.state(instance_id) == "Terminating:Retained")
        pipeline.reconcile()
        pipeline.until(lambda: pipeline.waiting("buffer-dlq") == 1, within=2000)
        assert pipeline.registered() == {}


class TestRegistrations:
    def test_a_fleet_that_is_older_than_the_hooks_is_registered(
        self, pipeline: Pipeline, adopted: list[str]
    ) -> None:
        pipeline.reconcile()
        pipeline.advance(5)
        registered = pipeline.registered()
        assert sorted(registered) == adopted
        assert {one["AWS_INSTANCE_PORT"] for one in registered.values()} == {str(PORT)}
        pipeline.reconcile()
        assert len(corrected(pipeline)) == 3
        assert pipeline.crashes == []

    @pytest.mark.parametrize("registrar", ["reconciler", "its owner"])
    def test_one_that_was_adopted_and_dies_unproven_is_counted_once_though_its_end_comes_twice(
        self, pipeline: Pipeline, adopted: list[str], registrar: str
    ) -> None:
        """The second time it is out of Cloud Map, as one is that never had a log."""
        if registrar == "its owner":
            for one in adopted:
                pipeline.register(one)
        pipeline.reconcile()
        pipeline.advance(5)
        assert {mark.kind for mark in pipeline.marks(adopted)} == {MarkKind.LAUNCHING}
        pipeline.delete_terminate_hook()
        pipeline.stages = ("operation",)  # nothing can be proven of it
        pipeline.world.faults.throttle("DescribeInstances", times=3)
        pipeline.terminate(adopted[0])
        pipeline.advance(120)
        assert len(pipeline.crashes) == 1
        assert pipeline.telemetry.total(Metric.UNCLEAN_TERMINATION) == 1

    def test_one_that_leaves_meanwhile_keeps_the_tag_of_its_termination(
        self, pipeline: Pipeline, adopted: list[str]
    ) -> None:
        for one in adopted:
            pipeline.register(one)
        take_out(pipeline, adopted[0])  # something to correct, so that there is a grace
        during_the_grace(pipeline, lambda: pipeline.terminate(adopted[1]))
        pipeline.reconcile()
        [mark] = pipeline.marks(adopted[1:2])
        assert mark.kind is MarkKind.TERMINATING

    def test_one_that_died_behind_the_hook_is_taken_out(self, pipeline: Pipeline) -> None:
        dead, alive = pipeline.start_fleet(2)
        pipeline.delete_terminate_hook()
        pipeline.stages = ("operation",)  # nothing can be proven of it
        pipeline.lose_events()  # else the event of its end takes it out
        pipeline.terminate(dead)
        assert pipeline.state(dead) is None
        assert sorted(pipeline.registered()) == sorted([dead, alive])
        pipeline.reconcile()
        pipeline.advance(5)
        assert list(pipeline.registered()) == [alive]
        assert corrected(pipeline) == [("deregister", dead)]

    def test_what_is_not_ours_to_judge_stays_registered(self, pipeline: Pipeline) -> None:
        [ours] = pipeline.start_fleet()
        other = pipeline.clients.ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1)
        strangers = [other["Instances"][0]["InstanceId"], "collector-in-the-office"]
        for stranger in strangers:
            pipeline.request_registration(stranger)
        pipeline.advance(5)
        pipeline.reconcile()
        assert corrected(pipeline) == []
        assert sorted(pipeline.registered()) == sorted([ours, *strangers])


class TestBesideThePipeline:
    def test_nothing_is_done_while_a_pipeline_is_under_way(self, pipeline: Pipeline) -> None:
        pipeline.reconcile_at = pipeline.clock.now
        pipeline.world.faults.operation_seconds = 200
        [instance_id] = pipeline.start_fleet()
        pipeline.scale_to(0)
        pipeline.advance(700)
        assert pipeline.waiting("buffer") == 1
        pipeline.fleet.shows(instance_id, EMPTY)
        pipeline.until(lambda: pipeline.state(instance_id) is None)
        pipeline.advance(700)
        assert corrected(pipeline) == []
        assert pipeline.registrations(instance_id) == ["registered", "deregistered"]
        assert len(pipeline.journal(instance_id, "completed")) == 2
        assert (pipeline.crashes, pipeline.is_quiet()) == ([], True)


class TestObserving:
    def test_everything_is_reported_and_nothing_changed(self, pipeline: Pipeline) -> None:
        pipeline.wire(lambda: pipeline.fleet, RECONCILE_MODE="observe")
        [serving] = pipeline.start_fleet()
        pipeline.lose_events()
        pipeline.scale_to(2)
        take_out(pipeline, serving)
        seen = len(pipeline.world.journal)
        pipeline.reconcile()
        lines = pipeline.telemetry.of(LogEvent.DISCREPANCY_FOUND)
        assert {str(line["correction"]) for line in lines} == {"register", "restart"}
        assert len(pipeline.world.journal) == seen
        assert pipeline.is_quiet()
        assert pipeline.crashes == []
        line = pipeline.telemetry.the(LogEvent.RECONCILED)
        assert (line["mode"], line["discrepancies"], line["corrections"]) == ("observe", 2, 0)

    def test_no_instance_is_tagged(self, pipeline: Pipeline, adopted: list[str]) -> None:
        pipeline.wire(lambda: pipeline.fleet, RECONCILE_MODE="observe")
        for one in adopted:
            pipeline.register(one)
        pipeline.reconcile()
        assert pipeline.marks(adopted) == []

    def test_each_run_measures_the_fleet(self, pipeline: Pipeline) -> None:
        first, _ = pipeline.start_fleet(2)
        pipeline.scale_to(1)
        pipeline.advance(40)
        flushed = pipeline.telemetry.flushed
        pipeline.reconcile()
        assert pipeline.telemetry.flushed == flushed + 1
        values = dict(pipeline.telemetry.values)
        assert values[Metric.REGISTERED_INSTANCES] == 1
        assert values[Metric.IN_SERVICE_INSTANCES] == 1
        assert values[Metric.WAITING_INSTANCES] == 1
        assert 30 <= values[Metric.OLDEST_WAIT_SECONDS] <= 45
        assert values[Metric.CORRECTIONS_MADE] == 0
        assert pipeline.state(first) == "Terminating:Wait"

    def test_a_group_that_does_not_retain_is_measured(self, pipeline: Pipeline) -> None:
        pipeline.start_fleet()
        pipeline.reconcile()
        assert pipeline.telemetry.total(Metric.RETENTION_POLICY_MISSING) == 1
        pipeline.retain_on_abandon()
        pipeline.reconcile()
        assert pipeline.telemetry.total(Metric.RETENTION_POLICY_MISSING) == 1
        assert len(pipeline.telemetry.of(LogEvent.RECONCILED)) == 2
