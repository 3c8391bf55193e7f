"""Fluentd's Prometheus exporter, and the ways in which it fails.

Only `DEAD` can be seen by a monitoring system that asks nothing but "is the port open". The others
are traps that were seen with real Fluentd: see `ExporterMode`.
"""

import threading
from collections.abc import Iterable
from enum import Enum

from sandbox.fleet.fluentd.sampling import MonitorTimer
from sandbox.host.http import HttpService, Routes, request, routed

HANG_LIMIT_SECONDS = 120.0


class ExporterMode(Enum):
    """How the exporter behaves."""

    OK = "ok"
    DEAD = "dead"
    """The listener is closed: connections are refused."""
    HUNG = "hung"
    """Connections are accepted and never answered."""
    FROZEN = "frozen"
    """The monitor's timer died: fresh answers with the values of the last tick, for ever."""


class Exporter:
    """`/metrics` on one address and port, and `/aggregated_metrics` of all `workers`, ports."""

    def __init__(
        self, address: str, port: int, timer: MonitorTimer, workers: Iterable[int] = ()
    ) -> None:
        self._address = address
        self._port = port
        self._timer = timer
        self._workers = workers
        self._responsive = threading.Event()
        self._responsive.set()
        self._service: HttpService | None = None

    def start(self) -> None:
        """Open the listener, if it is not open."""
        if self._service is None:
            routes: Routes = {
                ("GET", "/metrics"): self._metrics,
                ("GET", "/aggregated_metrics"): self._aggregated,
            }
            self._service = HttpService(self._address, self._port, routed(routes)).start()

    def stop(self) -> None:
        """Close the listener, if it is open."""
        if self._service is not None:
            self._service.stop()
            self._service = None

    def behave(self, mode: ExporterMode) -> None:
        """Behave so from now on; it is in force when this returns."""
        self._timer.frozen = mode is ExporterMode.FROZEN
        if mode is ExporterMode.HUNG:
            self._responsive.clear()
        else:
            self._responsive.set()
        if mode is ExporterMode.DEAD:
            self.stop()
        else:
            self.start()

    def _metrics(self, _body: object) -> str:
        self._responsive.wait(HANG_LIMIT_SECONDS)
        return self._timer.text

    def _aggregated(self, _body: object) -> str:
        """The metrics of all workers; if one does not answer, an error."""
        urls = [f"http://{self._address}:{port}/metrics" for port in self._workers]
        pages = [request("GET", url).splitlines() for url in urls]
        comments = [line for line in pages[0] if line.startswith("#")]
        samples = [line for page in pages for line in page if not line.startswith("#")]
        return "\n".join([*comments, *samples]) + "\n"
