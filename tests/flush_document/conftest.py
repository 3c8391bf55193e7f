"""An instance in a scratch folder: real files, real processes, a systemctl that knows them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parent
SCRIPT = FOLDER.parents[1] / "terraform" / "flush.sh"
SYSTEMCTL = """#!/bin/sh
[ "$1 $2" = "show --property=MainPID" ] || { echo "unexpected: $*" >&2; exit 2; }
pid=0
if [ -f "$UNITS/$3" ]; then pid=$(cat "$UNITS/$3"); fi
# A process that ended but is not reaped yet is no unit's main process.
if grep -q '^State:.Z' "/proc/$pid/status" 2>/dev/null; then pid=0; fi
echo "MainPID=$pid"
"""


@dataclass(frozen=True)
class Answer:
    """What came of one run of the script."""

    status: int
    output: str
    complaint: str

    @property
    def json(self) -> dict[str, Any]:
        """The answer; it must be one line, and the only one."""
        assert self.status == 0, self.complaint
        assert self.output.endswith("\n")
        assert self.output.count("\n") == 1, self.output
        answer: dict[str, Any] = json.loads(self.output)
        return answer

    def refusal(self) -> str:
        """Why there is no answer; there must be none."""
        assert self.status == 1, self.output
        assert self.output == ""
        return self.complaint


@dataclass
class Instance:
    """One instance: its disk, its units, its Fluentd."""

    root: Path
    late: dict[str, Any] | None = None
    """With what to start Fluentd before the first flush: it loads what is there by then."""
    _processes: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def buffer(self) -> Path:
        return self.root / "buffer"

    @property
    def path(self) -> Path:
        """Where its own programs are: in front of the machine's."""
        return self.root / "bin"

    def chunk(self, name: str = f"buffer.b{'0a' * 16}.log", content: str = "line\n") -> Path:
        """A chunk file, or any other, below the root; with the `.meta` that belongs to it."""
        path = self.root / name if "/" in name else self.buffer / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        Path(f"{path}.meta").write_text("metadata of a chunk")
        return path

    def start(
        self,
        unit: str = "fluentd",
        before: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        **settings: object,
    ) -> int:
        """Run a Fluentd as a unit; its port for monitor_agent and RPC."""
        given = json.dumps({"buffer": str(self.buffer), **settings})
        process = subprocess.Popen(
            [*before, sys.executable, str(FOLDER / "fluentd.py"), given],
            stdout=subprocess.PIPE,
            text=True,
            # Not the machine's own /tmp/fluent.
            env={**os.environ, "FLUENT_BACKUP_DIR": f"{self.root}/own", **(environment or {})},
        )
        self._processes.append(process)
        assert process.stdout is not None
        ready, port = process.stdout.readline().split()
        assert ready == "ready"
        self.unit(unit, process.pid)
        return int(port)

    def begin(self) -> None:
        """Start Fluentd if it is still to be started: it loads no file that comes later."""
        settings, self.late = self.late, None
        if settings is not None:
            self.start(**settings)

    @property
    def main_process(self) -> int:
        return int((self.root / "units/fluentd").read_text())

    def unit(self, name: str, pid: int) -> None:
        (self.root / "units" / name).write_text(str(pid))

    def flush(self, shell: str = "sh", path: str | None = None, **settings: object) -> Answer:
        """Run the script as the document does, with these settings beside the plain ones."""
        self.begin()
        environment = {
            "PATH": path if path is not None else f"{self.path}:{os.environ['PATH']}",
            "UNITS": str(self.root / "units"),
            "FLUENTD_PROGRAM": "python",
            "SERVICE": "fluentd",
            "METHOD": "signal",
            "SIGNAL": "true",
            "RPC_PORT": "24444",
            "BUFFER_PATHS": str(self.buffer),
            "BACKUP_PATHS": "none",
            "MONITOR_AGENT_PORT": "0",
            "MONITOR_AGENT_REQUIRED": "false",
            "WORKERS": "1",
            "WAIT_SECONDS": "5",
            "QUIET_SECONDS": "0",
            **{name.upper(): str(value) for name, value in settings.items()},
        }
        done = subprocess.run(
            [shell, str(SCRIPT)],
            env=environment,
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def stop(self) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    """An instance with a buffer folder, and no Fluentd yet."""
    made = Instance(tmp_path)
    for folder in ("buffer", "units", "bin"):
        (tmp_path / folder).mkdir()
    systemctl = tmp_path / "bin" / "systemctl"
    systemctl.write_text(SYSTEMCTL)
    systemctl.chmod(0o755)
    yield made
    made.stop()
