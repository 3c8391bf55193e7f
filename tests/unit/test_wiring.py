"""Which parts a function is made of, by its settings."""

import pytest

from handlers.interruption import wire as wire_interruption_handler
from handlers.lifecycle import wire
from lifecycle.errors import ConfigurationError
from lifecycle.flows.flush import FlushWaiter
from lifecycle.flows.operation import OperationWaiter
from lifecycle.flows.stage import Discovery, NextStage
from lifecycle.messages import BufferCheck, FlushCheck
from lifecycle.settings import FleetSettings, FlushWaiterSettings, load_settings
from lifecycle.telemetry import LogEvent, Runtime
from lifecycle.wiring import Parts, settings_of
from tests.support import environments
from tests.support.recording import RecordingTelemetry
from waiters.buffer import wire as wire_buffer_waiter
from waiters.flush import wire as wire_flush_waiter
from waiters.operation import wire as wire_operation_waiter

STAGE_URL = "https://sqs/stage"
RUNTIME = Runtime(RecordingTelemetry())
pytestmark = pytest.mark.usefixtures("service", "aws_environment")


def test_wrong_settings_are_logged_before_they_are_raised() -> None:
    telemetry = RecordingTelemetry()
    with pytest.raises(ConfigurationError):
        settings_of(FlushWaiterSettings, {}, Runtime(telemetry))
    assert "SETTLE_SECONDS: is missing" in str(
        telemetry.the(LogEvent.CONFIGURATION_INVALID)["reason"]
    )


def test_a_stage_polls_as_its_settings_say() -> None:
    polls = wire_flush_waiter(environments.flush_waiter(), RUNTIME).polls
    assert (polls.interval_seconds, polls.longest_interval_seconds) == (15, 120)
    assert polls.timeout_seconds == 3600


def test_no_change_falls_between_the_samples_of_two_questions() -> None:
    window = {"EMPTY_FOR_SECONDS": "45", "PROMETHEUS_SCRAPE_INTERVAL_SECONDS": "15"}
    polls = wire_buffer_waiter(environments.buffer_waiter(**window), RUNTIME).polls
    assert polls.longest_interval_seconds == 45 + 2 * 15  # not 120


@pytest.mark.parametrize("allow_empty", [True, False])
def test_the_guard_of_the_last_aggregator_is_the_one_of_the_settings(*, allow_empty: bool) -> None:
    environment = environments.lifecycle_handler(ALLOW_EMPTY_SERVICE=str(allow_empty).lower())
    discovery = discovery_from(environment)
    assert discovery is not None
    assert discovery.placement.allow_empty is allow_empty


def test_a_fleet_that_is_not_in_cloud_map_has_no_discovery() -> None:
    assert discovery_from(environments.without_cloud_map(environments.flush_waiter())) is None


def discovery_from(environment: dict[str, str]) -> Discovery | None:
    settings = load_settings(FleetSettings, environment)
    return Parts(settings, RUNTIME).discovery


@pytest.mark.parametrize(
    ("urls", "model"),
    [
        (["FLUSH_QUEUE_URL"], FlushCheck),
        (["BUFFER_QUEUE_URL"], BufferCheck),
        (["BUFFER_QUEUE_URL", "FLUSH_QUEUE_URL"], FlushCheck),
    ],
)
def test_flush_comes_before_buffer(
    urls: list[str], model: type[FlushCheck] | type[BufferCheck]
) -> None:
    environment = environments.without_cloud_map(environments.lifecycle_handler())
    wired = wire({**environment, **dict.fromkeys(urls, STAGE_URL)}, RUNTIME)
    assert isinstance(wired.entrance.start, NextStage)
    assert wired.entrance.start.model is model
    environment = environments.operation_waiter()
    del environment["BUFFER_QUEUE_URL"]
    waiter = wire_operation_waiter(
        {**environment, **dict.fromkeys(urls, STAGE_URL)}, RUNTIME
    ).waiter
    assert isinstance(waiter, OperationWaiter)
    assert waiter.next_stage.model is model


def test_a_fleet_in_cloud_map_starts_there() -> None:
    assert isinstance(wire(environments.lifecycle_handler(), RUNTIME).entrance.start, Discovery)


@pytest.mark.parametrize("in_cloud_map", [True, False])
@pytest.mark.parametrize("prometheus", [True, False])
def test_the_flush_waiter_knows_the_stage_after_it_and_the_one_to_go_back_to(
    *, in_cloud_map: bool, prometheus: bool
) -> None:
    environment = environments.flush_waiter()
    if not in_cloud_map:
        environment = environments.without_cloud_map(environment)
    if prometheus:
        environment["BUFFER_QUEUE_URL"] = STAGE_URL
    waiter = wire_flush_waiter(environment, RUNTIME).waiter
    assert isinstance(waiter, FlushWaiter)
    assert (waiter.exit.discovery is not None) == in_cloud_map
    assert (waiter.exit.next_stage is not None) == prometheus
    if waiter.exit.next_stage is not None:
        assert waiter.exit.next_stage.model is BufferCheck
    assert waiter.run_command.document_name == "pipeline-flush"
    assert waiter.run_command.delivery_timeout_seconds == 60


def test_the_interruption_handler_takes_out_and_flushes_where_the_fleet_is_configured_so() -> None:
    ends = wire_interruption_handler(environments.interruption(), RUNTIME).ends
    assert ends.discovery is not None
    assert ends.run_command is not None
    bare = environments.without_cloud_map(environments.interruption())
    bare = {name: value for name, value in bare.items() if not name.startswith("FLUSH_")}
    ends = wire_interruption_handler(bare, RUNTIME).ends
    assert (ends.discovery, ends.run_command) == (None, None)
