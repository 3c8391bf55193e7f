"""Paged answers of AWS: a first page that is short, or empty, is not the whole answer."""

from collections.abc import Callable

import pytest

from lifecycle.adapters.autoscaling import AutoScaling, Membership
from lifecycle.adapters.cloud_map import CloudMap
from lifecycle.adapters.instances import Instances
from lifecycle.adapters.run_command import RunCommand
from lifecycle.telemetry import LogEvent
from tests.support.fleet import EMPTY
from tests.support.messages import GROUP
from tests.support.pipeline import EMPTY_FOR, PORT, SETTLE, Pipeline

SHORT_PAGES = [[0], [1], [0, 0, 1], [1, 0]]
ADAPTERS: dict[str, Callable[[Pipeline], object]] = {
    "memberships": lambda p: AutoScaling(p.clients.autoscaling).memberships(list(p.states())),
    "group": lambda p: AutoScaling(p.clients.autoscaling).group(GROUP),
    "warm pool": lambda p: AutoScaling(p.clients.autoscaling).warm_pool_states(GROUP),
    "instances": lambda p: Instances(p.clients.ec2, "pipeline").describe(list(p.states())),
    "agents": lambda p: RunCommand(p.clients.ssm, "pipeline-flush", 60).online(list(p.states())),
    "registrations": lambda p: CloudMap(
        p.clients.servicediscovery, [p.service_id], PORT
    ).registered_instances(),
}


@pytest.mark.parametrize("short_pages", SHORT_PAGES, ids=str)
@pytest.mark.parametrize("ask", ADAPTERS.values(), ids=ADAPTERS)
def test_an_answer_in_short_pages_is_read_to_its_end(
    pipeline: Pipeline, ask: Callable[[Pipeline], object], short_pages: list[int]
) -> None:
    pipeline.start_fleet(1)
    pipeline.scale_to(3)
    pipeline.clients.autoscaling.put_warm_pool(
        AutoScalingGroupName=GROUP, MaxGroupPreparedCapacity=5
    )
    pipeline.advance(60)
    whole = ask(pipeline)
    pipeline.world.faults.short_pages = short_pages
    assert whole
    assert ask(pipeline) == whole


@pytest.mark.parametrize("short_pages", SHORT_PAGES, ids=str)
def test_an_instance_on_the_second_page_is_not_gone(
    pipeline: Pipeline, short_pages: list[int]
) -> None:
    [instance_id] = pipeline.start_fleet(1)
    pipeline.world.faults.short_pages = short_pages
    found = AutoScaling(pipeline.clients.autoscaling).membership(instance_id)
    assert found == Membership(GROUP, "InService")


def test_a_whole_drain_goes_on_in_short_pages_and_loses_nothing(pipeline: Pipeline) -> None:
    pipeline.world.faults.short_pages = [0, 1]
    leaving, _ = pipeline.start_fleet(2)
    pipeline.scale_to(1)
    pipeline.advance(SETTLE)
    pipeline.fleet.shows(leaving, EMPTY)
    pipeline.until(lambda: pipeline.state(leaving) is None, within=4 * EMPTY_FOR)
    assert LogEvent.LIFECYCLE_ACTION_EXPIRED not in pipeline.telemetry.events
    assert (pipeline.crashes, pipeline.given_up) == ([], [])


def test_an_action_that_ended_unproven_is_not_taken_for_that_of_an_instance_that_is_gone(
    pipeline: Pipeline,
) -> None:
    """Its instance is on the second page: what expired is a drain that goes on elsewhere."""
    [instance_id] = pipeline.start_fleet(1)
    pipeline.clients.autoscaling.put_lifecycle_hook(
        AutoScalingGroupName=GROUP,
        LifecycleHookName="another",
        LifecycleTransition="autoscaling:EC2_INSTANCE_TERMINATING",
    )
    pipeline.scale_to(0)
    pipeline.advance(SETTLE + 10)
    pipeline.world.faults.short_pages = [0]
    pipeline._journal_seen = len(pipeline.world.journal) + 1  # an operator's completion, not ours
    pipeline.complete(instance_id, "CONTINUE")
    pipeline.advance(60)
    assert LogEvent.LIFECYCLE_ACTION_EXPIRED not in pipeline.telemetry.events
    assert pipeline.waiting("buffer") == 1, "it is asked on"
