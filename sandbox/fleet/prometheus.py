"""A real Prometheus that finds the simulated aggregators as it would find real ones.

It asks the emulated EC2 itself (`ec2_sd_configs`) for the running instances of the group and
scrapes their exporters; the relabelling is the one that the documentation recommends, so the demo
tests that, too. Every run has a database of its own: nothing of an earlier run can answer.
"""

import json
import shutil
import urllib.parse
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sandbox.host.http import request
from sandbox.host.parts import Parts
from sandbox.host.ports import free_port
from sandbox.host.processes import Process, Processes, clean_environment

START_SECONDS = 30.0


class PrometheusNotInstalledError(Exception):
    """There is no `prometheus` on the PATH."""


class Configured(Protocol):
    """What a Prometheus is started with."""

    def configuration(self) -> dict[str, Any]:
        """Return the content of `prometheus.yml`."""


@dataclass(frozen=True, slots=True)
class PrometheusSettings:
    """What it scrapes, and how often."""

    autoscaling_group_name: str
    ec2_endpoint: str
    region: str
    access_key: str = "test"
    secret_key: str = "test"  # noqa: S105 - the emulator's
    exporter_port: int = 24231
    scrape_interval_seconds: float = 1.0
    refresh_interval_seconds: float = 1.0
    other_group_names: tuple[str, ...] = ()

    def configuration(self) -> dict[str, Any]:
        """The content of `prometheus.yml`."""
        discovery = {
            "endpoint": self.ec2_endpoint,
            "region": self.region,
            "access_key": self.access_key,
            "secret_key": self.secret_key,
            "port": self.exporter_port,
            "refresh_interval": _duration(self.refresh_interval_seconds),
            "filters": [
                {
                    "name": "tag:aws:autoscaling:groupName",
                    "values": [self.autoscaling_group_name, *self.other_group_names],
                },
                {"name": "instance-state-name", "values": ["running"]},
            ],
        }
        job = {
            "job_name": "fluentd",
            "ec2_sd_configs": [discovery],
            "relabel_configs": [
                {"source_labels": ["__meta_ec2_instance_id"], "target_label": "instance_id"},
                {
                    "source_labels": ["__meta_ec2_availability_zone"],
                    "target_label": "availability_zone",
                },
            ],
        }
        interval = _duration(self.scrape_interval_seconds)
        timing = {"scrape_interval": interval, "scrape_timeout": interval}
        return {"global": timing, "scrape_configs": [job]}


class Prometheus(Parts):
    """The server, as a context manager. It can be stopped and started again, data and port kept."""

    def __init__(self, settings: Configured, directory: Path) -> None:
        program = shutil.which("prometheus")
        if program is None:
            raise PrometheusNotInstalledError(
                "prometheus is not on the PATH: install it (Debian: apt-get install prometheus)"
            )
        self._program = program
        self._settings = settings
        self._directory = directory.resolve()
        self._processes = Processes(self._directory / "logs")
        self._starts = 0
        self._port = free_port()
        self._process: Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def _start(self, starting: ExitStack) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)
        self._directory.mkdir(parents=True)
        # JSON is YAML; a file written by hand would say the same.
        configuration = json.dumps(self._settings.configuration(), indent=2)
        (self._directory / "prometheus.yml").write_text(configuration)
        starting.enter_context(self._processes)
        self.start()

    def start(self) -> None:
        """Start it, if it does not run, and wait until it answers."""
        if self._process is not None:
            return
        self._starts += 1
        self._process = self._processes.start(
            f"prometheus-{self._starts}",
            [
                self._program,
                f"--config.file={self._directory / 'prometheus.yml'}",
                f"--storage.tsdb.path={self._directory / 'data'}",
                f"--web.listen-address=127.0.0.1:{self._port}",
                "--log.level=warn",
            ],
            environment=clean_environment(),
        )
        self._process.wait_until(self._is_ready, seconds=START_SECONDS)

    def stop(self) -> None:
        """Stop it, if it runs."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def crash(self) -> None:
        """Kill it as a crash would, and start it again on what it has left, its port included."""
        if self._process is not None:
            self._process.kill()
            self._process = None
        self.start()

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The result of an instant query (for tests and the demo's screen)."""
        parameters = urllib.parse.urlencode({"query": expression})
        answer = request("GET", f"{self.url}/api/v1/query?{parameters}")
        return list(answer["data"]["result"])

    def _is_ready(self) -> bool:
        try:
            request("GET", f"{self.url}/-/ready", timeout=1)
        except OSError:
            return False
        return True


def _duration(seconds: float) -> str:
    return f"{int(seconds * 1000)}ms"
