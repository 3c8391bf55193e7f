"""The log lines of a web server on the same instance as its Fluentd, numbered from 1.

The highest number is written down before Fluentd gets the line: a line that is lost between the two
counts as sent, and as lost.
"""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from sandbox.fleet.fluentd.protocol import Batch, pack_entry
from sandbox.fleet.lines import log_record

TAG = "web.access"
INTERVAL_SECONDS = 0.25


class LineSource:
    """Makes lines at a rate that can be set, 0 at first."""

    def __init__(
        self,
        name: str,
        emit: Callable[[Batch], None],
        ledger: Path,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._name = name
        self._emit = emit
        self._ledger = ledger
        self._clock = clock
        self._sent = lines_sent(ledger)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._lines_per_second = 0.0
        self._owed = 0.0

    def set_rate(self, lines_per_second: float) -> None:
        """Make so many lines a second; with 0, none is made any more when this returns."""
        with self._lock:
            self._lines_per_second = lines_per_second

    def work(self, seconds: float) -> None:
        with self._lock:
            self._owed += seconds * self._lines_per_second
            lines, self._owed = int(self._owed), self._owed % 1
            if self._lines_per_second and lines:
                self._make(lines)

    def start(self) -> None:
        threading.Thread(target=self._run, name="source", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()
        self.set_rate(0)

    def _make(self, lines: int) -> None:
        now = self._clock()
        numbers = range(self._sent + 1, self._sent + lines + 1)
        entries = b"".join(pack_entry(now, log_record(self._name, n, now)) for n in numbers)
        self._sent += lines
        _write_down(self._ledger, self._sent)
        self._emit(Batch(TAG, entries, lines, None))

    def _run(self) -> None:
        earlier = time.monotonic()
        while not self._stopping.wait(INTERVAL_SECONDS):
            now = time.monotonic()
            self.work(now - earlier)
            earlier = now


def lines_sent(ledger: Path) -> int:
    """The highest number that was made, by whatever process."""
    try:
        return int(ledger.read_text())
    except FileNotFoundError:
        return 0


def _write_down(ledger: Path, number: int) -> None:
    written = ledger.with_suffix(".new")
    written.write_text(str(number))
    os.replace(written, ledger)  # noqa: PTH105 - a reader never sees half a number
