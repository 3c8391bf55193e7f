"""The standing check beside the pipeline: flaws are found while all are in service."""

import pytest

from lifecycle.decisions.marks import LOOKED_TAG_KEY
from lifecycle.telemetry import LogEvent, Metric
from tests.support.fleet import HOLDING
from tests.support.functions import Invoking
from tests.support.pipeline import EMPTY_FOR, RECONCILE_INTERVAL, Pipeline

SETTLED = 600 + EMPTY_FOR + 60


def settled(pipeline: Pipeline, size: int, *stages: str) -> list[str]:
    """A fleet that has been in service for long enough to be judged."""
    pipeline.stages = stages
    pipeline.wire(lambda: pipeline.fleet)
    instance_ids = pipeline.start_fleet(size)
    pipeline.advance(SETTLED)
    return instance_ids


def counted(pipeline: Pipeline) -> float:
    return dict(pipeline.telemetry.values)[Metric.INSTANCES_NOT_PROVABLE]


def run(pipeline: Pipeline, **settings: str) -> dict[object, object]:
    """One run of the reconciler; who could not be proven, and why."""
    if settings:
        pipeline.wire(lambda: pipeline.fleet, **settings)
    pipeline.telemetry.lines.clear()
    pipeline.telemetry.values.clear()
    pipeline.reconcile()
    assert pipeline.crashes == []
    lines = pipeline.telemetry.of(LogEvent.INSTANCE_NOT_PROVABLE)
    assert counted(pipeline) in {0, len(lines)}  # once the flaws last
    return {line["instance_id"]: line["reason"] for line in lines}


@pytest.mark.parametrize("stages", [("operation", "buffer"), ("buffer",), ("flush",)], ids=str)
def test_a_busy_fleet_is_provable_and_a_launch_changes_nothing(
    pipeline: Pipeline, stages: tuple[str, ...]
) -> None:
    instance_ids = settled(pipeline, 2, *stages)
    for instance_id in instance_ids:
        pipeline.fleet.shows(instance_id, HOLDING)
    assert run(pipeline) == {}
    pipeline.scale_to(3)
    for _ in range(3):
        pipeline.advance(RECONCILE_INTERVAL)
        assert run(pipeline) == {}


def test_a_wrong_label_is_found_at_the_first_run(pipeline: Pipeline) -> None:
    instance_ids = settled(pipeline, 2, "operation", "buffer")
    found = run(pipeline, PROMETHEUS_INSTANCE_LABEL="host")
    assert (found, counted(pipeline)) == (dict.fromkeys(instance_ids, "no_series"), 0)
    pipeline.advance(SETTLED)
    assert (run(pipeline), counted(pipeline)) == (found, len(instance_ids))


def test_a_flaw_that_ends_is_forgotten(pipeline: Pipeline) -> None:
    settled(pipeline, 2, "operation", "buffer")
    counts = []
    for label in ("host", "host", "host", "instance_id", "host"):
        run(pipeline, PROMETHEUS_INSTANCE_LABEL=label)
        counts.append(counted(pipeline))
        pipeline.advance(RECONCILE_INTERVAL)
    assert counts == [0, 0, 2, 0, 0]


@pytest.mark.parametrize("invoking", [one for one in Invoking if one is not Invoking.SOUND])
def test_a_function_that_fails_counts_all_and_corrections_are_made_all_the_same(
    pipeline: Pipeline, invoking: Invoking
) -> None:
    instance_ids = settled(pipeline, 2, "operation", "buffer")
    pipeline.deregister(instance_ids[0])
    pipeline.advance(5)
    pipeline.evidence.invoking = invoking
    assert run(pipeline) == dict.fromkeys(instance_ids, "evidence_failed")
    pipeline.advance(10)
    assert sorted(pipeline.registered()) == sorted(instance_ids)


def test_with_flush_each_instance_is_looked_at_once_and_gets_no_signal(pipeline: Pipeline) -> None:
    instance_ids = settled(pipeline, 3, "operation", "flush")
    pipeline.world.faults.short_pages = [0, 1]
    assert run(pipeline) == {}
    assert run(pipeline) == {}
    assert sorted(name for _, name in pipeline.machines.looks) == sorted(instance_ids)
    assert pipeline.machines.signals == []
    [chunks] = {pipeline.machines[one].chunks for one in instance_ids}
    assert chunks == 3
    tags = pipeline.clients.ec2.describe_tags()["Tags"]
    assert sum(tag["Key"] == LOOKED_TAG_KEY for tag in tags) == 3
