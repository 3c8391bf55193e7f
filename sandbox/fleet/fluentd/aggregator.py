"""One simulated Fluentd aggregator: `python -m sandbox.fleet.fluentd.aggregator SETTINGS`.

It listens on an address of its own for forwarders (24224), Prometheus (24231), RPC (24444) and, on
the port of `monitor_agent` (24220), for live counters and for the faults that a scenario injects.
With a `source` it also reads the lines of a web server on its instance. SIGUSR1 flushes, SIGTERM
ends it with its chunks left on disk, SIGKILL is the end of its instance.
"""

import logging
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.fleet import signals
from sandbox.fleet.fluentd.backoff import BackoffPolicy
from sandbox.fleet.fluentd.buffer import Buffer, StagingPolicy
from sandbox.fleet.fluentd.destination import DestinationMode, S3Destination
from sandbox.fleet.fluentd.exporter import Exporter, ExporterMode
from sandbox.fleet.fluentd.history import BufferState, HistoryWriter
from sandbox.fleet.fluentd.monitor import OutputSample, ltsv
from sandbox.fleet.fluentd.output import Counters, Output, Part
from sandbox.fleet.fluentd.receiver import Receiver
from sandbox.fleet.fluentd.sampling import (
    MonitorTimer,
    monitored,
    sample_output,
    sample_unbuffered,
)
from sandbox.fleet.fluentd.source import LineSource
from sandbox.host.http import HttpService, routed
from sandbox.host.settings import read

FLUENTD_DIRECTORY = Path("/var/log/fluentd")
PLUGIN_ID, PLUGIN_TYPE = "out_s3", "s3"
HEARTBEAT_PLUGIN_ID, HEARTBEAT_PLUGIN_TYPE = "out_heartbeat", "null"
OWN_EVENTS_PLUGIN_ID, OWN_EVENTS_PLUGIN_TYPE = "own_events", "stdout"
HEARTBEAT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class AggregatorSettings:
    """Where an aggregator lives, and how its Fluentd is configured."""

    address: str
    root_directory: Path
    """The disk of its instance: the folder that stands for `/`."""
    bucket: str
    prefix: str
    destination_mode: DestinationMode = DestinationMode.OK
    forward_port: int = 24224
    exporter_port: int = 24231
    monitor_port: int = 24220
    rpc_port: int = 24444
    source: str | None = None
    """The name in the lines that it reads on its own instance; None: it reads none."""
    monitor_interval_seconds: float = 5.0
    staging: StagingPolicy = field(default_factory=StagingPolicy)
    backoff: BackoffPolicy = field(default_factory=BackoffPolicy)

    @property
    def fluentd_directory(self) -> Path:
        """Fluentd's `root_dir`."""
        return self.root_directory.joinpath(*FLUENTD_DIRECTORY.parts[1:])

    @property
    def buffer_directory(self) -> Path:
        """Where Fluentd's `root_dir` puts this output's chunks."""
        return self.fluentd_directory / "worker0" / PLUGIN_ID / "buffer"

    @property
    def backup_directory(self) -> Path:
        """Where Fluentd's `root_dir` puts backed-up chunks."""
        return self.fluentd_directory / "backup" / "worker0" / PLUGIN_ID

    @property
    def history_path(self) -> Path:
        """The true states of the buffer: the simulator's, no part of the instance's disk."""
        return self.root_directory / "history.jsonl"

    @property
    def ledger(self) -> Path:
        """The number of lines that the source has made: the simulator's, too."""
        return self.root_directory / "lines_sent"


