"""From scale-in to release with the flush stage: no instance ends with a chunk on its disk.

The pipeline fixture checks in every test that no instance is released with chunks, with records
still coming, without a flush or while registered.
"""

import json
from typing import Literal

import pytest

from lifecycle.telemetry import LogEvent, Metric
from tests.support.fleet import EMPTY
from tests.support.machines import Machine
from tests.support.pipeline import DRAIN_TIMEOUT, HEARTBEAT_TIMEOUT, SETTLE, Pipeline

ALL = ("operation", "flush", "buffer")
FLUSH_LAST = ("operation", "flush")
FLUSH_ALONE = ("flush",)
FLUSH_AND_BUFFER = ("flush", "buffer")
BUFFER_ALONE = ("buffer",)
WITHOUT_FLUSH = ("operation", "buffer")
COMBINATIONS = [ALL, FLUSH_LAST, FLUSH_ALONE, FLUSH_AND_BUFFER, BUFFER_ALONE, WITHOUT_FLUSH]


def deploy(pipeline: Pipeline, stages: tuple[str, ...], **settings: str) -> None:
    """Deploy the functions of these stages; without Cloud Map no forwarder has to stop sending."""
    settle = {} if "operation" in stages else {"SETTLE_SECONDS": "0"}
    pipeline.stages = stages
    pipeline.wire(lambda: pipeline.fleet, **settle, **settings)


def scale_in(pipeline: Pipeline, machine: Machine | None = None) -> str:
    """Scale a group of one in; returns the instance."""
    [instance_id] = pipeline.start_fleet()
    if machine is not None:
        pipeline.machines.machines[instance_id] = machine
    if "buffer" in pipeline.stages:
        pipeline.fleet.shows(instance_id, EMPTY)
    pipeline.scale_to(0)
    return instance_id


def until_released(pipeline: Pipeline, instance_id: str, within: float = 600) -> float:
    """Let time pass until the instance is gone; returns when that was."""
    pipeline.until(lambda: pipeline.state(instance_id) is None, within)
    *_, released = pipeline.journal(instance_id, "completed")
    assert released["result"] == "CONTINUE"
    assert pipeline.crashes == []
    return float(released["at"])


def reasons(pipeline: Pipeline) -> list[object]:
    """The reasons of the flush verdicts, each once, in order."""
    told = pipeline.telemetry.of(LogEvent.FLUSH_VERDICT)
    return list(dict.fromkeys(line["reason"] for line in told))


class TestCombinations:
    @pytest.mark.parametrize("stages", COMBINATIONS, ids="+".join)
    def test_every_combination_releases_and_leaves_nothing_behind(
        self, pipeline: Pipeline, stages: tuple[str, ...]
    ) -> None:
        deploy(pipeline, stages)
        instance_id = scale_in(pipeline)
        until_released(pipeline, instance_id)
        pipeline.advance(120)
        assert pipeline.is_quiet()
        enqueued = pipeline.telemetry.of(LogEvent.CHECK_MESSAGE_ENQUEUED)
        passed = [line["stage"] for line in enqueued if line["transition"] == "terminating"]
        assert passed == list(stages)
        launched = 1 if "operation" in stages else 0
        assert pipeline.telemetry.total(Metric.LIFECYCLE_ACTION_COMPLETED) == launched + 1
        assert pipeline.telemetry.total(Metric.LIFECYCLE_ACTION_EXPIRED) == 0

    def test_the_flush_waits_for_forwarders_and_then_not_much_longer(
        self, pipeline: Pipeline
    ) -> None:
        deploy(pipeline, FLUSH_LAST)
        instance_id = scale_in(pipeline)
        released_at = until_released(pipeline, instance_id)
        [deregistered] = pipeline.journal(instance_id, "deregistered")
        [signalled_at] = pipeline.machines.signals_of(instance_id)
        assert SETTLE <= signalled_at - deregistered["at"] <= SETTLE + 20
        assert released_at - signalled_at <= 10

    def test_without_cloud_map_a_release_takes_no_longer_than_a_flush(
        self, pipeline: Pipeline
    ) -> None:
        deploy(pipeline, FLUSH_ALONE)
        instance_id = scale_in(pipeline)
        [waited] = pipeline.journal(instance_id, "terminating_wait")
        assert until_released(pipeline, instance_id) - waited["at"] <= 20
        assert pipeline.registrations(instance_id) == []

    def test_without_cloud_map_launches_do_not_wait(self, pipeline: Pipeline) -> None:
        deploy(pipeline, FLUSH_ALONE)
        pipeline.create_group(3)
        assert pipeline.states_are("InService", 3)
        assert pipeline.world.lifecycle_events == []


