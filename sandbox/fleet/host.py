"""What runs on one simulated instance: the aggregator's process and its disk."""

import calendar
import logging
import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping, Sequence

from sandbox.fleet.fluentd.aggregator import AggregatorSettings
from sandbox.fleet.fluentd.buffer import Buffer
from sandbox.fleet.fluentd.destination import DestinationMode
from sandbox.fleet.fluentd.exporter import ExporterMode
from sandbox.fleet.fluentd.history import History, HistoryFile, HistoryWriter
from sandbox.fleet.fluentd.source import lines_sent
from sandbox.fleet.ssm_agent import Machine
from sandbox.host.http import request
from sandbox.host.processes import Process, Processes
from sandbox.host.settings import command

CONTROL_SECONDS = 15.0
POLL_SECONDS = 0.1
UNIT = "fluentd"
RETRY_TIME = "%Y-%m-%d %H:%M:%S +0000"

AggregatorCommand = Callable[[AggregatorSettings], Sequence[str]]
"""Settings to the command that runs an aggregator.

This is where a real Fluentd can take over: forwarders speak its protocol, and its chunk files have
its names and places. What it cannot do is write the history and take the faults.
"""

logger = logging.getLogger(__name__)


def simulated_aggregator(settings: AggregatorSettings) -> list[str]:
    """The command that runs this package's aggregator."""
    return command("sandbox.fleet.fluentd.aggregator", settings)


class AggregatorHost:
    """One aggregator, from its instance's boot to its instance's end."""

    def __init__(
        self,
        settings: AggregatorSettings,
        processes: Processes,
        environment: Mapping[str, str],
        command_of: AggregatorCommand = simulated_aggregator,
    ) -> None:
        self._history = HistoryFile(settings.history_path)
        self._settings = settings
        self._processes = processes
        self._environment = environment
        self._command_of = command_of
        self._process: Process | None = None
        self._starts = 0

    @property
    def history(self) -> History:
        """What it truly held so far, dead or alive."""
        return self._history.read()

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.is_running

    def start(self) -> None:
        """Start the process, on whatever buffer it finds."""
        self._starts += 1
        self._process = self._processes.start(
            f"aggregator-{self._settings.root_directory.name}-{self._starts}",
            self._command_of(self._settings),
            # Not /tmp/fluent of the machine that simulates the instance.
            environment={
                **self._environment,
                "FLUENT_BACKUP_DIR": str(self._settings.root_directory / "tmp" / "fluent"),
            },
        )
        machine = self.machine()
        machine.units.mkdir(parents=True, exist_ok=True)
        (machine.units / UNIT).write_text(str(self._process.popen.pid))

    def machine(self) -> Machine:
        disk = self._settings.root_directory
        return Machine(self._settings.address, disk, disk / "run" / "units")

    def signal(self, number: signal.Signals) -> None:
        """Send the process a signal: SIGUSR1 flushes."""
        if self._process is not None and self._process.is_running:
            os.kill(self._process.popen.pid, number)

    def destination(self, mode: DestinationMode, delay_seconds: float = 0.0) -> None:
        self._control("destination", {"mode": mode.value, "delay_seconds": delay_seconds})

    def exporter(self, mode: ExporterMode) -> None:
        self._control("exporter", {"mode": mode.value})

    def set_source_rate(self, lines_per_second: float) -> None:
        """Let its web server write so many lines a second; an `OSError` if it does not listen."""
        request("PUT", self._url("source"), {"lines_per_second": lines_per_second}, timeout=2)

    def lines_sent(self) -> int:
        """How many lines its web server has written, dead or alive."""
        return lines_sent(self._settings.ledger)

    def retry_at(self) -> float | None:
        """When its output tries again, as `monitor_agent` says; None if it is not in back-off."""
        url = f"http://{self._settings.address}:{self._settings.monitor_port}/api/plugins.json"
        [plugin] = request("GET", url)["plugins"]
        next_time = plugin["retry"].get("next_time")
        return calendar.timegm(time.strptime(next_time, RETRY_TIME)) if next_time else None

    def rescue(self) -> None:
        """Copy the backed-up chunks to S3 and delete them, as an operator does."""
        self._control("rescue", {})

    def terminate(self) -> None:
        """The instance is gone: the process at once, then its disk. What was on it is recorded."""
        if self._process is not None:
            self.signal(signal.SIGKILL)
            self._process.popen.wait()
        buffer = Buffer(
            self._settings.buffer_directory, self._settings.backup_directory, self._settings.staging
        )
        lost = buffer.state()
        writer = HistoryWriter(self._settings.history_path)
        writer.record(time.time(), "terminated", lost)
        writer.close()
        if lost.lines:
            logger.error("%d lines were lost with %s", lost.lines, self._settings.address)
        for folder in ("var", "run"):
            shutil.rmtree(self._settings.root_directory / folder, ignore_errors=True)

    def _control(self, path: str, body: Mapping[str, object]) -> None:
        """Send a request to the process; wait for one that is still starting."""
        url = self._url(path)
        deadline = time.monotonic() + CONTROL_SECONDS
        while True:
            try:
                request("PUT", url, body)
            except OSError as error:
                if self._process is None:
                    raise
                if not self.is_running or time.monotonic() > deadline:
                    raise self._process.failure(f"does not listen: {error}") from error
                time.sleep(POLL_SECONDS)
            else:
                return

    def _url(self, path: str) -> str:
        return f"http://{self._settings.address}:{self._settings.monitor_port}/_sandbox/{path}"
