"""A missing program is brought along or asked for; it is never just missing."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "programs.sh"
PLAIN_COMMANDS = ("bash", "env", "id", "mkdir", "mktemp", "mv", "rm")


@dataclass(frozen=True)
class Machine:
    """A PATH with just what a test puts there."""

    path: Path
    programs: Path

    def install(self, name: str, script: str = "exit 0") -> None:
        program = self.path / name
        program.write_text(f"#!/usr/bin/env bash\n{script}\n")
        program.chmod(0o755)

    def run(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(SCRIPT), str(self.programs)],
            env={"PATH": str(self.path), "TMPDIR": os.environ.get("TMPDIR", "/tmp")},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    path = tmp_path / "bin"
    path.mkdir()
    for command in PLAIN_COMMANDS:
        found = shutil.which(command)
        assert found, command
        (path / command).symlink_to(found)
    return Machine(path, tmp_path / "programs")


def test_nothing_is_said_when_all_is_there(machine: Machine) -> None:
    machine.install("terraform")
    machine.install("prometheus")
    machine.install("promtool")
    done = machine.run()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_missing_terraform_fails_and_says_where_to_get_it(machine: Machine) -> None:
    machine.install("prometheus")
    machine.install("promtool")
    done = machine.run()
    assert done.returncode != 0
    assert "terraform is missing. Install Terraform" in done.stderr


def test_a_missing_prometheus_is_unpacked_from_the_debian_package(machine: Machine) -> None:
    machine.install("terraform")
    machine.install("apt-get", '[[ "$*" == *download* ]] && : >prometheus_2_amd64.deb')
    machine.install(
        "dpkg-deb",
        'mkdir -p "$3/usr/bin"; for one in prometheus promtool; do '
        'echo "#!/usr/bin/env bash" >"$3/usr/bin/$one"; '
        f'{shutil.which("chmod")} +x "$3/usr/bin/$one"; done',
    )
    done = machine.run()
    again = machine.run()
    assert done.returncode == 0, done.stderr
    assert all(os.access(machine.programs / one, os.X_OK) for one in ("prometheus", "promtool"))
    assert [path.name for path in machine.programs.iterdir() if path.is_dir()] == []
    assert (again.returncode, again.stderr) == (0, "")


def test_a_failed_download_leaves_nothing_behind_and_says_where_the_reason_is(
    machine: Machine,
) -> None:
    machine.install("terraform")
    machine.install("apt-get", "echo no such package >&2; exit 100")
    machine.install("dpkg-deb")
    done = machine.run()
    assert done.returncode != 0
    assert "promtool is missing" in done.stderr
    log = machine.programs / "prometheus.log"
    assert str(log) in done.stderr
    assert "no such package" in log.read_text()
    assert list(machine.programs.iterdir()) == [log]
