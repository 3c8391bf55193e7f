"""From scale-in to release: out of discovery, then proven empty, then gone; not a second early."""

import json
from typing import Any

import pytest

from lifecycle.telemetry import LogEvent, Metric
from tests.support.fleet import EMPTY, HOLDING
from tests.support.histories import changing
from tests.support.messages import LAUNCH_HOOK, terminate_event
from tests.support.pipeline import DRAIN_TIMEOUT, EMPTY_FOR, HEARTBEAT_TIMEOUT, SETTLE, Pipeline


def until_released(pipeline: Pipeline, instance_id: str, within: float = 600) -> float:
    """Let time pass until the instance is gone; returns when that was."""
    pipeline.until(lambda: pipeline.state(instance_id) is None, within)
    [released] = pipeline.journal(instance_id, "completed")[1:]
    assert released["result"] == "CONTINUE"
    return float(released["at"])


class TestRelease:
    def test_an_instance_is_kept_while_it_holds_logs_and_released_soon_after(
        self, pipeline: Pipeline
    ) -> None:
        instance_id = pipeline.start_draining()
        pipeline.advance(DRAIN_TIMEOUT / 2)
        assert pipeline.state(instance_id) == "Terminating:Wait"
        emptied_at = pipeline.clock()
        pipeline.fleet.shows(instance_id, EMPTY)
        released_at = until_released(pipeline, instance_id)
        # The window, the longest wait between two checks, two scrapes.
        assert EMPTY_FOR <= released_at - emptied_at <= EMPTY_FOR + 120 + 30
        assert pipeline.is_quiet()

    def test_the_checks_come_when_the_answer_could_be_yes(self, pipeline: Pipeline) -> None:
        instance_id = pipeline.start_draining(EMPTY)
        deregistered_at = pipeline.journal(instance_id, "deregistered")[0]["at"]
        released_at = until_released(pipeline, instance_id)
        assert released_at - deregistered_at <= SETTLE + EMPTY_FOR + 30
        assert len(pipeline.telemetry.of(LogEvent.BUFFER_VERDICT)) <= 5

    def test_the_log_tells_the_whole_story(self, pipeline: Pipeline) -> None:
        instance_id = pipeline.start_draining()
        pipeline.advance(60)
        pipeline.fleet.shows(instance_id, EMPTY)
        until_released(pipeline, instance_id)
        told = [
            line.event
            for line in pipeline.telemetry.lines
            if line.fields.get("transition") == "terminating"
        ]
        assert told.count(LogEvent.BUFFER_VERDICT) >= 2
        assert list(dict.fromkeys(told)) == [
            LogEvent.LIFECYCLE_EVENT_RECEIVED,
            LogEvent.DEREGISTRATION_REQUESTED,
            LogEvent.CHECK_MESSAGE_ENQUEUED,
            LogEvent.OPERATION_PENDING,
            LogEvent.OPERATION_SUCCEEDED,
            LogEvent.BUFFER_VERDICT,
            LogEvent.OUTPUT_ERRORS_ROSE,  # the captures are of different days
            LogEvent.LIFECYCLE_ACTION_COMPLETED,
        ]
        first, *_, last = pipeline.telemetry.of(LogEvent.BUFFER_VERDICT)
        assert (first["verdict"], first["reason"]) == ("DRAINING", "staged")
        assert first["buffer_bytes"] == 87560
        assert first["not_before"] is not None
        assert (last["verdict"], last["buffer_bytes"]) == ("DRAINED", 0)
        assert last["not_before"] is None

    def test_many_instances_drain_side_by_side_with_one_request_a_batch(
        self, pipeline: Pipeline
    ) -> None:
        instance_ids = pipeline.start_fleet(12)
        pipeline.scale_to(2)
        leaving = [one for one in instance_ids if pipeline.state(one) != "InService"]
        for instance_id in leaving[:5]:
            pipeline.fleet.shows(instance_id, EMPTY)
        pipeline.until(lambda: len(pipeline.states()) == 7)
        assert {one for one in leaving if pipeline.state(one)} == set(leaving[5:])
        assert max(pipeline.batches) > 1
        assert len(pipeline.fleet.queries) == len(pipeline.batches)
        for instance_id in leaving[5:]:
            pipeline.fleet.shows(instance_id, EMPTY)
        pipeline.until(lambda: pipeline.states_are("InService", 2))
        assert sorted(pipeline.registered()) == sorted(pipeline.states())


