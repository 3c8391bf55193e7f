"""The aggregator as a process: real sockets, real files, real signals, objects in S3."""

import re
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from sandbox.fleet.accounting import DeliveredLines, Delivery
from sandbox.fleet.fluentd.aggregator import AggregatorSettings
from sandbox.fleet.fluentd.backoff import BackoffPolicy
from sandbox.fleet.fluentd.buffer import StagingPolicy
from sandbox.fleet.fluentd.destination import DestinationMode
from sandbox.fleet.fluentd.protocol import pack_message, unpack_acknowledgement
from sandbox.fleet.host import AggregatorHost
from sandbox.host.http import request
from sandbox.host.ports import held_subnet
from sandbox.host.processes import Processes, clean_environment
from tests.sandbox.fleet.kit import PROJECT, create_bucket, entries, wait_until


@dataclass
class Site:
    """One aggregator on an address of its own, and the bucket behind it."""

    host: AggregatorHost
    settings: AggregatorSettings
    s3: Any

    def send(self, count: int, first: int = 1) -> None:
        """Send lines as a forwarder does, and insist on the acknowledgement."""
        address = (self.settings.address, self.settings.forward_port)
        wait_until(lambda: _connects(address))
        with socket.create_connection(address, 5) as connection:
            connection.settimeout(10)
            connection.sendall(pack_message("tag", entries(count, first=first), count, "c"))
            assert unpack_acknowledgement(connection.recv(4096)) == "c"

    def delivered(self, sent: int) -> Delivery:
        lines = DeliveredLines(self.s3, self.settings.bucket)
        return lines.compare(lambda: {"forwarder-01": sent})

    def gauges(self, plugin_id: str = "out_s3") -> dict[str, float]:
        """The values of one scrape: none before the first tick of the monitor."""
        url = f"http://{self.settings.address}:{self.settings.exporter_port}/metrics"
        found = re.findall(
            rf'^fluentd_output_status_(\w+)\{{.*plugin_id="{plugin_id}".*\}} (\S+)$',
            request("GET", url),
            re.MULTILINE,
        )
        return {name: float(value) for name, value in found}

    def held_lines(self) -> int | None:
        state = self.host.history.latest()
        return state.lines if state else None


def _connects(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, 1).close()
    except OSError:
        return False
    return True


@pytest.fixture
def site(aws_environment: dict[str, str], tmp_path: Path) -> Iterator[Site]:
    s3 = boto3.client("s3")
    with held_subnet() as subnet, Processes(tmp_path / "logs") as processes:
        settings = AggregatorSettings(
            address=str(subnet[5]),
            root_directory=tmp_path / "i-1",
            bucket=create_bucket(s3),
            prefix="i-1/",
            source="i-1",
            monitor_interval_seconds=0.2,
            # Nothing is flushed unless a test says so.
            staging=StagingPolicy(flush_interval_seconds=3600),
            backoff=BackoffPolicy(first_wait_seconds=0.5, longest_wait_seconds=1.0),
        )
        environment = {**clean_environment(), "PYTHONPATH": str(PROJECT), **aws_environment}
        site = Site(AggregatorHost(settings, processes, environment), settings, s3)
        site.host.start()
        yield site


def test_lines_that_were_acknowledged_are_in_s3_after_sigusr1(site: Site) -> None:
    site.send(200)
    site.send(300, first=201)
    assert site.held_lines() == 500
    site.host.signal(signal.SIGUSR1)
    wait_until(lambda: site.held_lines() == 0)
    delivery = site.delivered(sent=500)
    assert (delivery.lost, delivery.duplicated, delivery.damaged) == (0, 0, 0)


def test_a_process_that_is_killed_finds_everything_acknowledged_again(site: Site) -> None:
    site.send(100)
    site.host.signal(signal.SIGKILL)
    wait_until(lambda: not site.host.is_running)
    site.host.start()
    wait_until(lambda: site.held_lines() == 0)
    assert site.delivered(sent=100).is_complete


def test_an_instance_that_terminates_takes_exactly_what_it_held(site: Site) -> None:
    site.send(100)
    site.host.signal(signal.SIGUSR1)
    wait_until(lambda: site.held_lines() == 0)
    site.send(30, first=101)
    site.host.terminate()
    assert not site.host.is_running
    last = site.host.history.moments[-1]
    assert (last.event, last.state.lines) == ("terminated", 30)
    assert site.host.history.empty_for_good_at() is None
    assert site.delivered(sent=130).lost == 30
    assert not site.settings.buffer_directory.exists()


def test_monitor_agent_tells_the_live_state_and_the_retry(site: Site) -> None:
    site.send(10)
    site.host.destination(DestinationMode.REFUSING)
    site.host.signal(signal.SIGUSR1)
    url = f"http://{site.settings.address}:{site.settings.monitor_port}/api/plugins.json"
    wait_until(lambda: request("GET", url)["plugins"][0]["retry"])
    [plugin] = request("GET", url)["plugins"]
    assert plugin["buffer_total_queued_size"] == len(entries(10))
    assert plugin["buffer_stage_length"] == 0
    assert {"start", "steps", "next_time"} == set(plugin["retry"])
    retry_at = site.host.retry_at()
    assert retry_at is not None
    assert abs(retry_at - time.time()) < 60
    site.host.destination(DestinationMode.OK)
    wait_until(lambda: site.held_lines() == 0)
    assert site.host.retry_at() is None
