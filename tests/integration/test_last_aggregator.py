"""Forwarders ignore an empty answer: the last one of a service is not taken away from them."""

import pytest

from lifecycle.telemetry import LogEvent
from tests.support.fleet import EMPTY, HOLDING
from tests.support.pipeline import DRAIN_TIMEOUT, Pipeline

OPERATION_TIMEOUT = DRAIN_TIMEOUT  # the harness has one for all stages


@pytest.fixture(autouse=True)
def ruled(pipeline: Pipeline) -> None:
    """The rule holds, as it does by default."""
    del pipeline.environment["ALLOW_EMPTY_SERVICE"]
    pipeline.wire(lambda: pipeline.fleet)


def start(pipeline: Pipeline, size: int = 1) -> list[str]:
    """Bring a fleet into service that holds nothing: it is released as soon as it may be."""
    ids = pipeline.start_fleet(size)
    for instance_id in ids:
        pipeline.fleet.shows(instance_id, EMPTY)
    return ids


def register(pipeline: Pipeline, instance_id: str, service_id: str | None = None) -> None:
    pipeline.request_registration(instance_id, service_id)
    pipeline.until(lambda: instance_id in pipeline.registered())


def place(pipeline: Pipeline, instance_id: str, service_id: str) -> None:
    """Put an instance into one service and take it out of all others, as an operator would."""
    register(pipeline, instance_id, service_id)
    for other, members in pipeline.shards().items():
        if other != service_id and instance_id in members:
            pipeline.deregister(instance_id, other)
    pipeline.until(
        lambda: (
            [one for one, ids in pipeline.shards().items() if instance_id in ids] == [service_id]
        )
    )


def reasons(pipeline: Pipeline) -> list[str]:
    return [reason for _, reason in pipeline.dead_letters("operation")]


def start_shards(pipeline: Pipeline, *sizes: int) -> list[list[str]]:
    """Bring a fleet into service that is spread over shards like this; returns who is where."""
    shards = pipeline.create_shards(len(sizes))
    pipeline.wire(lambda: pipeline.fleet)
    ids = start(pipeline, sum(sizes))
    placed = []
    for service_id, size in zip(shards, sizes, strict=True):
        members, ids = ids[:size], ids[size:]
        for instance_id in members:
            place(pipeline, instance_id, service_id)
        placed.append(members)
    assert [len(members) for members in pipeline.shards().values()] == list(sizes)
    return placed


def terminate(pipeline: Pipeline, instance_id: str) -> None:
    """Send one instance away, without a replacement."""
    pipeline.terminate(instance_id)
    pipeline.until(lambda: pipeline.state(instance_id) == "Terminating:Wait")


def is_gone(pipeline: Pipeline, instance_id: str) -> bool:
    return pipeline.state(instance_id) is None


def test_the_last_one_stays_registered_until_a_successor_is_in_service(pipeline: Pipeline) -> None:
    [last] = start(pipeline)
    pipeline.scale_to(0)
    pipeline.advance(OPERATION_TIMEOUT / 2)
    assert last in pipeline.registered()
    assert pipeline.state(last) == "Terminating:Wait"
    assert pipeline.telemetry.of(LogEvent.LAST_AGGREGATOR_WAITS)
    pipeline.scale_to(1)
    pipeline.until(lambda: is_gone(pipeline, last))
    [successor] = pipeline.registered()
    assert pipeline.state(successor) == "InService"
    assert pipeline.registrations(last) == ["registered", "deregistered"]
    assert pipeline.is_quiet()


def test_others_leave_at_once_as_long_as_one_stays(pipeline: Pipeline) -> None:
    start(pipeline, 3)
    pipeline.scale_to(1)
    pipeline.until(lambda: len(pipeline.states()) == 1)
    assert not pipeline.telemetry.of(LogEvent.LAST_AGGREGATOR_WAITS)
    assert list(pipeline.registered()) == list(pipeline.states())