class TestKeeping:
    def test_an_instance_that_still_receives_is_kept_though_its_gauges_are_zero(
        self, pipeline: Pipeline
    ) -> None:
        instance_id = pipeline.start_draining(EMPTY)
        counter = iter(range(1_000_000))
        sparse = changing("emit_records", lambda value, _scrape: value + next(counter), "out_fast")
        pipeline.fleet.shows(instance_id, EMPTY, sparse)
        pipeline.advance(300)
        assert pipeline.state(instance_id) == "Terminating:Wait"
        pipeline.fleet.shows(instance_id, EMPTY)
        until_released(pipeline, instance_id)

    @pytest.mark.parametrize("capture", [HOLDING, EMPTY])
    def test_an_instance_whose_exporter_died_is_kept_until_it_shows_again(
        self, pipeline: Pipeline, capture: str
    ) -> None:
        instance_id = pipeline.start_draining(capture)
        pipeline.fleet.loses_exporter(instance_id)
        pipeline.fleet.aggregators[instance_id].empty_since = None
        pipeline.advance(300)
        assert pipeline.state(instance_id) == "Terminating:Wait"
        pipeline.fleet.shows(instance_id, EMPTY)
        until_released(pipeline, instance_id)

    def test_nothing_is_released_while_prometheus_is_down(self, pipeline: Pipeline) -> None:
        instance_id = pipeline.start_draining(EMPTY)
        pipeline.fleet.failure = ConnectionError("refused")
        pipeline.advance(300)
        assert pipeline.state(instance_id) == "Terminating:Wait"
        assert pipeline.crashes == []
        lines = pipeline.telemetry.of(LogEvent.BUFFER_VERDICT)
        assert {line["reason"] for line in lines[-3:]} == {"prometheus_failed"}
        pipeline.fleet.failure = None
        until_released(pipeline, instance_id)

    @pytest.mark.parametrize(
        ("settings", "reason"),
        [
            ({"PROMETHEUS_EXPECTED_BUFFERED_OUTPUTS": "6"}, "too_few_series"),
            ({"PROMETHEUS_HEARTBEAT_PLUGIN_ID": "out_null"}, "heartbeat_stopped"),
            ({"PROMETHEUS_METRIC_PREFIX": "fluentbit_"}, "no_series"),
            ({"PROMETHEUS_INSTANCE_LABEL": "node"}, "no_series"),
        ],
    )
    def test_what_the_user_demands_on_top_keeps_it(
        self, pipeline: Pipeline, settings: dict[str, Any], reason: str
    ) -> None:
        pipeline.wire(lambda: pipeline.fleet, **settings)
        instance_id = pipeline.start_draining(EMPTY)
        pipeline.advance(300)
        assert pipeline.state(instance_id) == "Terminating:Wait"
        assert pipeline.telemetry.of(LogEvent.BUFFER_VERDICT)[-1]["reason"] == reason


class TestIdentification:
    @pytest.fixture
    def by_address(self, pipeline: Pipeline) -> Pipeline:
        pipeline.wire(
            lambda: pipeline.fleet,
            PROMETHEUS_IDENTIFY_BY="private_ip_address",
            PROMETHEUS_INSTANCE_LABEL="instance",
        )
        return pipeline

    def test_instances_can_be_told_apart_by_address_and_port(self, by_address: Pipeline) -> None:
        instance_ids = by_address.start_fleet(2)
        by_address.scale_to(0)
        by_address.fleet.shows(instance_ids[0], EMPTY)
        by_address.until(lambda: by_address.state(instance_ids[0]) is None)
        by_address.advance(300)
        assert by_address.state(instance_ids[1]) == "Terminating:Wait"
        assert all("instance=~" in query for query in by_address.fleet.queries)


