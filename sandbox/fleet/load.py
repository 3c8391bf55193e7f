"""The processes that put load on the aggregators: the DNS server and the forwarders."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.fleet.http_service import request
from sandbox.fleet.process import Process
from sandbox.fleet.ready import await_ready


class DnsProcess:
    """The DNS server of a fleet, in a process of its own."""

    def __init__(
        self,
        service: str,
        service_id: str,
        ttl_seconds: int,
        directory: Path,
        environment: Mapping[str, str],
    ) -> None:
        ready_file = directory / "dns.ready"
        command = [
            sys.executable, "-m", "sandbox.fleet.dns",
            f"--service={service}",
            f"--service-id={service_id}",
            f"--ttl-seconds={ttl_seconds}",
            f"--ready-file={ready_file}",
        ]  # fmt: skip
        self._process = Process.start(command, directory / "dns.log", environment)
        self.address, _, port = await_ready(self._process, ready_file).partition(":")
        self.port = int(port)

    def stop(self) -> None:
        """End the process."""
        self._process.stop()


@dataclass(frozen=True, slots=True)
class ForwardersProcessSettings:
    """How many forwarders, and how they behave."""

    service: str
    count: int
    lines_per_second: float
    interval_seconds: float
    tick_seconds: float


class ForwardersProcess:
    """All forwarders of a fleet, in a process of their own."""

    def __init__(
        self,
        settings: ForwardersProcessSettings,
        dns: DnsProcess,
        directory: Path,
        environment: Mapping[str, str],
    ) -> None:
        ready_file = directory / "forwarders.ready"
        command = [
            sys.executable, "-m", "sandbox.fleet.forwarders",
            f"--service={settings.service}",
            f"--dns-address={dns.address}",
            f"--dns-port={dns.port}",
            f"--count={settings.count}",
            f"--lines-per-second={settings.lines_per_second}",
            f"--interval-seconds={settings.interval_seconds}",
            f"--tick-seconds={settings.tick_seconds}",
            f"--ready-file={ready_file}",
        ]  # fmt: skip
        self._process = Process.start(command, directory / "forwarders.log", environment)
        self._url = await_ready(self._process, ready_file)

    def report(self) -> dict[str, dict[str, Any]]:
        """Each forwarder's report, by its name."""
        return dict(request("GET", f"{self._url}/report"))

    def set_rate(self, lines_per_second: float) -> None:
        """Make so many lines a second, all together, from now on."""
        request("PUT", f"{self._url}/rate", {"lines_per_second": lines_per_second})

    def drain(self) -> None:
        """Make no more lines; go on sending what is not acknowledged."""
        request("PUT", f"{self._url}/drain")

    def stop(self) -> None:
        """End the process."""
        self._process.stop()
