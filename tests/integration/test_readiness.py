"""Registered means listening: Prometheus decides when forwarders learn of a launch.

Instances boot for 5 to 30 s, and each scrape fails until then. On moto: what is decided here
follows from the samples alone, and how Prometheus finds targets shows only in when it has some.
"""

from collections.abc import Callable

import pytest

from lifecycle.telemetry import LogEvent, Metric
from tests.support.fleet import HOLDING
from tests.support.functions import Invoking
from tests.support.histories import START
from tests.support.pipeline import Pipeline

UNKNOWN = 300
BOOT = (5, 12, 20, 30)


@pytest.fixture
def ready(pipeline: Pipeline) -> Pipeline:
    """A fleet whose launches are registered once they are ready."""
    pipeline.stages = ("operation", "buffer")
    pipeline.wire(
        lambda: pipeline.fleet, READINESS="metrics", READINESS_UNKNOWN_SECONDS=str(UNKNOWN)
    )
    return pipeline


def boots(pipeline: Pipeline, happens: Callable[[str], None]) -> None:
    """From now on this becomes of each launch, in place of a Fluentd that runs at once."""
    launch = pipeline.fleet.launch

    def launched(instance_id: str, address: str) -> None:
        launch(instance_id, address)
        happens(instance_id)

    pipeline.fleet.launch = launched  # type: ignore[method-assign, assignment]


def booting(pipeline: Pipeline, listens_at: dict[str, float]) -> None:
    """Let each launch boot, one longer than the other."""

    def boot(instance_id: str) -> None:
        pipeline.fleet.loses_exporter(instance_id)
        seconds = BOOT[len(listens_at) % len(BOOT)]
        listens_at[instance_id] = pipeline.clock() + seconds
        pipeline.world.call_at(
            listens_at[instance_id], lambda: pipeline.fleet.shows(instance_id, HOLDING)
        )

    boots(pipeline, boot)


def registered_at(pipeline: Pipeline, instance_id: str) -> float:
    [registered, *_] = pipeline.journal(instance_id, "registered")
    return float(registered["at"])


def unchecked(pipeline: Pipeline) -> float:
    return pipeline.telemetry.total(Metric.READINESS_UNKNOWN)


@pytest.mark.parametrize("size", [1, 4])
def test_a_fleet_that_boots_is_registered_when_it_listens(ready: Pipeline, size: int) -> None:
    listens_at: dict[str, float] = {}
    booting(ready, listens_at)
    ready.create_group(size)  # the first one of an empty fleet has no predecessor to wait for
    ready.until(lambda: ready.states_are("InService", size), within=120)
    assert len(listens_at) == size
    for instance_id, at in listens_at.items():
        assert at <= registered_at(ready, instance_id) <= at + 60
    assert unchecked(ready) == 0
    assert (ready.crashes, ready.is_quiet()) == ([], True)


def test_prometheus_is_down_while_the_fleet_grows_from_1_to_8(ready: Pipeline) -> None:
    ready.start_fleet(1)
    ready.fleet.failure = OSError("connection refused")
    ready.scale_to(8)
    ready.advance(UNKNOWN - 30)
    assert list(ready.states().values()).count("InService") == 1
    ready.until(lambda: ready.states_are("InService", 8), within=120)
    assert len(ready.registered()) == 8
    assert unchecked(ready) == 7
    assert ready.waiting("operation-dlq") == 0


def test_targets_found_by_dns_sd_leave_each_launch_unknown(ready: Pipeline) -> None:
    """Through Cloud Map Prometheus finds a target once it is registered, never before."""
    boots(ready, ready.fleet.loses_target)
    ready.create_group(3)

    def are_in_service() -> bool:
        for instance_id in ready.registered():
            ready.fleet.shows(instance_id, HOLDING)
        return ready.states_are("InService", 3)

    ready.until(are_in_service, within=UNKNOWN + 60)
    assert all(registered_at(ready, one) >= START + UNKNOWN for one in ready.states())
    assert unchecked(ready) == 3
    assert (ready.waiting("operation-dlq"), ready.crashes) == (0, [])


@pytest.mark.parametrize("invoking", [Invoking.DEAD, Invoking.SLOW, Invoking.ANOTHER_INSTANCE])
def test_an_evidence_function_that_fails_is_unknown(ready: Pipeline, invoking: Invoking) -> None:
    ready.evidence.invoking = invoking
    ready.create_group(1)
    ready.until(lambda: ready.states_are("InService", 1), within=UNKNOWN + 180)
    assert unchecked(ready) == 1


def test_one_that_is_never_ready_pages_and_is_left_to_its_hook(ready: Pipeline) -> None:
    boots(ready, ready.fleet.loses_exporter)
    ready.create_group(1)
    ready.until(lambda: ready.waiting("operation-dlq") == 1, within=1200)
    assert not ready.registered()
    assert ready.states_are("Pending:Wait", 1)
    assert ready.telemetry.total(Metric.CHECK_MESSAGE_DEAD_LETTERED) == 1
    [letter] = ready.telemetry.of(LogEvent.CHECK_MESSAGE_DEAD_LETTERED)
    assert "DOWN (not_ready)" in str(letter["reason"])
    assert unchecked(ready) == 0


def test_one_that_is_terminated_while_it_boots_is_forgotten_without_a_page(ready: Pipeline) -> None:
    boots(ready, ready.fleet.loses_exporter)
    ready.create_group(1)
    ready.advance(60)
    ready.scale_to(0)
    ready.advance(60)
    assert ready.waiting("operation-dlq") == 0
    assert not ready.registered()
    assert not ready.telemetry.of(LogEvent.CHECK_MESSAGE_DEAD_LETTERED)


def test_a_message_of_before_the_upgrade_needs_no_readiness(ready: Pipeline) -> None:
    boots(ready, ready.fleet.loses_exporter)
    ready.wire(lambda: ready.fleet)  # the handler of before: it registers at once
    before = ready.handler
    ready.wire(lambda: ready.fleet, READINESS="metrics", READINESS_UNKNOWN_SECONDS=str(UNKNOWN))
    ready.handler = before
    ready.create_group(1)
    ready.until(lambda: ready.states_are("InService", 1), within=60)
