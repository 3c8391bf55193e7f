"""An action that a thread repeats, and that must not fail unseen."""

import logging
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)

STOP_SECONDS = 30.0
FAILURES_IN_A_ROW = 20


class BackgroundError(Exception):
    """A background task failed too often in a row."""


class Background:
    """Calls `action` every `seconds` while the block runs.

    One failure is logged: emulators are busy at times. Many in a row end the task, and leaving the
    block raises.
    """

    def __init__(self, name: str, action: Callable[[], None], seconds: float) -> None:
        self._name = name
        self._action = action
        self._seconds = seconds
        self._stop = threading.Event()
        self._failures = 0
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, _kind: object, error: object, _trace: object) -> None:
        self._stop.set()
        self._thread.join(STOP_SECONDS)
        if self._failure is not None and error is None:
            raise BackgroundError(f"{self._name} had failed") from self._failure

    def _run(self) -> None:
        while not self._stop.is_set() and self._failure is None:
            try:
                self._action()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next try may succeed
                self._note(error)
            else:
                self._failures = 0
            self._stop.wait(self._seconds)

    def _note(self, error: Exception) -> None:
        self._failures += 1
        logger.warning("%s failed, %d in a row: %r", self._name, self._failures, error)
        if self._failures >= FAILURES_IN_A_ROW:
            self._failure = error
