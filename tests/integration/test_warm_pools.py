"""Instances that come out of a warm pool, and go back into it.

That nobody is released early or while registered is checked in every test, by the pipeline fixture.
"""

import pytest

from lifecycle.telemetry import LogEvent, Metric
from tests.support.fleet import EMPTY
from tests.support.messages import GROUP
from tests.support.pipeline import DRAIN_TIMEOUT, Pipeline


@pytest.fixture
def pool(pipeline: Pipeline) -> Pipeline:
    """An empty group with one instance in its pool, to which scale-in returns instances."""
    pipeline.create_group(0)
    pipeline.clients.autoscaling.put_warm_pool(
        AutoScalingGroupName=GROUP,
        MaxGroupPreparedCapacity=1,
        InstanceReusePolicy={"ReuseOnScaleIn": True},
    )
    pipeline.until(lambda: pipeline.states_are("Warmed:Stopped", 1))
    return pipeline


def the_instance(pool: Pipeline) -> str:
    [instance_id] = pool.states()
    return instance_id


def test_an_instance_in_the_pool_is_in_no_forwarders_list(pool: Pipeline) -> None:
    assert pool.registered() == {}
    assert pool.is_quiet()
    assert pool.telemetry.total(Metric.LIFECYCLE_ACTION_COMPLETED) == 1


def test_an_event_of_a_launch_into_the_pool_that_comes_again_is_no_error(pool: Pipeline) -> None:
    pool.receive_event(pool.world.lifecycle_events[0])
    pool.advance(200)
    assert (pool.crashes, pool.given_up) == ([], [])
    assert LogEvent.LIFECYCLE_ACTION_ALREADY_ENDED in pool.telemetry.events


def test_an_instance_that_comes_out_of_the_pool_is_registered_first(pool: Pipeline) -> None:
    instance_id = the_instance(pool)
    pool.scale_to(1)
    pool.until(lambda: pool.state(instance_id) == "InService")
    assert list(pool.registered()) == [instance_id]


def test_an_instance_that_goes_back_into_the_pool_is_drained_first(pool: Pipeline) -> None:
    instance_id = the_instance(pool)
    pool.scale_to(1)
    pool.until(lambda: pool.state(instance_id) == "InService")
    pool.scale_to(0)
    pool.advance(200)
    assert pool.state(instance_id) == "Warmed:Pending:Wait"
    assert pool.registered() == {}
    pool.fleet.shows(instance_id, EMPTY)
    pool.until(lambda: pool.state(instance_id) == "Warmed:Stopped")
    assert (pool.crashes, pool.given_up) == ([], [])
    assert pool.is_quiet()


def test_an_instance_can_come_out_of_the_pool_and_go_back_again_and_again(pool: Pipeline) -> None:
    instance_id = the_instance(pool)
    for _ in range(3):
        pool.scale_to(1)
        pool.until(lambda: pool.state(instance_id) == "InService")
        pool.fleet.shows(instance_id, EMPTY)
        pool.scale_to(0)
        pool.until(lambda: pool.state(instance_id) == "Warmed:Stopped")
    assert pool.registrations(instance_id) == 3 * ["registered", "deregistered"]
    assert pool.crashes == []


def test_known_limit_a_stopped_instance_that_leaves_the_pool_for_good_proves_nothing(
    pool: Pipeline,
) -> None:
    # It was drained when it went in, but nobody can ask it now: a person is told.
    instance_id = the_instance(pool)
    pool.fleet.loses_target(instance_id)
    pool.clients.autoscaling.delete_warm_pool(AutoScalingGroupName=GROUP)
    pool.until(lambda: pool.waiting("buffer-dlq") == 1, within=DRAIN_TIMEOUT + 200)
    assert pool.state(instance_id) == "Warmed:Terminating:Wait"