def test_a_redrive_goes_on_once_there_is_a_successor(pipeline: Pipeline) -> None:
    [last] = start(pipeline)
    pipeline.scale_to(0)
    pipeline.advance(OPERATION_TIMEOUT + 60)
    pipeline.scale_to(1)
    pipeline.until(lambda: len(pipeline.registered()) == 2)
    pipeline.redrive("operation")
    pipeline.until(lambda: is_gone(pipeline, last))
    assert len(pipeline.registered()) == 1


def test_the_operator_may_deregister_the_last_one_and_redrive(pipeline: Pipeline) -> None:
    [last] = start(pipeline)
    pipeline.scale_to(0)
    pipeline.advance(OPERATION_TIMEOUT + 60)
    pipeline.deregister(last)
    pipeline.redrive("operation")
    pipeline.until(lambda: is_gone(pipeline, last))
    assert pipeline.registered() == {}


def test_one_that_has_ended_is_taken_out_all_the_same(pipeline: Pipeline) -> None:
    [last] = start(pipeline)
    pipeline.scale_to(0)
    pipeline.until(lambda: pipeline.waiting("operation") == 1)
    pipeline.complete(last)
    pipeline.until(lambda: is_gone(pipeline, last))
    pipeline.until(lambda: pipeline.registered() == {})


def test_one_that_is_retained_stays_registered_until_another_one_serves(pipeline: Pipeline) -> None:
    [last] = start(pipeline)
    pipeline.retain_on_abandon()
    pipeline.scale_to(0)
    pipeline.until(lambda: pipeline.state(last) == "Terminating:Retained", 3000)
    assert len(reasons(pipeline)) == 1
    pipeline.reconcile()
    pipeline.advance(60)
    assert list(pipeline.registered()) == [last]
    assert pipeline.telemetry.of(LogEvent.LAST_AGGREGATOR_WAITS)[-1]["instance_id"] == last
    pipeline.scale_to(1)
    pipeline.until(lambda: len(pipeline.registered()) == 2)
    pipeline.until(lambda: "InService" in pipeline.states().values())
    pipeline.reconcile()
    pipeline.advance(10)
    [successor] = pipeline.registered()
    assert successor != last


def test_a_late_copy_of_its_launch_does_not_take_the_last_one_out(pipeline: Pipeline) -> None:
    [last] = start(pipeline)
    pipeline.handler.handle(pipeline.world.events[0])
    pipeline.scale_to(0)
    pipeline.until(lambda: LogEvent.INSTANCE_GONE in pipeline.telemetry.events)
    pipeline.advance(OPERATION_TIMEOUT / 2)
    assert "deregistered" not in pipeline.registrations(last)


def test_one_that_was_drained_and_is_the_last_since_waits_as_well(pipeline: Pipeline) -> None:
    drained, other = start(pipeline, 2)
    pipeline.fleet.shows(drained, HOLDING)
    terminate(pipeline, drained)
    pipeline.until(lambda: pipeline.waiting("buffer") == 1)
    register(pipeline, drained)
    pipeline.move(other, "Standby")
    pipeline.fleet.shows(drained, EMPTY)
    pipeline.until(lambda: LogEvent.STILL_REGISTERED in pipeline.telemetry.events)
    pipeline.advance(120)
    assert drained in pipeline.registered()
    pipeline.move(other, "InService")
    pipeline.until(lambda: is_gone(pipeline, drained))
    assert list(pipeline.registered()) == [other]


def test_another_shard_that_can_spare_one_helps_out(pipeline: Pipeline) -> None:
    [[last], others] = start_shards(pipeline, 1, 3)
    terminate(pipeline, last)
    pipeline.until(lambda: is_gone(pipeline, last), 900)
    mover = max(others)
    assert [sorted(members) for members in pipeline.shards().values()] == [
        [mover],
        sorted(set(others) - {mover}),
    ]
    # In the new shard before it is out of the old one: forwarders never lose it.
    assert pipeline.registrations(mover)[-2:] == ["registered", "deregistered"]
    assert pipeline.is_quiet()
