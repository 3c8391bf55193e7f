"""One Fluentd in one state: its processes, its disk, its destination, its Prometheus."""

import os
import re
import signal
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.conformance.configuration import MONITOR_SECONDS, Change, configuration
from sandbox.conformance.destination import ACCEPT, REFUSE, REJECT, Destination
from sandbox.conformance.program import Program
from sandbox.fleet.fluentd.protocol import pack_entry, pack_message, unpack_acknowledgement
from sandbox.fleet.prometheus import Prometheus
from sandbox.host.parts import Parts
from sandbox.host.processes import Process, Processes, clean_environment
from sandbox.host.waiting import CheckFailed, wait_until

FORWARD_PORT, EXPORTER_PORT, MONITOR_PORT = 24224, 24231, 24220
INSTANCE_ID = "i-0c0f0123456789abc"
SCRAPE_SECONDS = 1
EMPTY_FOR_SECONDS = 9
# What a monitor and a scrape can lag behind, and a second for their threads.
LAG_SECONDS = MONITOR_SECONDS + SCRAPE_SECONDS + 1
LOOK_SECONDS = float(EMPTY_FOR_SECONDS + LAG_SECONDS)
START_SECONDS = 90.0
ATTEMPTS = 20
CHUNK = re.compile(r"\.[bq][0-9a-f]{32}\..*(?<!\.meta)$|^[0-9a-f]{32}\.log$")
PROJECT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Truth:
    """What is held at one moment: known from the disk and from the records alone."""

    chunks: int
    """Chunk files in the buffers of the workers that there are."""
    aside: int
    """Other files with records: backed up, evacuated, a secondary's, of a worker that is gone."""
    undelivered: int
    """Records that Fluentd acknowledged and the destination has not taken."""

    @property
    def is_nothing(self) -> bool:
        return not (self.chunks or self.aside or self.undelivered)


@dataclass(frozen=True, slots=True)
class Plan:
    """How the Fluentd of a state is configured, scraped and run."""

    changes: tuple[Change, ...] = ()
    workers: int = 1
    scraped_workers: int | None = None
    metrics_path: str = "/metrics"
    expected_outputs: int | None = None
    private_tmp: bool = False
    secondary: bool = False


