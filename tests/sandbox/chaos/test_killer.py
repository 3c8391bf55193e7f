"""Only functions of this very cloud are killed, and only in the middle of their work."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from sandbox.chaos.killer import Killer, Running, is_worker, running_in

SECONDS = 60.0


class Place:
    """A cloud's folder with workers that sleep, and MiniStack's notes about them."""

    def __init__(self, folder: Path) -> None:
        self.workers = folder / "tmp"
        self.running = folder / "running"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.running.mkdir()

    def worker(self, folder: Path | None = None) -> subprocess.Popen[bytes]:
        script = (folder or self.workers) / "ministack-lambda-x" / "_worker.py"
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text("print(flush=True); import time; time.sleep(60)")
        process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE)
        self.processes.append(process)
        assert process.stdout is not None
        process.stdout.readline()
        return process

    def note(self, pid: int, run: str = "1") -> Path:
        note = self.running / str(pid)
        note.write_text(json.dumps({"function": "buffer-waiter", "run": run}))
        return note

    def killer(self, share: float = 1.0) -> Killer:
        return Killer(self.running, self.workers, Random(1), share)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    for process in place.processes:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chosen run is killed at the poll that chooses it."""
    monkeypatch.setattr("sandbox.chaos.killer.LONGEST_DELAY_SECONDS", 0.0)


def test_a_function_at_work_is_killed_and_counted(place: Place) -> None:
    victim = place.worker()
    place.note(victim.pid)
    with place.killer() as killer:
        killer.begin()
        assert victim.wait(SECONDS) == -9
    assert set(killer.killed) == {"buffer-waiter"}


def test_none_is_killed_before_it_begins_nor_during_a_pause(place: Place) -> None:
    place.note(place.worker().pid)
    killer = place.killer()
    killer._poll()
    killer.begin()
    killer.pause()
    killer._poll()
    assert not killer.killed
    killer.begin()
    killer._poll()
    assert killer.killed


def test_a_process_that_this_cloud_did_not_start_is_left_alone(
    place: Place, tmp_path: Path
) -> None:
    # A note may outlive its process, and the kernel gives process ids again.
    strangers = [place.worker(tmp_path / "other" / "tmp").pid, os.getpid()]
    for pid in strangers:
        place.note(pid)
    killer = place.killer()
    killer.begin()
    killer._poll()
    assert [is_worker(pid, place.workers) for pid in strangers] == [False, False]
    assert not killer.killed


def test_a_note_that_is_just_being_written_is_no_run_yet(place: Place) -> None:
    place.note(41)
    (place.running / "42").write_text('{"func')
    assert running_in(place.running) == {Running(41, "buffer-waiter", "1")}
    assert running_in(place.running / "missing") == set()
