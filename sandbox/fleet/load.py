"""The processes that put load on the aggregators: the DNS server and the forwarders."""

from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

from sandbox.fleet.forwarders.dns import DnsSettings
from sandbox.fleet.forwarders.process import ForwardersSettings
from sandbox.host.http import request
from sandbox.host.processes import Processes
from sandbox.host.settings import command

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


def start_dns(
    settings: DnsSettings, processes: Processes, environment: Mapping[str, str]
) -> tuple[str, int]:
    """Start the DNS server of a fleet, in a process of its own; its address and port."""
    started = command("sandbox.fleet.forwarders.dns", settings)
    process = processes.start("dns", started, environment=environment)
    found = urlsplit(process.line("dns://", seconds=READY_SECONDS))
    return str(found.hostname), int(found.port or 0)


class ForwardersProcess:
    """All forwarders of a fleet, in a process of their own."""

    def __init__(
        self, settings: ForwardersSettings, processes: Processes, environment: Mapping[str, str]
    ) -> None:
        process = processes.start(
            "forwarders",
            command("sandbox.fleet.forwarders.process", settings),
            environment=environment,
        )
        self._url = process.line("http://", seconds=READY_SECONDS)

    def report(self) -> dict[str, dict[str, Any]]:
        """Each forwarder's report, by its name."""
        return dict(request("GET", f"{self._url}/report"))

    def set_rate(self, lines_per_second: float) -> None:
        """Make so many lines a second, all together, from now on."""
        request("PUT", f"{self._url}/rate", {"lines_per_second": lines_per_second})

    def sent(self) -> dict[str, int]:
        return {name: int(report["sent"]) for name, report in self.report().items()}

    def is_finished(self) -> bool:
        """Whether every line is acknowledged, and no other will be made."""
        return all(report["finished"] for report in self.report().values())

    def drain(self) -> None:
        """Make no more lines; go on sending what is not acknowledged."""
        request("PUT", f"{self._url}/drain")