class Aggregator:
    """The parts of one Fluentd process, wired."""

    def __init__(self, settings: AggregatorSettings, destination: S3Destination) -> None:
        self._history = HistoryWriter(settings.history_path)
        self._destination = destination
        self.output = Output(
            Buffer(
                settings.buffer_directory,
                settings.backup_directory,
                settings.staging,
                on_change=self._record,
            ),
            destination,
            settings.backoff,
        )
        self._heartbeat, self._own_events = Counters(), Counters()
        self._timer = MonitorTimer(
            hostname(settings.address), settings.monitor_interval_seconds, self._samples
        )
        self._exporter = Exporter(settings.address, settings.exporter_port, self._timer)
        self._receiver = Receiver(settings.address, settings.forward_port, self.output.emit)
        monitored = {
            ("GET", "/api/plugins.json"): lambda _body: {"plugins": [self._plugin()]},
            ("GET", "/api/plugins"): lambda _body: ltsv(self._plugin()),
            ("GET", "/api/config"): lambda _body: ltsv(
                {"pid": os.getpid(), "root_dir": settings.fluentd_directory}
            ),
            ("PUT", "/_sandbox/destination"): self._set_destination,
            ("PUT", "/_sandbox/exporter"): self._set_exporter,
            ("PUT", "/_sandbox/rescue"): lambda _body: self.output.rescue(),
            ("PUT", "/_sandbox/source"): self._set_source,
        }
        self._monitor_agent = HttpService(
            settings.address, settings.monitor_port, routed(monitored)
        )
        rpc = {("GET", "/api/plugins.flushBuffers"): self._flush_by_rpc}
        self._rpc = HttpService(settings.address, settings.rpc_port, routed(rpc))
        self._source = (
            LineSource(settings.source, self.output.emit, settings.ledger)
            if settings.source
            else None
        )
        serving = self._timer, self._exporter, self._monitor_agent, self._rpc, self._receiver
        sources = (self._source,) if self._source else ()
        self._parts: tuple[Part, ...] = (self.output, *serving, *sources)

    def run(self, await_signal: Callable[[float], signal.Signals | None]) -> None:
        """Serve until SIGTERM, flushing at SIGUSR1 and beating once a second."""
        for part in self._parts:
            part.start()
        next_beat = time.monotonic() + HEARTBEAT_SECONDS
        while (received := await_signal(next_beat - time.monotonic())) != signal.SIGTERM:
            if received == signal.SIGUSR1:
                self.output.flush()
            if time.monotonic() >= next_beat:
                self._heartbeat.emit_count += 1
                self._heartbeat.emit_records += 1
                next_beat += HEARTBEAT_SECONDS
        # What takes lines in stops first, the output last.
        for part in reversed(self._parts):
            part.stop()

    def _record(self, event: str, state: BufferState) -> None:
        self._history.record(time.time(), event, state)

    def _samples(self) -> list[OutputSample]:
        return [
            sample_output(self.output, PLUGIN_ID, PLUGIN_TYPE),
            sample_unbuffered(self._heartbeat, HEARTBEAT_PLUGIN_ID, HEARTBEAT_PLUGIN_TYPE),
            sample_unbuffered(self._own_events, OWN_EVENTS_PLUGIN_ID, OWN_EVENTS_PLUGIN_TYPE),
        ]

    def _plugin(self) -> dict[str, object]:
        return monitored(self.output, PLUGIN_ID, PLUGIN_TYPE)

    def _set_destination(self, body: Any) -> None:  # noqa: ANN401 - JSON
        mode = DestinationMode(body["mode"])
        self._destination.behave(mode, float(body.get("delay_seconds", 0)))

    def _set_source(self, body: Any) -> None:  # noqa: ANN401 - JSON
        if self._source:
            self._source.set_rate(float(body["lines_per_second"]))

    def _flush_by_rpc(self, _body: object) -> dict[str, Any]:
        """`rpc_endpoint`: it answers at once, without a result."""
        self.output.flush()
        return {"ok": True}

    def _set_exporter(self, body: Any) -> None:  # noqa: ANN401 - JSON
        self._exporter.behave(ExporterMode(body["mode"]))


def hostname(address: str) -> str:
    """The host name that EC2 gives to an instance with this address."""
    return "ip-" + address.replace(".", "-")


def main() -> None:
    """Run until SIGTERM."""
    signals.block()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", level="INFO")
    settings = read(AggregatorSettings)
    destination = S3Destination.connect(settings.bucket, settings.prefix)
    destination.behave(settings.destination_mode)
    aggregator = Aggregator(settings, destination)
    aggregator.run(signals.await_signal)


if __name__ == "__main__":
    main()
