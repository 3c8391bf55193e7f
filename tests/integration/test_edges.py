"""Other hooks, instance refresh, standby, and what arrives after the end."""

from functools import partial

import pytest

from lifecycle.telemetry import LogEvent, Metric
from tests.support.fleet import EMPTY
from tests.support.messages import GROUP
from tests.support.pipeline import Pipeline

ANOTHER = "another-hook"


def put_another_hook(pipeline: Pipeline, transition: str, seconds: int = 7200) -> None:
    pipeline.clients.autoscaling.put_lifecycle_hook(
        AutoScalingGroupName=GROUP,
        LifecycleHookName=ANOTHER,
        LifecycleTransition=f"autoscaling:EC2_INSTANCE_{transition}",
        HeartbeatTimeout=seconds,
        DefaultResult="CONTINUE",
    )


def no_alarm(pipeline: Pipeline) -> bool:
    return (
        (pipeline.crashes, pipeline.given_up) == ([], [])
        and not any(pipeline.waiting(f"{one}-dlq") for one in ("operation", "buffer"))
        and pipeline.telemetry.total(Metric.LIFECYCLE_ACTION_EXPIRED) == 0
    )


class TestTwoHooks:
    def test_what_is_proven_may_go_on_waiting_for_another_hook(self, pipeline: Pipeline) -> None:
        [instance_id] = pipeline.start_fleet()
        put_another_hook(pipeline, "TERMINATING")
        pipeline.scale_to(0)
        pipeline.fleet.shows(instance_id, EMPTY)
        pipeline.until(lambda: LogEvent.LIFECYCLE_ACTION_COMPLETED in leaving_events(pipeline))
        pipeline.copies = 2
        pipeline.advance(200)
        assert pipeline.state(instance_id) == "Terminating:Wait"
        assert pipeline.is_quiet()
        assert no_alarm(pipeline)
        pipeline.complete(instance_id, "CONTINUE", ANOTHER)
        assert pipeline.state(instance_id) is None

    def test_while_another_hook_keeps_it_alive_it_is_drained_though_ours_has_ended(
        self, pipeline: Pipeline
    ) -> None:
        [instance_id] = pipeline.start_fleet()
        put_another_hook(pipeline, "TERMINATING")
        pipeline.scale_to(0)
        pipeline.advance(60)
        early = pipeline.world.journal[:]
        pipeline._journal_seen = len(early) + 1  # an operator completes it: not our release
        pipeline.complete(instance_id, "CONTINUE")
        pipeline.advance(120)
        assert pipeline.waiting("buffer") == 1
        pipeline.fleet.shows(instance_id, EMPTY)
        pipeline.until(pipeline.is_quiet)
        assert no_alarm(pipeline)

    def test_a_launch_that_another_hook_still_holds_stays_registered(
        self, pipeline: Pipeline
    ) -> None:
        pipeline.create_group(0)
        put_another_hook(pipeline, "LAUNCHING")
        pipeline.copies = 2
        pipeline.scale_to(1)
        pipeline.advance(100)
        [instance_id] = pipeline.states()
        assert pipeline.state(instance_id) == "Pending:Wait"
        assert list(pipeline.registered()) == [instance_id]
        pipeline.complete(instance_id, "CONTINUE", ANOTHER)
        assert pipeline.state(instance_id) == "InService"
        assert list(pipeline.registered()) == [instance_id]
        assert no_alarm(pipeline)


def leaving_events(pipeline: Pipeline) -> list[LogEvent]:
    return [
        line.event
        for line in pipeline.telemetry.lines
        if line.fields.get("transition") == "terminating"
    ]


def has_left(pipeline: Pipeline, instance_id: str) -> bool:
    return pipeline.state(instance_id) is None


@pytest.mark.parametrize("launches_first", [False, True], ids=["ends_first", "launches_first"])
def test_an_instance_that_reaches_its_maximum_lifetime_is_drained_as_any_other(
    pipeline: Pipeline, *, launches_first: bool
) -> None:
    """The group ends it by itself, or starts its successor first (instance maintenance policy)."""
    old, other = pipeline.start_fleet(2)
    if launches_first:
        pipeline.scale_to(3)
        pipeline.until(lambda: pipeline.states_are("InService", 3))
    pipeline.terminate(old, is_replaced=not launches_first)
    pipeline.advance(200)
    assert pipeline.state(old) == "Terminating:Wait"
    pipeline.fleet.shows(old, EMPTY)
    pipeline.until(partial(has_left, pipeline, old))
    pipeline.until(lambda: pipeline.states_are("InService", 2))
    assert other in pipeline.registered()
    assert set(pipeline.registered()) == set(pipeline.states())
    assert no_alarm(pipeline)
    assert pipeline.telemetry.total(Metric.UNCLEAN_TERMINATION) == 0
