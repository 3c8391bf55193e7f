"""What CI runs, on machines with other Pythons."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / ".ci" / "run"
SHIM = "echo 'no such version' >&2; exit 127"


def _run(folder: Path, python: str, newer: str, make: str) -> tuple[int, list[str]]:
    """Run the script where these programs come first; its status, and what it made."""
    (folder / ".ci").mkdir()
    shutil.copy(SCRIPT, folder / ".ci")
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    programs = folder / "programs"
    programs.mkdir()
    made = folder / "made"
    scripts = {"python3": python, "python3.13": newer, "make": f'echo "$*" >>{made}\n{make}'}
    for name, script in scripts.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    done = subprocess.run([str(folder / ".ci" / "run")], check=False, env={"PATH": path})
    return done.returncode, made.read_text().splitlines()


@pytest.mark.parametrize(
    ("python", "newer"),
    [("echo Python 3.11.7", SHIM), ("echo Python 3.13.0", "echo Python 3.13.0")],
)
def test_without_a_second_python_it_is_make_test(tmp_path: Path, python: str, newer: str) -> None:
    assert _run(tmp_path, python, newer, "exit 0") == (0, ["test"])


@pytest.mark.parametrize("failing", ["unit", "test"])
def test_a_second_python_runs_the_unit_tests_and_either_failure_counts(
    tmp_path: Path, failing: str
) -> None:
    fails = f'case "$*" in *{failing}) exit 2;; esac'
    status, made = _run(tmp_path, "echo Python 3.11.7", "echo Python 3.13.0", fails)
    assert status == 2
    assert made == ["-C build/python3.13 PYTHON=python3.13 unit", "test"]