class TestKeeping:
    @pytest.mark.parametrize("stages", [ALL, FLUSH_ALONE], ids="+".join)
    def test_an_agent_that_is_off_for_a_while_is_waited_for(
        self, pipeline: Pipeline, stages: tuple[str, ...]
    ) -> None:
        deploy(pipeline, stages)
        pipeline.world.faults.agents_off = ["*"]
        instance_id = scale_in(pipeline)
        pipeline.advance(HEARTBEAT_TIMEOUT * 1.5)
        assert pipeline.state(instance_id) == "Terminating:Wait"
        assert reasons(pipeline) == ["agent_not_reachable"]
        assert pipeline.crashes == []
        pipeline.world.faults.agents_off = []
        until_released(pipeline, instance_id)

    def test_a_destination_that_is_down_keeps_it_until_it_is_back(self, pipeline: Pipeline) -> None:
        deploy(pipeline, ALL)
        machine = Machine(chunks=5, retry_next_at=pipeline.clock() + 100_000)
        instance_id = scale_in(pipeline, machine)
        pipeline.advance(HEARTBEAT_TIMEOUT * 1.5)
        assert pipeline.state(instance_id) == "Terminating:Wait"
        assert reasons(pipeline) == ["retrying"]
        looks = len(pipeline.machines.signals_of(instance_id))
        # No more often than the longest interval, a sixth of the hook's timeout.
        assert looks <= 1.5 * 6 + 1
        line = pipeline.telemetry.of(LogEvent.FLUSH_VERDICT)[-1]
        assert (line["verdict"], line["chunks"], line["bytes"]) == ("REMAINING", 5, 5000)
        machine.retry_next_at = None
        until_released(pipeline, instance_id)
        assert machine.chunks == 0

    def test_the_next_poll_comes_right_after_fluentds_own_retry(self, pipeline: Pipeline) -> None:
        deploy(pipeline, FLUSH_ALONE)
        machine = Machine(retry_next_at=pipeline.clock() + 40)
        instance_id = scale_in(pipeline, machine)
        pipeline.until(lambda: bool(pipeline.telemetry.of(LogEvent.FLUSH_VERDICT)))
        assert machine.retry_next_at is not None
        retried_at, machine.retry_next_at = machine.retry_next_at, None
        released_at = until_released(pipeline, instance_id)
        assert retried_at <= pipeline.machines.signals_of(instance_id)[-1] <= released_at
        assert released_at - retried_at <= 20

    @pytest.mark.parametrize("action", ["SendCommand", "GetCommandInvocation"])
    @pytest.mark.parametrize("moment", ["before", "after"])
    @pytest.mark.parametrize("code", ["ThrottlingException", "InternalServerError"])
    def test_ssm_on_a_bad_day_loses_nothing(
        self, pipeline: Pipeline, action: str, moment: Literal["before", "after"], code: str
    ) -> None:
        deploy(pipeline, FLUSH_ALONE)
        pipeline.world.faults.fail_calls(action, code, times=20, moment=moment)
        instance_id = scale_in(pipeline)
        until_released(pipeline, instance_id, within=900)
        assert pipeline.is_quiet()


