"""The simulated Fluentd as a program: `python -m sandbox.fleet.fluentd.configured -c FILE`.

It takes what a real one takes: a configuration file, forwarders' messages, signals. A supervisor
passes SIGUSR1 on to its workers, and replaces them at SIGUSR2. A state that the conformance check
cannot bring about by these means is brought about by a file: CONFORMANCE_FREEZE lets the exporter's
timer die.
"""

import argparse
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sandbox.fleet import signals
from sandbox.fleet.fluentd import configuration
from sandbox.fleet.fluentd.backoff import BackoffPolicy
from sandbox.fleet.fluentd.buffer import Buffer, StagingPolicy
from sandbox.fleet.fluentd.configuration import ConfigurationError, Section
from sandbox.fleet.fluentd.destination import HttpDestination, SecondaryFile
from sandbox.fleet.fluentd.exporter import Exporter
from sandbox.fleet.fluentd.monitor import OutputSample, ltsv
from sandbox.fleet.fluentd.output import Counters, Output, Part
from sandbox.fleet.fluentd.protocol import Batch, pack_entry
from sandbox.fleet.fluentd.receiver import Receiver
from sandbox.fleet.fluentd.sampling import MonitorTimer, monitored, sample_output, sample_unbuffered
from sandbox.host.http import HttpService, routed
from sandbox.host.processes import CHILD

# What Fluentd logs of itself at SIGUSR1.
OWN_EVENTS = ("force flushing buffered events", "flushing all buffer forcedly")
DEFAULT_BACKUP = "/tmp/fluent"  # noqa: S108 - Fluentd's own
STOP_SECONDS = 20

logger = logging.getLogger(__name__)


class Target:
    """A `<match>`: the pattern of its tags, and the output behind it."""

    def __init__(self, section: Section, system: Section, worker: int) -> None:
        self.pattern = section.argument
        self.kind = section.type
        self.plugin_id = section.text("@id", f"object:{os.getpid():x}")
        self.counters = Counters()
        self.output = buffered(section, system, worker) if self.kind == "http" else None
        if self.kind not in {"http", "null", "stdout"}:
            raise ConfigurationError(f"no output plugin {self.kind!r} here")

    def emit(self, batch: Batch) -> None:
        if self.output:
            self.output.emit(batch)
        self.counters.emit_count += 1
        self.counters.emit_records += batch.records

    def sample(self) -> OutputSample:
        if self.output:
            return sample_output(self.output, self.plugin_id, self.kind)
        return sample_unbuffered(self.counters, self.plugin_id, self.kind)


def buffered(section: Section, system: Section, worker: int) -> Output:
    """The output of a `<match>` with a buffer."""
    buffer, root = section.one("buffer"), system.text("root_dir")
    own_id = section.text("@id")
    base = Path(root or os.environ.get("FLUENT_BACKUP_DIR", DEFAULT_BACKUP))
    name = own_id or f"object_{os.getpid():x}"
    timed = "time" in buffer.argument
    mode = buffer.text("flush_mode", "lazy" if timed else "interval")
    if mode != "interval" and buffer.text("flush_interval"):
        raise ConfigurationError(f"'flush_interval' can't be specified when 'flush_mode' is {mode}")
    unlimited = buffer.flag("retry_forever")
    secondary = section.one("secondary", "secondary_file").text("directory")
    return Output(
        Buffer(
            chunk_folder(buffer, root, own_id, worker),
            base / "backup" / f"worker{worker}" / name,
            StagingPolicy(
                flush_interval_seconds=buffer.number("flush_interval", 60),
                timekey_seconds=int(buffer.number("timekey", 0)) if mode == "lazy" else None,
                immediate=mode == "immediate",
                timekey_wait_seconds=buffer.number("timekey_wait", 600),
            ),
            evacuated=base / "buffer" / name,
        ),
        HttpDestination(section.text("endpoint"), section.text("retryable_response_codes", "503")),
        BackoffPolicy(
            first_wait_seconds=buffer.number("retry_wait", 1),
            longest_wait_seconds=buffer.number("retry_max_interval", 1e6),
            most_retries=None if unlimited else int(buffer.number("retry_max_times", 1e6)),
            timeout_seconds=None if unlimited else buffer.number("retry_timeout", 72 * 3600),
        ),
        secondary=SecondaryFile(Path(secondary)) if secondary else None,
        threads=int(buffer.number("flush_thread_count", 1)),
    )


def chunk_folder(buffer: Section, root: str, own_id: str, worker: int) -> Path | None:
    """Where `buf_file` keeps the chunks; None: they are in memory, which is the default."""
    if buffer.text("@type", "memory") == "memory":
        return None
    if buffer.text("path"):
        return Path(buffer.text("path"))
    if not (root and own_id):
        raise ConfigurationError("'path' is required without root_dir or @id")
    return Path(root) / f"worker{worker}" / own_id / "buffer"


