"""Each deliberate bug is caught; the sources without any pass the very same checks."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.model.mutations import MODEL, MUTATIONS, Mutation

_ROOT = Path(__file__).parents[2]
_PARTS = ("lifecycle", "handlers", "waiters", "sandbox", "tests", "terraform", "pyproject.toml")
# Enough for every bug that histories are to catch; most are caught by one of the first.
_HISTORIES = "150"


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[Path]:
    """A copy of the sources and of their tests."""
    ignored = shutil.ignore_patterns("__pycache__", ".terraform*")
    for part in _PARTS:
        if (_ROOT / part).is_dir():
            shutil.copytree(_ROOT / part, tmp_path / part, ignore=ignored)
        else:
            shutil.copy(_ROOT / part, tmp_path)
    yield tmp_path
    shutil.rmtree(tmp_path)


def run(copy: Path, *checks: str, histories: str = _HISTORIES) -> subprocess.CompletedProcess[str]:
    """Run checks on the copy; 0: all passed, 1: one failed, anything else: they could not run."""
    unset = {name for name in os.environ if name.startswith(("PYTEST_", "COV_"))}
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    sockets = ["--allow-hosts=127.0.0.1"] if "integration" in checks[0] else ["--disable-socket"]
    options = ["-q", "-x", "-p", "no:cacheprovider", "--allow-unix-socket", *sockets]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, *checks],
        cwd=copy,
        env={**environment, "HISTORIES": histories, "SHRINK": "0"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.name)
def test_a_deliberate_bug_is_caught(mutation: Mutation, copy: Path) -> None:
    mutation.apply(copy)
    outcome = run(copy, mutation.caught_by)
    assert outcome.returncode == 1, outcome.stdout[-2000:] + outcome.stderr[-2000:]


def test_without_a_bug_the_same_checks_pass(copy: Path) -> None:
    checks = {one.caught_by for one in MUTATIONS} - {MODEL}  # that one is run at length beside this
    for folder in ("unit", "integration"):
        outcome = run(copy, *sorted(one for one in checks if f"/{folder}/" in one))
        assert outcome.returncode == 0, outcome.stdout[-2000:]