class TestTimingOut:
    @pytest.mark.parametrize("stages", [ALL, FLUSH_ALONE], ids="+".join)
    def test_a_backed_up_chunk_pages_at_once(
        self, pipeline: Pipeline, stages: tuple[str, ...]
    ) -> None:
        deploy(pipeline, stages)
        machine = Machine(set_aside=1)
        instance_id = scale_in(pipeline, machine)
        pipeline.until(lambda: pipeline.waiting("flush-dlq") == 1, within=SETTLE + 60)
        timed_out_at = pipeline.clock()
        assert pipeline.waiting("flush") == 0
        [(body, reason)] = pipeline.dead_letters("flush")
        assert reason == "1 backed-up chunks: they would die with the instance"
        assert json.loads(body)["stage"] == "flush"
        beats = pipeline.journal(instance_id, "heartbeat")
        assert timed_out_at - beats[-1]["at"] <= 10
        pipeline.advance(HEARTBEAT_TIMEOUT / 2)
        assert pipeline.state(instance_id) == "Terminating:Wait"
        # A redrive before the chunk is rescued comes straight back; after it, it releases.
        pipeline.redrive("flush")
        pipeline.until(lambda: pipeline.waiting("flush-dlq") == 1)
        machine.set_aside = 0
        pipeline.redrive("flush")
        until_released(pipeline, instance_id)

    def test_a_flush_that_takes_too_long_is_dead_lettered_and_a_redrive_resumes(
        self, pipeline: Pipeline
    ) -> None:
        deploy(pipeline, FLUSH_LAST)
        machine = Machine(is_running=False)
        instance_id = scale_in(pipeline, machine)
        pipeline.until(
            lambda: pipeline.waiting("flush-dlq") == 1, within=SETTLE + DRAIN_TIMEOUT + 200
        )
        [(_, reason)] = pipeline.dead_letters("flush")
        assert reason.startswith("not done after ")
        assert "UNKNOWN (not_signalled): 3 chunk files (3000 bytes)" in reason
        assert pipeline.state(instance_id) == "Terminating:Wait"
        machine.is_running = True
        pipeline.redrive("flush")
        until_released(pipeline, instance_id)


class TestTwice:
    @pytest.mark.parametrize("stages", COMBINATIONS, ids="+".join)
    def test_events_and_messages_that_come_twice_release_once(
        self, pipeline: Pipeline, stages: tuple[str, ...]
    ) -> None:
        deploy(pipeline, stages)
        pipeline.copies = 2
        # As on AWS: an instance that was released does not vanish at that moment.
        pipeline.world.faults.proceed_seconds = 120
        instance_id = scale_in(pipeline)
        until_released(pipeline, instance_id)
        pipeline.advance(300)
        assert pipeline.is_quiet()
        released = [
            one
            for one in pipeline.journal(instance_id, "completed")
            if one["lifecycle_hook_name"] == "pipeline-terminate"
        ]
        assert len(released) == 1
        assert (pipeline.crashes, pipeline.given_up) == ([], [])
        assert pipeline.telemetry.total(Metric.LIFECYCLE_ACTION_EXPIRED) == 0
        assert pipeline.telemetry.total(Metric.DRAIN_SECONDS) > 0
        assert not [queue for queue in stages if pipeline.waiting(f"{queue}-dlq")]

    def test_one_that_an_operator_registered_again_is_taken_out_and_flushed_again(
        self, pipeline: Pipeline
    ) -> None:
        deploy(pipeline, FLUSH_LAST)
        instance_id = scale_in(pipeline)
        pipeline.until(lambda: pipeline.waiting("flush") == 1)
        pipeline.request_registration(instance_id)
        until_released(pipeline, instance_id)
        assert pipeline.telemetry.the(LogEvent.STILL_REGISTERED)["instance_id"] == instance_id
        assert len(pipeline.machines.signals_of(instance_id)) == 2
        assert pipeline.registered() == {}
