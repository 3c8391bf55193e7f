"""The recorder: polls the local cloud twice a second, keeps every answer, informs the view.

timeline.jsonl gets one JSON object a line, as it happens, so that an interrupted run can still
be studied: `{"kind": "sample" | "journal" | "notification" | "phase" | "disruption" | "error"}`.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any, Protocol, Self

from sandbox.demo.model import Disruption, JournalEntry, Notification, Phase, Sample
from sandbox.demo.view.view import View
from sandbox.demo.view.words import announced, told
from sandbox.host.waiting import CheckFailed, wait_until

_INTERVAL_SECONDS = 0.5
# So long may the emulators be too busy to answer before the run fails.
_UNANSWERED_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Observation:
    """The answers of one poll: the state, and what happened since the poll before."""

    sample: Sample
    journal: tuple[JournalEntry, ...]
    notifications: tuple[Notification, ...]


class Observer(Protocol):
    """Polls the local cloud and the fleet."""

    def observe(self, at: float, phase: str) -> Observation:
        """Poll once; `at` is the time of the poll in seconds since the start."""


class Clock:
    """Seconds since the demo started, from a monotonic clock."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.started_at = time.time()

    def now(self) -> float:
        return time.monotonic() - self._began

    def since_start(self, epoch_seconds: float) -> float:
        """An absolute time as seconds since the start."""
        return epoch_seconds - self.started_at


class Recorder:
    """Everything that was seen in one run; a context manager around its own thread."""

    def __init__(self, clock: Clock, path: Path, view: View) -> None:
        self._clock = clock
        self._view = view
        self._file: IO[str] = path.open("w", encoding="utf-8")
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._last_answer = clock.now()
        self._last_error = ""
        self.samples: list[Sample] = []
        self.journal: list[JournalEntry] = []
        self.notifications: list[Notification] = []
        self.phases: list[Phase] = []
        self.disruptions: list[Disruption] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._file.close()

    def watch(self, observer: Observer) -> None:
        """Poll from now on, until the recorder is left."""
        self._last_answer = self._clock.now()
        self._thread = threading.Thread(
            target=self._run, args=(observer,), name="recorder", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Poll no more; every answer so far is kept."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=_UNANSWERED_SECONDS)

    def phase(self, name: str) -> None:
        phase = Phase(self._clock.now(), name)
        self.phases.append(phase)
        self._write("phase", phase)
        self._view.phase(phase.at, name)

    def progress(self, text: str) -> None:
        self._view.progress(text)

    def note(self, text: str) -> None:
        self._view.note(self._clock.now(), text)

    @contextmanager
    def disruption(self, name: str) -> Iterator[None]:
        """Remember that something is broken on purpose while the block runs."""
        index = len(self.disruptions)
        self.disruptions.append(Disruption(name, self._clock.now()))
        self._write("disruption", self.disruptions[index])
        self.note(f"broken on purpose: {name}")
        try:
            yield
        finally:
            self.disruptions[index] = replace(self.disruptions[index], until=self._clock.now())
            self._write("disruption", self.disruptions[index])
            self.note(f"repaired: {name}")

    def wait_for(
        self, what: str, holds: Callable[[Sample], bool], timeout_seconds: float
    ) -> Sample:
        """The first sample, seen from now on, for which `holds` is true."""
        begun = self._clock.now()

        def probe() -> Sample | None:
            self._require_answers()
            return next((sample for sample in self._since(begun) if holds(sample)), None)

        return wait_until(what, probe, timeout_seconds, situation=self.situation)

    def while_holding(self, what: str, holds: Callable[[Sample], bool], seconds: float) -> None:
        """Watch for so long that `holds` is true of every sample; fail at the first other."""
        begun = self._clock.now()
        while self._clock.now() < begun + seconds:
            self._require_answers()
            for sample in self._since(begun):
                if not holds(sample):
                    raise CheckFailed(f"It did not hold that {what}. {self.situation()}")
            time.sleep(_INTERVAL_SECONDS)

    def situation(self) -> str:
        """The newest sample, in a sentence or two."""
        if not self.samples:
            return f"Nothing was seen of the group yet. {self._last_error}".strip()
        sample = self.samples[-1]
        instances = "; ".join(
            f"{one.instance_id} {one.lifecycle_state}, "
            f"{'registered' if one.registered else 'not registered'}, "
            f"buffer {one.buffer_bytes} bytes, verdict {one.verdict or 'none'}"
            f"{f' ({one.reason})' if one.reason else ''}"
            for one in sample.instances
        )
        letters = {queue: depth for queue, depth in sample.dead_letters.items() if depth}
        return (
            f"Last seen at {sample.at:.1f} s: desired capacity {sample.desired_capacity}; "
            f"{instances or 'no instance'}; dead letters {letters or 'none'}; "
            f"alarms {', '.join(sample.alarms) or 'none'}."
        )

    def _since(self, begun: float) -> list[Sample]:
        return [sample for sample in self.samples[-200:] if sample.at >= begun]

    def _require_answers(self) -> None:
        unanswered = self._clock.now() - self._last_answer
        if unanswered > _UNANSWERED_SECONDS:
            raise CheckFailed(
                f"The local cloud did not answer for {unanswered:.0f} s: {self._last_error}"
            )

    def _run(self, observer: Observer) -> None:
        while not self._stop.is_set():
            began = self._clock.now()
            phase = self.phases[-1].name if self.phases else ""
            try:
                self._keep(observer.observe(began, phase))
            except Exception as error:  # noqa: BLE001 - a busy emulator must not end the record
                self._last_error = f"{type(error).__name__}: {error}"
                self._write("error", {"at": began, "error": self._last_error})
            self._stop.wait(max(0.01, _INTERVAL_SECONDS - (self._clock.now() - began)))

    def _keep(self, seen: Observation) -> None:
        self._last_answer = self._clock.now()
        for entry in seen.journal:
            self.journal.append(entry)
            self._write("journal", entry)
            sentence = told(entry)
            if sentence:
                self._view.note(entry.at, sentence)
        for notification in seen.notifications:
            self.notifications.append(notification)
            self._write("notification", notification)
            self._view.note(notification.at, announced(notification))
        self.samples.append(seen.sample)
        self._write("sample", seen.sample)
        self._view.sample(seen.sample)

    def _write(self, kind: str, content: Any) -> None:  # noqa: ANN401 - any dataclass or mapping
        fields = content if isinstance(content, dict) else asdict(content)
        with self._lock:
            if not self._file.closed:
                self._file.write(json.dumps({"kind": kind, **fields}, default=str) + "\n")
                self._file.flush()
