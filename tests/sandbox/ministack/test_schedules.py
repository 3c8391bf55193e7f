"""Schedules of the local cloud do not come round by themselves: stories invoke their targets."""

import subprocess

import pytest

from sandbox.cloud import PROJECT
from sandbox.ministack.server import DEFAULT_PYTHON

START = "from ministack.services import eventbridge; eventbridge.start_scheduler()"
NAMES = "import threading; print(*(one.name for one in threading.enumerate()))"
ADDITION = "import runpy; runpy.run_path('sandbox/ministack/plugins/schedules.py')['register']()"


@pytest.mark.parametrize(("before", "runs"), [(ADDITION, False), ("", True)])
def test_no_thread_polls_the_schedules_once_they_stand_still(before: str, *, runs: bool) -> None:
    """Without the addition MiniStack does: the name of its thread is still the one looked for."""
    done = subprocess.run(
        [DEFAULT_PYTHON, "-c", f"{before}\n{START}\n{NAMES}"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert ("eb-scheduler" in done.stdout.split()) is runs
