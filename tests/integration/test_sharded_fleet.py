"""A fleet of more than eight, spread over several services."""

import pytest

from lifecycle.decisions.shards import MOST_IN_A_SHARD
from lifecycle.telemetry import LogEvent, Metric
from tests.support.pipeline import Pipeline


@pytest.fixture
def shards(pipeline: Pipeline) -> list[str]:
    """Three of them."""
    ids = pipeline.create_shards(3)
    pipeline.wire(lambda: pipeline.fleet)
    return ids


def sizes(pipeline: Pipeline) -> list[int]:
    return [len(members) for members in pipeline.shards().values()]


def test_many_launches_at_once_end_with_at_most_eight_in_each(
    pipeline: Pipeline, shards: list[str]
) -> None:
    del shards
    pipeline.start_fleet(20)
    assert sum(sizes(pipeline)) == 20
    assert max(sizes(pipeline)) <= MOST_IN_A_SHARD
    assert len(pipeline.registered()) == 20
    assert pipeline.telemetry.total(Metric.SHARD_OVERFLOW) == 0


def test_launches_that_all_chose_the_same_shard_move_on(
    pipeline: Pipeline, shards: list[str]
) -> None:
    for number in range(MOST_IN_A_SHARD):
        pipeline.request_registration(f"one-{number}", shards[1])
        pipeline.request_registration(f"two-{number}", shards[2])
        pipeline.request_registration(f"zero-{number}", shards[0])
    pipeline.advance(60)
    pipeline.deregister("zero-0", shards[0])
    pipeline.advance(60)
    pipeline.world.faults.operation_seconds = 30
    pipeline.create_group(1)
    pipeline.until(lambda: pipeline.waiting("operation") == 1)
    # It has chosen the first; so does another one that it could not see.
    pipeline.request_registration("one-too-many", shards[0])
    pipeline.deregister("one-0", shards[1])
    pipeline.until(lambda: pipeline.states_are("InService", 1))
    [instance_id] = pipeline.states()
    assert sizes(pipeline) == [8, 8, 8]
    assert instance_id in pipeline.shards()[shards[1]]
    assert pipeline.registrations(instance_id) == ["registered", "registered", "deregistered"]


def test_a_fleet_that_does_not_fit_goes_into_service_and_is_reported(
    pipeline: Pipeline, shards: list[str]
) -> None:
    for number in range(26):
        pipeline.request_registration(f"other-{number}", shards[number % 3])
    pipeline.advance(60)
    [instance_id] = pipeline.start_fleet(1)
    assert pipeline.state(instance_id) == "InService"
    assert pipeline.telemetry.of(LogEvent.SHARD_OVERFLOWS)
    assert pipeline.telemetry.total(Metric.SHARD_OVERFLOW) == 1


def test_the_reconciler_repairs_what_no_launch_can_see(
    pipeline: Pipeline, shards: list[str]
) -> None:
    ids = pipeline.start_fleet(12)
    for instance_id in ids:
        for service_id, members in pipeline.shards().items():
            if service_id != shards[0] and instance_id in members:
                pipeline.deregister(instance_id, service_id)
        pipeline.request_registration(instance_id, shards[0])
    pipeline.until(lambda: sizes(pipeline) == [12, 0, 0])
    # Who sees less than everybody at once must not do harm, so it may take several looks.
    for _ in range(4):
        pipeline.reconcile()
        assert sorted(pipeline.registered()) == sorted(ids)
        pipeline.advance(60)
    assert sum(sizes(pipeline)) == 12
    assert max(sizes(pipeline)) <= MOST_IN_A_SHARD
    assert min(sizes(pipeline)) >= 1
    # Reported while it lasts: they join in one look, and leave in the next.
    assert pipeline.telemetry.total(Metric.SHARD_OVERFLOW) == 4 + 4
