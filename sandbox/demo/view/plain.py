"""The demo where there is no terminal (CI, a file): a line whenever something changed."""

from __future__ import annotations

import threading
import time
from typing import IO, TYPE_CHECKING, Self

from sandbox.demo.view.board import GONE, human_size

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from sandbox.demo.model import InstanceSample, Sample

# A log file needs no more than that of a slow step.
_PROGRESS_SECONDS = 5.0

# What has to differ for a new line; the buffer's size alone does not: it differs every time.
_Face = tuple[str, bool, str | None, str | None]


class PlainView:
    """Appends lines to a stream; each begins with the seconds since the start."""

    def __init__(self, stream: IO[str], now: Callable[[], float]) -> None:
        self._stream = stream
        self._now = now
        self._lock = threading.Lock()
        self._faces: dict[str, _Face] = {}
        self._group: object = None
        self._progress_at = float("-inf")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stream.flush()

    def phase(self, at: float, name: str) -> None:
        self._write(at, f"== {name}")

    def progress(self, text: str) -> None:
        now = time.monotonic()
        if now - self._progress_at >= _PROGRESS_SECONDS:
            self._progress_at = now
            self._write(self._now(), f"   {text}")

    def note(self, at: float, text: str) -> None:
        self._write(at, text)

    def sample(self, sample: Sample) -> None:
        """Write what differs from the sample before."""
        seen = {instance.instance_id: instance for instance in sample.instances}
        for instance_id in [name for name in self._faces if name not in seen]:
            face = (GONE, False, *sample.verdicts.get(instance_id, (None, None)))
            if self._faces[instance_id] != face:
                self._faces[instance_id] = face
                self._write(sample.at, " ".join(filter(None, (instance_id, GONE, *face[2:]))))
        for instance_id, instance in seen.items():
            if self._faces.get(instance_id) != _face(instance):
                self._faces[instance_id] = _face(instance)
                self._write(sample.at, _row(instance))
        self._write_group(sample)

    def _write_group(self, sample: Sample) -> None:
        letters = {queue: depth for queue, depth in sample.dead_letters.items() if depth}
        group = (sample.desired_capacity, letters, sample.alarms, sample.notifications)
        if group != self._group:
            self._group = group
            self._write(
                sample.at,
                f"desired={sample.desired_capacity} "
                f"sent={sample.lines_sent} delivered={sample.lines_delivered} "
                f"dead_letters={letters or 'none'} alarms={','.join(sample.alarms) or 'none'} "
                f"notifications={sample.notifications}",
            )

    def _write(self, at: float, text: str) -> None:
        with self._lock:
            self._stream.write(f"[{at:7.1f} s] {text}\n")
            self._stream.flush()


def _face(instance: InstanceSample) -> _Face:
    return (
        instance.lifecycle_state,
        instance.registered,
        instance.verdict,
        instance.reason,
    )


def _row(instance: InstanceSample) -> str:
    parts = [
        instance.instance_id,
        instance.lifecycle_state,
        "registered" if instance.registered else "not-registered",
        f"buffer={human_size(instance.buffer_bytes) or 'none'}",
    ]
    if instance.verdict:
        parts.append(f"{instance.verdict} {instance.reason or ''}".rstrip())
    return " ".join(parts)