class Worker:
    """A worker process: its inputs, its outputs, its monitors."""

    def __init__(self, text: Section, number: int) -> None:
        system = text.one("system")
        workers = int(system.number("workers", 1))
        sections = {"": text, **{label.argument: label for label in text.all("label")}}
        self._routes = {
            name: [Target(match, system, number) for match in section.all("match")]
            for name, section in sections.items()
        }
        self._targets = [target for route in self._routes.values() for target in route]
        root_dir = {k: v for k, v in system.parameters.items() if k == "root_dir"}
        metrics, agent = text.one("source", "prometheus"), text.one("source", "monitor_agent")
        forward = text.one("source", "forward")
        self._heartbeat = text.one("source", "sample").text("tag")
        interval = text.one("source", "prometheus_output_monitor").number("interval", 5)
        self._timer = MonitorTimer("vm", interval, self._samples, number)
        address, port = metrics.text("bind", "0.0.0.0"), int(metrics.number("port", 24231))
        self._with_retry = agent.flag("include_retry")
        routes = {
            ("GET", "/api/plugins.json"): lambda _: {"plugins": list(self._plugins())},
            ("GET", "/api/plugins"): lambda _: "".join(map(ltsv, self._plugins())),
            ("GET", "/api/config"): lambda _: ltsv({"pid": os.getpid(), **root_dir}),
        }
        self._parts: tuple[Part, ...] = (
            *(target.output for target in self._targets if target.output),
            self._timer,
            Exporter(address, port + number, self._timer, range(port, port + workers)),
            HttpService(
                agent.text("bind"), int(agent.number("port", 24220)) + number, routed(routes)
            ),
            Receiver(
                forward.text("bind"), int(forward.number("port", 24224)), self._emit,
                shared=workers > 1,
            ),
        )  # fmt: skip

    def run(self) -> None:
        """Work until SIGTERM."""
        for part in self._parts:
            part.start()
        beat = pack_entry(time.time(), {"message": "sample"})
        next_beat = time.monotonic()
        freezing = Path(os.environ.get("CONFORMANCE_FREEZE", "/nowhere"))
        while (received := signals.await_signal(next_beat - time.monotonic())) != signal.SIGTERM:
            if received == signal.SIGUSR1:
                self._flush()
            self._timer.frozen |= freezing.exists()
            if time.monotonic() >= next_beat:
                next_beat += 1
                self._emit(Batch(self._heartbeat, beat, 1, None))
        for part in reversed(self._parts):
            part.stop()

    def _flush(self) -> None:
        outputs = [target.output for target in self._targets if target.output]
        for output in outputs:
            output.flush()
        for event in OWN_EVENTS:
            entry = pack_entry(time.time(), {"message": event})
            self._emit(Batch("fluent.info", entry, 1, None), "@FLUENT_LOG")

    def _emit(self, batch: Batch, label: str = "") -> None:
        """The first `<match>` that fits takes them; without the label, one outside of it."""
        for target in self._routes.get(label, self._routes[""]):
            if target.pattern in {"**", batch.tag}:
                target.emit(batch)
                return

    def _samples(self) -> list[OutputSample]:
        return [target.sample() for target in self._targets]

    def _plugins(self) -> Iterator[dict[str, object]]:
        for target in self._targets:
            if target.output:
                shown = monitored(target.output, target.plugin_id, target.kind)
                yield (
                    shown if self._with_retry else {k: v for k, v in shown.items() if k != "retry"}
                )


class Supervisor:
    """The main process."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._workers: list[subprocess.Popen[bytes]] = []

    def run(self) -> None:
        """Keep the workers until SIGTERM."""
        self._start()
        while (received := signals.await_signal(1.0)) != signal.SIGTERM:
            if received == signal.SIGUSR1:
                self._tell(signal.SIGUSR1)
            elif received == signal.SIGUSR2:
                configuration.read(Path(self._path))
                self._stop()
                self._start()
        self._stop()

    def _start(self) -> None:
        system = configuration.read(Path(self._path)).one("system")
        command = [sys.executable, "-I", "-S", str(CHILD), str(os.getpid()), sys.executable, "-m"]
        command += ["sandbox.fleet.fluentd.configured", "-c", self._path, "--worker"]
        numbers = range(int(system.number("workers", 1)))
        self._workers = [subprocess.Popen([*command, str(number)]) for number in numbers]

    def _tell(self, number: signal.Signals) -> None:
        for worker in self._workers:
            worker.send_signal(number)

    def _stop(self) -> None:
        self._tell(signal.SIGTERM)
        for worker in self._workers:
            worker.wait(STOP_SECONDS)


def main() -> None:
    """Be the supervisor, or one of its workers."""
    signals.block()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", level="INFO")
    parser = argparse.ArgumentParser("fluentd")
    parser.add_argument("-c", required=True)
    parser.add_argument("--worker", type=int)
    given = parser.parse_args()
    run: Callable[[], None] = Supervisor(given.c).run
    if given.worker is not None:
        run = Worker(configuration.read(Path(given.c)), given.worker).run
    run()


if __name__ == "__main__":
    main()