class Site(Parts):
    """A context manager around all of it."""

    def __init__(self, program: Program, plan: Plan, address: str, directory: Path) -> None:
        self.program, self.plan, self.address = program, plan, address
        self.directory = directory.resolve()
        self.root = self.directory / "fluentd"
        self.workers = plan.workers
        self.destination = Destination(address)
        self.prometheus = Prometheus(self, self.directory / "prometheus")
        self.is_flushing = False
        """Whether the flush stage is asked, too: that signals Fluentd."""
        self.last_accepted_at = 0.0
        self._accepted = 0
        self._starts = 0
        self._configuration = self.directory / "fluentd.conf"
        self._freeze = self.directory / "freeze"
        self._processes = Processes(self.directory / "logs")
        self._process: Process | None = None

    def _start(self, starting: ExitStack) -> None:
        for folder in (self.root, self.directory / "tmp", self.directory / "units"):
            folder.mkdir(parents=True)
        starting.enter_context(self.destination)
        starting.enter_context(self.prometheus)
        starting.enter_context(self._processes)
        starting.callback(self.go_on)
        self.start()

    def configuration(self) -> dict[str, Any]:
        """The content of `prometheus.yml`."""
        ports = range(EXPORTER_PORT, EXPORTER_PORT + (self.plan.scraped_workers or self.workers))
        aggregated = self.plan.metrics_path != "/metrics"
        targets = [f"{self.address}:{port}" for port in (ports[:1] if aggregated else ports)]
        group = {"targets": targets, "labels": {"instance_id": INSTANCE_ID}}
        job = {"job_name": "fluentd", "metrics_path": self.plan.metrics_path}
        interval = f"{SCRAPE_SECONDS}s"
        return {
            "global": {"scrape_interval": interval, "scrape_timeout": interval},
            "scrape_configs": [{**job, "static_configs": [group]}],
        }

    def do(self, steps: str) -> None:
        """Take steps: methods of this class, with numbers."""
        for step in steps.split(", "):
            verb, *numbers = step.split()
            getattr(self, verb)(*map(float, numbers))

    def watch(self, seconds: float = LOOK_SECONDS) -> None:
        time.sleep(seconds)

    def ask(self) -> None:
        """Begin to ask the flush stage."""
        self.is_flushing = True

    def hush(self) -> None:
        """Ask the flush stage no more."""
        self.is_flushing = False

    def accept(self) -> None:
        self.destination.status = ACCEPT

    def refuse(self) -> None:
        """Let it answer that it is worth trying again."""
        self.destination.status = REFUSE

    def reject(self) -> None:
        """Let it answer that it will never take this."""
        self.destination.status = REJECT

    def slow(self, seconds: float, writes: float | None = None) -> None:
        """Delay all writes, or so many, which are then taken."""
        self.destination.delay_seconds, self.destination.slow_writes = seconds, writes

    def lose_prometheus(self) -> None:
        self.prometheus.stop()

    def find_prometheus(self) -> None:
        """Start it on what it has stored."""
        self.prometheus.start()

    def start(self, workers: float | None = None) -> None:
        """Start Fluentd on what it finds, and wait until it takes records."""
        self.workers = int(workers or self.workers)
        root = self.root
        text = configuration(self.address, root, self.workers, self.plan.changes)
        self._configuration.write_text(text)
        private = f'mount -t tmpfs none {self.directory / "tmp"} && exec "$@"'
        before = ("unshare", "-m", "sh", "-c", private, "sh") if self.plan.private_tmp else ()
        self._starts += 1
        self._process = self._processes.start(
            f"fluentd-{self._starts}",
            [*before, *self.program.command, "-c", str(self._configuration)],
            environment={
                **clean_environment(),
                "PYTHONPATH": str(PROJECT),
                "FLUENT_BACKUP_DIR": str(self.directory / "tmp"),
                "CONFORMANCE_FREEZE": str(self._freeze),
            },
            directory=self.directory,
        )
        self._process.wait_until(self._is_listening, seconds=START_SECONDS)

    def main_process(self) -> int | None:
        """Fluentd's main process: the supervisor, also one that took over from another."""
        own = dict(_processes_of(str(self._configuration)))
        return next((number for number, parent in own.items() if parent not in own), None)

    def send(self, records: float, pause: float = 0) -> None:
        """Send records as a forwarder does, each in a message of its own and acknowledged."""
        for _ in range(int(records)):
            self._send_one()
            time.sleep(pause)

    def hold(self) -> None:
        """Send one record after the other, until the second worker holds one and no other does."""
        for _ in range(ATTEMPTS):
            self.send(1, 0.3)
            if list(self.root.glob("worker1/*/buffer/*.log")):
                return
            wait_until("the first worker to deliver", lambda: self.truth().is_nothing, 60)
        raise CheckFailed(f"{ATTEMPTS} records, none of them in the buffer of the second worker")

    def _send_one(self) -> None:
        entries = pack_entry(time.time(), {"number": self._accepted + 1})
        with socket.create_connection((self.address, FORWARD_PORT), 10) as connection:
            connection.settimeout(30)
            connection.sendall(pack_message("app.log", entries, 1, "chunk"))
            unpack_acknowledgement(connection.recv(4096))
        self._accepted += 1
        self.last_accepted_at = time.time()

    def truth(self) -> Truth:
        # In this order: a chunk that goes meanwhile is counted, a record that comes is not missed.
        accepted = self._accepted
        places = [self.root, self._seen_by_fluentd(self.directory / "tmp")]
        files = [file for place in places for file in place.rglob("*") if is_chunk(file)]
        live = [file for file in files if self._is_live(file)]
        undelivered = accepted - len(self.destination.delivered)
        return Truth(len(live), len(files) - len(live), max(0, undelivered))

    def _is_live(self, file: Path) -> bool:
        folder, *_ = file.relative_to(self.root).parts if file.is_relative_to(self.root) else ("",)
        return folder in {"buffer.path", *(f"worker{number}" for number in range(self.workers))}

    def _seen_by_fluentd(self, path: Path) -> Path:
        if self.plan.private_tmp and (number := self.main_process()):
            return Path(f"/proc/{number}/root{path}")
        return path

    def signal(self, number: signal.Signals) -> None:
        main = self.main_process()
        if main is not None:
            os.kill(main, number)

    def stop(self) -> None:
        """SIGTERM, and wait for the end."""
        self.signal(signal.SIGTERM)
        wait_until("Fluentd to end", lambda: self.main_process() is None, 60)

    def kill(self) -> None:
        """SIGKILL to every process of it at once."""
        for number, _parent in _processes_of(str(self._configuration)):
            os.kill(number, signal.SIGKILL)
        wait_until("Fluentd to end", lambda: self.main_process() is None, 60)

    def hang(self) -> None:
        """SIGSTOP: it takes no signal and answers nothing."""
        for number, _parent in _processes_of(str(self._configuration)):
            os.kill(number, signal.SIGSTOP)

    def go_on(self) -> None:
        for number, _parent in _processes_of(str(self._configuration)):
            os.kill(number, signal.SIGCONT)

    def freeze(self) -> None:
        """Let the exporter's timer die of an exception."""
        self._freeze.touch()

    def replace(self) -> None:
        """SIGUSR2, and wait until the records that come next are taken."""
        self.signal(signal.SIGUSR2)
        time.sleep(5)
        wait_until("Fluentd to listen again", self._is_listening, START_SECONDS)

    def _is_listening(self) -> bool:
        ports = [port + worker for port in (EXPORTER_PORT, MONITOR_PORT)
                 for worker in range(self.workers)]  # fmt: skip
        return all(_connects((self.address, port)) for port in (*ports, FORWARD_PORT))


def is_chunk(file: Path) -> bool:
    """Whether a file holds records: a chunk in any place, or what a secondary wrote."""
    if file.suffix == ".meta":
        return False
    return bool(CHUNK.search(file.name)) or file.parent.name == "failed"


def _connects(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, 1).close()
    except OSError:
        return False
    return True


def _processes_of(argument: str) -> Sequence[tuple[int, int]]:
    """The processes with this argument on their command line, each with its parent."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if argument in arguments and (status := (folder / "status").read_text()):
                parent = re.search(r"^PPid:\t(\d+)$", status, re.MULTILINE)
                found.append((int(folder.name), int(parent[1]) if parent else 0))
        except OSError:
            continue
    return found
