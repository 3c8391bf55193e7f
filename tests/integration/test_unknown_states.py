"""A lifecycle state that AWS adds later keeps the instance, and pages; it is never discarded."""

import pytest

from lifecycle.errors import UnexpectedState
from lifecycle.telemetry import LogEvent, Metric
from tests.support.fleet import EMPTY
from tests.support.messages import TERMINATE_HOOK
from tests.support.pipeline import DRAIN_TIMEOUT, HEARTBEAT_TIMEOUT, Pipeline

UNKNOWN = "Terminating:Reviewed"


def test_an_event_of_it_ends_on_the_failure_destination_and_nothing_is_done(
    pipeline: Pipeline,
) -> None:
    [instance_id] = pipeline.start_fleet()
    events = pipeline.lose_events()
    pipeline.scale_to(0)
    pipeline.move(instance_id, UNKNOWN)
    [event] = events
    pipeline.receive_event(event)
    pipeline.advance(200)
    assert pipeline.given_up == [event], "the alarm lifecycle-dlq pages"
    said = f"{instance_id} is in the lifecycle state {UNKNOWN!r}, which this version does not know"
    assert {str(one) for one in pipeline.crashes} == {f"{said}: keep the instance, discard nothing"}
    assert instance_id in pipeline.registered()
    assert pipeline.waiting("operation") == 0


def test_the_reconciler_reports_it_keeps_its_wait_alive_and_fails(pipeline: Pipeline) -> None:
    [instance_id] = pipeline.start_fleet()
    pipeline.lose_events()
    pipeline.scale_to(0)
    pipeline.move(instance_id, UNKNOWN)
    for _ in range(4):
        pipeline.advance(HEARTBEAT_TIMEOUT - 60)
        with pytest.raises(UnexpectedState, match="keep the instance, discard nothing"):
            pipeline.reconciler.handle()
    assert pipeline.state(instance_id) == UNKNOWN, "its hook would have expired"
    line = pipeline.telemetry.of(LogEvent.LIFECYCLE_STATE_UNKNOWN)[-1]
    assert (line["instance_id"], line["state"]) == (instance_id, UNKNOWN)
    assert line["kept_by"] == [TERMINATE_HOOK]
    assert instance_id in pipeline.registered()


def test_the_reconciler_sets_everything_else_right_all_the_same(pipeline: Pipeline) -> None:
    unknown, other = pipeline.start_fleet(2)
    pipeline.move(unknown, "Resting")
    pipeline.deregister(other)
    pipeline.advance(10)
    with pytest.raises(UnexpectedState, match="'Resting'"):
        pipeline.reconciler.handle()
    pipeline.advance(10)
    assert set(pipeline.registered()) == {unknown, other}
    assert pipeline.telemetry.total(Metric.IN_SERVICE_INSTANCES) == 1
    assert pipeline.telemetry.of(LogEvent.LIFECYCLE_STATE_UNKNOWN)[0]["kept_by"] == []


def meet_it_in_a_drain(pipeline: Pipeline) -> str:
    [instance_id] = pipeline.start_fleet()
    pipeline.scale_to(0)
    pipeline.until(lambda: pipeline.waiting("buffer") == 1)
    pipeline.move(instance_id, UNKNOWN)
    pipeline.fleet.shows(instance_id, EMPTY)
    return instance_id


def test_a_drain_that_meets_it_goes_on_and_releases_nothing_in_it(pipeline: Pipeline) -> None:
    instance_id = meet_it_in_a_drain(pipeline)
    pipeline.advance(400)
    assert pipeline.state(instance_id) == UNKNOWN
    assert pipeline.waiting("buffer") == 1
    failed = [str(line["reason"]) for line in pipeline.telemetry.of(LogEvent.CHECK_FAILED)]
    assert all("keep the instance, discard nothing" in reason for reason in failed)
    pipeline.until(lambda: pipeline.waiting("buffer-dlq") == 1, within=2 * DRAIN_TIMEOUT)
    [(_, reason)] = pipeline.dead_letters("buffer")
    assert "keep the instance, discard nothing" in reason


def test_a_drain_that_meets_it_for_a_while_ends_as_any_other(pipeline: Pipeline) -> None:
    instance_id = meet_it_in_a_drain(pipeline)
    pipeline.advance(300)
    pipeline.move(instance_id, "Terminating:Wait")
    pipeline.until(lambda: pipeline.state(instance_id) is None)
    assert pipeline.telemetry.total(Metric.LIFECYCLE_ACTION_EXPIRED) == 0
