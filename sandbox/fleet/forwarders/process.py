"""Any number of simulated forwarders: `python -m sandbox.fleet.forwarders.process SETTINGS`.

Its HTTP service takes the rate (`PUT /rate`), the end of the load (`PUT /drain`) and tells what was
sent (`GET /report`). It prints the address of the service.
"""

import logging
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from sandbox.fleet import signals
from sandbox.fleet.forwarders.connection import Connections
from sandbox.fleet.forwarders.discovery import (
    Discoveries,
    DnsClient,
    NoTargetsAtStartError,
    ServiceDiscovery,
)
from sandbox.fleet.forwarders.forwarder import Forwarder
from sandbox.host.http import HttpService, Routes, routed
from sandbox.host.settings import read

RESTART_SECONDS = 1.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ForwardersSettings:
    """How many forwarders, what they look up and how fast they go."""

    services: Sequence[str]
    dns_address: str
    dns_port: int
    count: int
    lines_per_second: float
    """All together."""
    interval_seconds: float = 60.0
    tick_seconds: float = 3.0
    send_interval_seconds: float = 0.5
    acknowledgement_timeout_seconds: float = 5.0


class Load:
    """The lines a second of all forwarders together, while they run."""

    def __init__(self, lines_per_second: float) -> None:
        self.lines_per_second = lines_per_second
        self.draining = False


class ForwarderThread:
    """Runs one forwarder: restarted until DNS names a target, then it runs until the end."""

    def __init__(self, name: str, settings: ForwardersSettings, load: Load) -> None:
        self._settings = settings
        self._load = load
        client = DnsClient(settings.dns_address, settings.dns_port)
        self._discovery = Discoveries(
            [ServiceDiscovery(partial(client.targets, service)) for service in settings.services]
        )
        connections = Connections(settings.acknowledgement_timeout_seconds)
        self.forwarder = Forwarder(name, self._discovery, connections)
        self.finished = False

    def start(self, stop: threading.Event) -> None:
        """Run until `stop`."""
        threading.Thread(
            target=self._run, args=(stop,), name=self.forwarder.name, daemon=True
        ).start()

    def _run(self, stop: threading.Event) -> None:
        self._start_discovery(stop)
        seconds = self._settings.send_interval_seconds
        earlier, owed = time.monotonic(), random.random()
        while not stop.wait(seconds):
            draining, now = self._load.draining, time.monotonic()
            if not draining:
                owed += (now - earlier) * self._load.lines_per_second / self._settings.count
                self.forwarder.make(int(owed))
                owed -= int(owed)
            earlier = now
            self.forwarder.send()
            self.finished = draining and self.forwarder.report().pending == 0

    def _start_discovery(self, stop: threading.Event) -> None:
        """As a supervisor restarts a Fluentd that exits with a configuration error."""
        while not stop.is_set():
            try:
                self._discovery.start()
                break
            except NoTargetsAtStartError as error:
                logger.info("%s starts again: %s", self.forwarder.name, error)
                stop.wait(RESTART_SECONDS)
        self._discovery.run(self._settings.interval_seconds, self._settings.tick_seconds, stop)


class Forwarders:
    """All forwarders of the process, and what may be asked of them."""

    def __init__(self, settings: ForwardersSettings) -> None:
        self._load = Load(settings.lines_per_second)
        names = (f"forwarder-{number:02d}" for number in range(1, settings.count + 1))
        self._threads = [ForwarderThread(name, settings, self._load) for name in names]

    def start(self, stop: threading.Event) -> None:
        for thread in self._threads:
            thread.start(stop)

    def report(self, _body: object = None) -> dict[str, Any]:
        """Each forwarder's report, by its name, and whether it will never send again."""
        return {
            thread.forwarder.name: {
                "finished": thread.finished,
                **asdict(thread.forwarder.report()),
            }
            for thread in self._threads
        }

    def set_rate(self, body: Any) -> None:  # noqa: ANN401 - JSON
        """Make so many lines a second, all forwarders together."""
        self._load.lines_per_second = float(body["lines_per_second"])

    def drain(self, _body: object = None) -> None:
        """Make no more lines; go on sending what is not acknowledged."""
        self._load.draining = True


def main() -> None:
    """Run until SIGTERM."""
    forwarders = Forwarders(read(ForwardersSettings))
    signals.block()
    stop = threading.Event()
    routes: Routes = {
        ("GET", "/report"): forwarders.report,
        ("PUT", "/rate"): forwarders.set_rate,
        ("PUT", "/drain"): forwarders.drain,
    }
    service = HttpService("127.0.0.1", 0, routed(routes)).start()
    print(f"http://127.0.0.1:{service.port}", flush=True)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", level="INFO")
    forwarders.start(stop)
    signals.await_end()
    stop.set()
    service.stop()


if __name__ == "__main__":
    main()
