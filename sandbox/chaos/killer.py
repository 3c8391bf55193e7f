"""Kills functions in the middle of their work.

MiniStack runs each function in worker processes of its own and says which of them are at work
(`sandbox.ministack.plugins.chaos`). One of these is killed with SIGKILL, by its process id: the
same to Lambda as a lost execution environment, with half of the calls made.
"""

import json
import os
import signal
import threading
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

from sandbox.host.background import Background
from sandbox.host.parts import Parts

POLL_SECONDS = 0.02
# Runs take 0.1 to 3 s here: somewhere in them.
LONGEST_DELAY_SECONDS = 0.3
WORKER = b"_worker.py"


@dataclass(frozen=True, slots=True)
class Running:
    """One run of a function, in one process."""

    pid: int
    function: str
    run: str


class Killer(Parts):
    """A thread that kills a share of all runs while it is on.

    Each run has the same chance, a second attempt as much as a first one. If a chosen run ends
    before it is killed, the next run is killed instead.
    """

    def __init__(self, running: Path, workers: Path, dice: Random, share: float) -> None:
        """`running` holds MiniStack's notes; only what was started from `workers` is killed."""
        self._running = running
        self._workers = workers.resolve()
        self._dice = dice
        self._share = share
        self._seen: set[Running] = set()
        self._chosen: dict[Running, float] = {}
        self._missed = 0
        self._on = threading.Event()
        self.killed: Counter[str] = Counter()

    def _start(self, starting: ExitStack) -> None:
        starting.enter_context(Background("killer", self._poll, POLL_SECONDS))

    def begin(self) -> None:
        """Kill from now on, also among the runs that are at work already."""
        self._on.set()

    def pause(self) -> None:
        """Kill no run until it begins again."""
        self._on.clear()

    def _poll(self) -> None:
        at_work: set[Running] = set()
        if self._on.is_set():
            at_work = running_in(self._running)
            self._choose(at_work)
            self._execute(at_work)
        # A run seen while the killer was off was not drawn for: it is new at the next `begin`.
        self._seen = at_work

    def _choose(self, at_work: set[Running]) -> None:
        """Draw for each new run whether it is killed, and when."""
        for run in sorted(at_work - self._seen, key=lambda run: run.pid):
            drawn, delay = self._dice.random(), self._dice.uniform(0, LONGEST_DELAY_SECONDS)
            if drawn < self._share or self._missed:
                self._missed = max(0, self._missed - 1)
                self._chosen[run] = time.monotonic() + delay

    def _execute(self, at_work: set[Running]) -> None:
        """Kill the chosen runs that are due, if they are still at work."""
        for run, due in list(self._chosen.items()):
            if run not in at_work:
                self._missed += 1
            elif time.monotonic() < due:
                continue
            elif is_worker(run.pid, self._workers):
                self._kill(run)
            del self._chosen[run]

    def _kill(self, run: Running) -> None:
        with suppress(ProcessLookupError):
            os.kill(run.pid, signal.SIGKILL)
            self.killed[run.function] += 1


def running_in(folder: Path) -> set[Running]:
    """The functions that are at work, by MiniStack's notes."""
    found = set()
    for note in folder.iterdir() if folder.is_dir() else ():
        # It may be just written, or just gone.
        with suppress(OSError, ValueError, KeyError):
            said = json.loads(note.read_text())
            found.add(Running(int(note.name), said["function"], said["run"]))
    return found


def is_worker(pid: int, workers: Path) -> bool:
    """Whether this process is one of the functions that this very cloud has started."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    inside = os.fsencode(workers) + b"/"
    return any(word.startswith(inside) and word.endswith(WORKER) for word in words)
