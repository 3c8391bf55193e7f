"""The exposition is that of real Fluentd, held against captures of it."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from sandbox.fleet.fluentd.backoff import BackoffPolicy
from sandbox.fleet.fluentd.monitor import OutputSample, render
from sandbox.fleet.fluentd.output import Counters, Output
from sandbox.fleet.fluentd.sampling import MonitorTimer, sample_output, sample_unbuffered
from tests.sandbox.fleet.kit import BufferKit, FakeDestination, batch

CAPTURES = Path(__file__).parents[3] / "fixtures" / "fluentd-metrics"
RENDERED = {"01", "02", "03", "04", "05", "06", "10"}
SAMPLE = re.compile(
    r'fluentd_(?P<output>output_)?status_(?P<family>\w+)\{hostname="vm",'
    r'(?:worker_id="0",)?plugin_id="(?P<id>[^"]+)",(?:plugin_category="output",)?'
    r'type="(?P<type>\w+)"\} (?P<value>\S+)'
)


def captured(name: str) -> str:
    return (CAPTURES / name).read_text()


def samples_in(text: str) -> list[OutputSample]:
    values: dict[tuple[str, str], dict[str, float]] = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            match = SAMPLE.fullmatch(line)
            assert match, line
            plugin = values.setdefault((match["id"], match["type"]), {})
            plugin[match["family"]] = float(match["value"])
    # The order of the outputs in the configuration, which `retry_count` shows in full.
    order = re.findall(r'fluentd_output_status_retry_count\{.*plugin_id="([^"]+)"', text)
    ordered = sorted(values.items(), key=lambda item: order.index(item[0][0]))
    return [OutputSample(name, kind, plugin) for (name, kind), plugin in ordered]


def captured_sample(name: str, plugin_id: str) -> OutputSample:
    return next(one for one in samples_in(captured(name)) if one.plugin_id == plugin_id)


def output_of(kit: BufferKit, destination: FakeDestination) -> Output:
    return Output(kit.open(), destination, BackoffPolicy(), clock=kit.clock)


def pattern(values: Mapping[str, float]) -> dict[str, bool]:
    """Which of the buffer's gauges show anything."""
    return {name: values[name] != 0 for name in values if name.startswith("buffer_")}


@pytest.mark.parametrize(
    "name",
    [
        *(path.name for path in sorted(CAPTURES.glob("0[1-6]*.prom"))),
        "10-unrecoverable-backup.prom",
    ],
)
def test_values_of_a_capture_are_rendered_to_the_bytes_of_that_capture(name: str) -> None:
    text = captured(name)
    assert render("vm", samples_in(text)) == text


def test_before_the_first_tick_there_are_families_without_samples(kit: BufferKit) -> None:
    output = output_of(kit, FakeDestination())
    output.emit(batch(5))
    timer = MonitorTimer("vm", 5.0, lambda: [sample_output(output, "out_fast", "http")])
    assert timer.text == captured("00-first-scrape-within-5s.prom")
    timer.tick()
    assert 'fluentd_output_status_buffer_stage_length{hostname="vm",worker_id="0"' in timer.text


def test_the_heartbeat_shows_the_families_that_the_captured_null_output_shows() -> None:
    sample = sample_unbuffered(Counters(emit_count=3, emit_records=3), "out_null", "null")
    expected = captured_sample("02-steady-ok.prom", "out_null")
    assert sample.values == expected.values


def test_a_chunk_in_flight_shows_in_the_two_byte_sizes_only(kit: BufferKit) -> None:
    seen: list[OutputSample] = []
    destination = FakeDestination()
    output = output_of(kit, destination)
    destination.watch = lambda: seen.append(sample_output(output, "out_fast", "http"))
    output.emit(batch(5))
    output.flush()
    assert output.write_next()
    expected = captured_sample("04b-last-chunk-in-flight.prom", "out_fast")
    [sample] = seen
    assert pattern(sample.values) == pattern(expected.values)
    assert sample.values["buffer_total_bytes"] == len(batch(5).entries)
    assert sample.values["buffer_queue_byte_size"] == len(batch(5).entries)


def test_after_the_last_chunk_every_gauge_is_as_in_the_drained_capture(kit: BufferKit) -> None:
    output = output_of(kit, FakeDestination())
    output.emit(batch(5))
    output.flush()
    assert output.write_next()
    expected = captured_sample("05-drained.prom", "out_fast")
    assert pattern(sample_output(output, "out_fast", "http").values) == pattern(expected.values)


def test_with_the_destination_down_staged_and_queued_show_as_captured(kit: BufferKit) -> None:
    destination = FakeDestination()
    destination.refuse()
    output = output_of(kit, destination)
    output.emit(batch(5))
    output.flush()
    output.write_next()
    output.emit(batch(5))
    expected = captured_sample("03-dest-down.prom", "out_fast")
    values = sample_output(output, "out_fast", "http").values
    assert pattern(values) == pattern(expected.values)
    assert values["num_errors"] == values["rollback_count"] == values["retry_count"] == 1
    assert values["retry_wait"] > 0
