"""The SSM agents of the simulated instances: they fetch their commands and really run them.

An agent runs a document's script with /bin/sh in its instance's own world. Absolute paths in
parameters are paths on the instance's disk, which is a folder here; `systemctl` knows the
instance's Fluentd (`systemctl.sh`); FLUENTD_ADDRESS says where that Fluentd listens, since every
instance has a loopback address of its own, and FLUENTD_PROGRAM that it is no Ruby. A script that
takes longer than its document allows is killed with all its children, as is one whose instance
ends.
"""

import logging
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sandbox.emulator.ssm.document import CommandDocument, InvalidParametersError, Script
from sandbox.host.background import Background
from sandbox.host.parts import Parts
from sandbox.host.processes import CHILD, clean_environment

POLL_SECONDS = 0.3
STOP_SECONDS = 5.0
SYSTEMCTL = Path(__file__).with_name("systemctl.sh")
# At the beginning of a value or after a separator: not inside a path or a URL.
ABSOLUTE_PATH = re.compile(r"(?:(?<=^)|(?<=[\s,;=]))/(?!/)")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Machine:
    """What an agent finds on its instance."""

    address: str
    disk: Path
    """The folder that stands for `/`."""
    units: Path
    """A file for each systemd unit, with the number of its main process."""


class RunCommandService(Protocol):
    """The part of SSM that agents talk to: `EmulatorControl`."""

    def fetch_commands(self, instance_ids: Iterable[str]) -> list[dict[str, Any]]:
        """What SSM has for the agents of these instances."""

    def report_command(self, command_id: str, instance_id: str, report: dict[str, Any]) -> bool:
        """Report the result of a command."""


class SsmAgents(Parts):
    """One agent for each machine; a context manager around their threads."""

    def __init__(
        self, service: RunCommandService, machines: Callable[[], Mapping[str, Machine]]
    ) -> None:
        self._service = service
        self._machines = machines
        self._lock = threading.Lock()
        self._running: dict[str, tuple[str, subprocess.Popen[str]]] = {}
        self._threads: list[threading.Thread] = []

    def _start(self, starting: ExitStack) -> None:
        starting.callback(self._end)
        starting.enter_context(Background("SSM agents", self.poll, POLL_SECONDS))

    def _end(self) -> None:
        self._kill(lambda _instance_id: True)
        for thread in self._threads:
            thread.join(STOP_SECONDS)

    def poll(self) -> None:
        """Fetch new commands and start them; stop those of instances that are gone."""
        machines = self._machines()
        self._kill(lambda instance_id: instance_id not in machines)
        for assignment in self._service.fetch_commands(machines):
            machine = machines[assignment["instance_id"]]
            thread = threading.Thread(
                target=self._carry_out, args=(assignment, machine), daemon=True
            )
            thread.start()
            self._threads = [*(one for one in self._threads if one.is_alive()), thread]

    def _carry_out(self, assignment: dict[str, Any], machine: Machine) -> None:
        command_id, instance_id = assignment["command_id"], assignment["instance_id"]
        try:
            report = self._run(assignment, machine)
        except (OSError, InvalidParametersError, subprocess.SubprocessError) as error:
            logger.exception("%s on %s cannot be run", command_id, instance_id)
            report = {"exit_code": 1, "error": f"the agent failed: {error}"}
        if instance_id in self._machines():
            self._service.report_command(command_id, instance_id, report)

    def _run(self, assignment: dict[str, Any], machine: Machine) -> dict[str, Any]:
        script = rendered(assignment, machine.disk)
        folder = machine.disk / "var" / "lib" / "amazon" / "ssm" / assignment["command_id"]
        process = _started(script, folder, machine, assignment["instance_id"])
        with self._lock:
            self._running[assignment["command_id"]] = (assignment["instance_id"], process)
        try:
            output, error = process.communicate(timeout=script.timeout_seconds)
        except subprocess.TimeoutExpired:
            _kill(process)
            output, error = process.communicate()
            return {"exit_code": 137, "output": output, "error": error, "timed_out": True}
        finally:
            with self._lock:
                del self._running[assignment["command_id"]]
        return {"exit_code": process.returncode, "output": output, "error": error}

    def _kill(self, is_meant: Callable[[str], bool]) -> None:
        with self._lock:
            for instance_id, process in self._running.values():
                if is_meant(instance_id):
                    _kill(process)


def rendered(assignment: Mapping[str, Any], disk: Path) -> Script:
    """The script of an assignment, with its paths on the instance's disk."""
    document = CommandDocument(assignment["step"], assignment["inputs"], {})
    values = {name: _on_disk(one, disk) for name, one in assignment["parameters"].items()}
    return document.render(values)


def _on_disk(value: Any, disk: Path) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, list):
        return [_on_disk(one, disk) for one in value]
    return ABSOLUTE_PATH.sub(f"{disk}/", value) if isinstance(value, str) else value


def _started(
    script: Script, folder: Path, machine: Machine, instance_id: str
) -> subprocess.Popen[str]:
    programs = folder / "bin"
    programs.mkdir(parents=True)
    (programs / "systemctl").symlink_to(SYSTEMCTL)
    path = folder / "_script.sh"
    path.write_text(script.text)
    path.chmod(0o700)
    environment = clean_environment()
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(CHILD), str(os.getpid()), "/bin/sh", "-c", str(path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        cwd=folder,
        env={
            **environment,
            "PATH": f"{programs}{os.pathsep}{environment.get('PATH', os.defpath)}",
            "AWS_SSM_INSTANCE_ID": instance_id,
            "FLUENTD_ADDRESS": machine.address,
            "FLUENTD_PROGRAM": "python",
            "SANDBOX_UNITS": str(machine.units),
        },
        start_new_session=True,
    )


def _kill(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