class TestDuplicates:
    @pytest.mark.parametrize("later", [1, 10, 40, 70])
    def test_a_message_that_was_doubled_on_its_way_raises_no_alarm(
        self, pipeline: Pipeline, later: float
    ) -> None:
        instance_id = pipeline.start_draining()
        [body] = pipeline.bodies("buffer")
        pipeline.advance(later)
        pipeline.send("buffer", body)
        pipeline.advance(100)
        pipeline.fleet.shows(instance_id, EMPTY)
        until_released(pipeline, instance_id)
        pipeline.advance(300)
        assert pipeline.is_quiet()
        assert pipeline.telemetry.total(Metric.LIFECYCLE_ACTION_EXPIRED) == 0
        assert LogEvent.LIFECYCLE_ACTION_ALREADY_ENDED in pipeline.telemetry.events

    def test_an_event_that_comes_again_long_after_the_release_raises_no_alarm(
        self, pipeline: Pipeline
    ) -> None:
        # By then Prometheus has forgotten the instance; its state tag has not.
        instance_id = pipeline.start_draining(EMPTY)
        until_released(pipeline, instance_id)
        pipeline.advance(120)
        pipeline.receive_event(pipeline.world.lifecycle_events[-1])
        pipeline.advance(300)
        assert pipeline.is_quiet()
        assert pipeline.telemetry.total(Metric.LIFECYCLE_ACTION_EXPIRED) == 0


class TestDiscovery:
    def test_an_instance_that_was_never_registered_is_drained_all_the_same(
        self, pipeline: Pipeline
    ) -> None:
        pipeline.alter = lambda event: terminate_event(AutoScalingGroupName="another")
        pipeline.create_group(1)
        pipeline.advance(10)
        pipeline.complete(next(iter(pipeline.states())), "CONTINUE", hook=LAUNCH_HOOK)
        [instance_id] = pipeline.states()
        pipeline.alter = lambda event: event
        pipeline.scale_to(0)
        pipeline.advance(60)
        assert pipeline.state(instance_id) == "Terminating:Wait"
        line = pipeline.telemetry.the(LogEvent.DEREGISTRATION_REQUESTED)
        assert line["operation_id"] is None
        pipeline.fleet.shows(instance_id, EMPTY)
        until_released(pipeline, instance_id)

    def test_the_window_starts_after_a_slow_deregistration_not_before(
        self, pipeline: Pipeline
    ) -> None:
        [instance_id] = pipeline.start_fleet()
        pipeline.fleet.shows(instance_id, EMPTY)
        pipeline.world.faults.operation_seconds = 300
        pipeline.scale_to(0)
        released_at = until_released(pipeline, instance_id)
        [deregistered] = pipeline.journal(instance_id, "deregistered")
        assert released_at >= deregistered["at"] + SETTLE + EMPTY_FOR

    def test_an_instance_that_an_operator_registered_again_is_taken_out_again(
        self, pipeline: Pipeline
    ) -> None:
        instance_id = pipeline.start_draining(EMPTY)
        pipeline.register(instance_id)
        registered_at = pipeline.clock()
        released_at = until_released(pipeline, instance_id)
        assert pipeline.telemetry.the(LogEvent.STILL_REGISTERED)["instance_id"] == instance_id
        # Forwarders may have found it again: the whole wait begins anew.
        assert released_at >= registered_at + SETTLE + EMPTY_FOR
        assert pipeline.registered() == {}

    def test_an_instance_that_is_registered_again_and_again_is_dead_lettered(
        self, pipeline: Pipeline
    ) -> None:
        instance_id = pipeline.start_draining(EMPTY)
        while pipeline.waiting("operation-dlq") == 0:
            if not pipeline.registered():
                pipeline.register(instance_id)
            pipeline.advance(5)
        assert pipeline.state(instance_id) == "Terminating:Wait"
        assert len(pipeline.telemetry.of(LogEvent.STILL_REGISTERED)) == 4
        assert len(pipeline.journal(instance_id, "deregistered")) == 4
        [(_, reason)] = pipeline.dead_letters("operation")
        assert "Cloud Map did not do it" in reason
        assert pipeline.redrive("operation") == 1
        until_released(pipeline, instance_id)


class TestEarlierLives:
    def test_the_token_of_an_earlier_life_cannot_release_an_instance(
        self, pipeline: Pipeline
    ) -> None:
        instance_id = pipeline.start_draining()
        [message] = pipeline.take_all("buffer")
        old = json.loads(message)
        old["action"]["lifecycle_action_token"] = 36 * "0"
        old["deregistered_at"] -= 3600
        pipeline.send("buffer", json.dumps(old))
        pipeline.fleet.shows(instance_id, EMPTY)
        pipeline.fleet.aggregators[instance_id].empty_since = None  # no release is right
        pipeline.advance(HEARTBEAT_TIMEOUT - 60)
        assert pipeline.state(instance_id) == "Terminating:Wait"
        assert len(pipeline.journal(instance_id, "completed")) == 1  # its launch
