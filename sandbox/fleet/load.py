"""The processes that put load on the aggregators: the DNS server and the forwarders."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from sandbox.fleet.http_service import request
from sandbox.host.processes import Processes

READY_SECONDS = 30.0


class Load(Protocol):
    """Whatever makes the lines of a fleet."""

    def set_rate(self, lines_per_second: float) -> None:
        """Make so many lines a second from now on."""

    def sent(self) -> dict[str, int]:
        """The highest line number of each maker of lines."""

    def drain(self) -> None:
        """Make no more lines."""

    def is_finished(self) -> bool:
        """Whether every line is in some Fluentd's hands, and no other will be made."""


class DnsProcess:
    """The DNS server of a fleet, in a process of its own."""

    def __init__(
        self,
        service_ids: Mapping[str, str],
        ttl_seconds: int,
        processes: Processes,
        environment: Mapping[str, str],
    ) -> None:
        command = [
            sys.executable, "-m", "sandbox.fleet.forwarders.dns",
            *(f"--service={name}={service_id}" for name, service_id in service_ids.items()),
            f"--ttl-seconds={ttl_seconds}",
        ]  # fmt: skip
        process = processes.start("dns", command, environment=environment)
        found = urlsplit(process.line("dns://", seconds=READY_SECONDS))
        self.address, self.port = str(found.hostname), int(found.port or 0)


@dataclass(frozen=True, slots=True)
class ForwardersProcessSettings:
    """How many forwarders, and how they behave."""

    services: Sequence[str]
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
        processes: Processes,
        environment: Mapping[str, str],
    ) -> None:
        command = [
            sys.executable, "-m", "sandbox.fleet.forwarders.process",
            *(f"--service={name}" for name in settings.services),
            f"--dns-address={dns.address}",
            f"--dns-port={dns.port}",
            f"--count={settings.count}",
            f"--lines-per-second={settings.lines_per_second}",
            f"--interval-seconds={settings.interval_seconds}",
            f"--tick-seconds={settings.tick_seconds}",
        ]  # fmt: skip
        process = processes.start("forwarders", command, environment=environment)
        self._url = process.line("http://", seconds=READY_SECONDS)

    def report(self) -> dict[str, dict[str, Any]]:
        """Each forwarder's report, by its name."""
        return dict(request("GET", f"{self._url}/report"))

    def set_rate(self, lines_per_second: float) -> None:
        """Make so many lines a second, all together, from now on."""
        request("PUT", f"{self._url}/rate", {"lines_per_second": lines_per_second})

    def sent(self) -> dict[str, int]:
        """The highest line number of each forwarder."""
        return {name: int(report["sent"]) for name, report in self.report().items()}

    def is_finished(self) -> bool:
        """Whether every line is acknowledged, and no other will be made."""
        return all(report["finished"] for report in self.report().values())

    def drain(self) -> None:
        """Make no more lines; go on sending what is not acknowledged."""
        request("PUT", f"{self._url}/drain")
