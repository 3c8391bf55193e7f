"""Instances that come out of a warm pool, and go back into it."""

from datetime import UTC, datetime

import pytest
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends

from lifecycle.telemetry import Metric
from tests.support.fleet import EMPTY
from tests.support.messages import GROUP
from tests.support.pipeline import DRAIN_TIMEOUT, Pipeline
from tests.support.queues import REGION


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


def discard(pool: Pipeline, instance_id: str) -> None:
    """Take the pool away; the stopped instance cannot be asked anything."""
    pool.fleet.loses_target(instance_id)
    pool.clients.autoscaling.delete_warm_pool(AutoScalingGroupName=GROUP)


def test_a_stopped_instance_that_never_served_leaves_the_pool_at_once(pool: Pipeline) -> None:
    instance_id = the_instance(pool)
    pool.fleet.shows(instance_id, EMPTY)
    pool.advance(100)
    discard(pool, instance_id)
    pool.until(lambda: pool.state(instance_id) is None, within=30)
    assert (pool.crashes, pool.waiting("buffer-dlq"), pool.is_quiet()) == ([], 0, True)


def test_a_stopped_instance_that_was_drained_before_leaves_the_pool_at_once(pool: Pipeline) -> None:
    instance_id = the_instance(pool)
    serve_and_return(pool, instance_id)
    discard(pool, instance_id)
    pool.until(lambda: pool.state(instance_id) is None, within=30)
    assert (pool.crashes, pool.waiting("buffer-dlq"), pool.is_quiet()) == ([], 0, True)
    assert pool.telemetry.total(Metric.LIFECYCLE_ACTION_EXPIRED) == 0


def serve_and_return(pool: Pipeline, instance_id: str) -> None:
    pool.scale_to(1)
    pool.until(lambda: pool.state(instance_id) == "InService")
    pool.fleet.shows(instance_id, EMPTY)
    pool.scale_to(0)
    pool.until(lambda: pool.state(instance_id) == "Warmed:Stopped")


def test_a_stopped_instance_that_has_run_since_its_proof_is_dead_lettered(pool: Pipeline) -> None:
    # An operator started and stopped it; what came in meanwhile is unknown.
    instance_id = the_instance(pool)
    pool.advance(100)
    backend = ec2_backends[DEFAULT_ACCOUNT_ID][REGION]
    backend.get_instance(instance_id).launch_time = datetime.fromtimestamp(pool.clock(), UTC)
    discard(pool, instance_id)
    pool.until(lambda: pool.waiting("buffer-dlq") == 1, within=DRAIN_TIMEOUT + 200)
    assert pool.state(instance_id) == "Warmed:Terminating:Wait"


def test_a_proven_instance_that_is_retained_since_its_event_was_lost_is_dead_lettered(
    pool: Pipeline,
) -> None:
    instance_id = the_instance(pool)
    pool.retain_on_abandon()
    pool.advance(100)
    pool.lose_events()
    discard(pool, instance_id)
    pool.until(lambda: pool.state(instance_id) == "Warmed:Terminating:Retained")
    pool.reconcile()
    pool.until(lambda: pool.waiting("buffer-dlq") == 1, within=DRAIN_TIMEOUT + 200)
    assert (pool.crashes, pool.state(instance_id)) == ([], "Warmed:Terminating:Retained")
