"""How a process of the fleet says that it is ready, and where it can be reached."""

import time
from pathlib import Path

from sandbox.fleet.process import Process, ProcessFailedError

READY_SECONDS = 30.0
POLL_SECONDS = 0.05


def announce(ready_file: Path, text: str) -> None:
    """Write a file that is there completely or not at all."""
    unfinished = ready_file.with_suffix(".unfinished")
    unfinished.write_text(text)
    unfinished.rename(ready_file)


def await_ready(process: Process, ready_file: Path) -> str:
    """What the process announced, once it did."""
    deadline = time.monotonic() + READY_SECONDS
    while not ready_file.exists():
        if not process.is_running:
            raise ProcessFailedError(f"ended at start: see {process.log}")
        if time.monotonic() > deadline:
            raise ProcessFailedError(f"not ready after {READY_SECONDS:.0f} s: see {process.log}")
        time.sleep(POLL_SECONDS)
    return ready_file.read_text()
