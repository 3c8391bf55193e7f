"""The exporter's ways of failing are those seen with real Fluentd."""

import itertools
from collections.abc import Iterator

import pytest

from sandbox.fleet.fluentd.exporter import Exporter, ExporterMode
from sandbox.fleet.fluentd.monitor import OutputSample
from sandbox.fleet.fluentd.sampling import MonitorTimer
from sandbox.host.http import request
from sandbox.host.ports import free_port


class Scrape:
    """An exporter whose one value counts the ticks, and a look at it."""

    def __init__(self) -> None:
        counter = itertools.count(1)
        self.timer = MonitorTimer(
            "vm", 3600, lambda: [OutputSample("out", "s3", {"emit_count": next(counter)})]
        )
        self.port = free_port()
        self.exporter = Exporter("127.0.0.1", self.port, self.timer)
        self.exporter.start()

    def value(self, timeout: float = 10.0) -> float:
        self.timer.tick()
        text = request("GET", f"http://127.0.0.1:{self.port}/metrics", timeout=timeout)
        [line] = [line for line in text.splitlines() if not line.startswith("#")]
        return float(line.rsplit(" ", 1)[1])


@pytest.fixture
def scrape() -> Iterator[Scrape]:
    scrape = Scrape()
    yield scrape
    scrape.exporter.behave(ExporterMode.OK)
    scrape.exporter.stop()


def test_a_dead_exporter_refuses_connections(scrape: Scrape) -> None:
    scrape.exporter.behave(ExporterMode.DEAD)
    with pytest.raises(OSError, match="Connection refused"):
        scrape.value()


def test_a_hung_exporter_accepts_and_never_answers(scrape: Scrape) -> None:
    scrape.exporter.behave(ExporterMode.HUNG)
    with pytest.raises(TimeoutError):
        scrape.value(timeout=0.5)


def test_a_frozen_exporter_answers_with_the_value_it_had(scrape: Scrape) -> None:
    assert scrape.value() == 1
    scrape.exporter.behave(ExporterMode.FROZEN)
    assert (scrape.value(), scrape.value()) == (1, 1)


@pytest.mark.parametrize("mode", list(ExporterMode))
def test_whatever_it_did_it_comes_back_with_fresh_values(
    scrape: Scrape, mode: ExporterMode
) -> None:
    scrape.value()
    scrape.exporter.behave(mode)
    scrape.exporter.behave(ExporterMode.OK)
    assert scrape.value() < scrape.value()
