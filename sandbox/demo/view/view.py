"""What the demo shows: a line for each event and, in a terminal, a live table.

The table stays below the lines and is redrawn in place. Without it (in CI, in a file) a change of
an instance is a line, too.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.filesize import decimal
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from sandbox.demo.model import InstanceSample, Phase, Sample
from sandbox.demo.view import table
from sandbox.demo.view.table import GONE

# A log file needs no more lines than that about a slow step.
_PROGRESS_SECONDS = 5.0


class View:
    """Shows one run. An instance that is gone keeps its row, with the last verdict on it.

    Methods may be called from any thread: the table is drawn from values that are replaced as a
    whole, never changed.
    """

    def __init__(
        self, scenario: str, console: Console, now: Callable[[], float], *, live: bool
    ) -> None:
        self._scenario = scenario
        self._console = console
        self._now = now
        self._spinner = Spinner("dots", style="cyan")
        self._phase = Phase(0.0, "")
        self._progress = ""
        self._progress_at = float("-inf")
        self._sample: Sample | None = None
        self._instances: Mapping[str, InstanceSample] = {}
        self._group: object = None
        # Last: it draws at once.
        self._live: Live | None = None
        if live:
            self._live = Live(console=console, get_renderable=self.render, refresh_per_second=4)

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def phase(self, at: float, name: str) -> None:
        self._phase, self._progress = Phase(at, name), ""
        self._write(at, f"== {name}", "bold")

    def progress(self, text: str) -> None:
        """A slow step moved on; the text replaces the one before."""
        self._progress = text
        now = time.monotonic()
        if not self._live and now - self._progress_at >= _PROGRESS_SECONDS:
            self._progress_at = now
            self._write(self._now(), f"   {text}")

    def note(self, at: float, text: str) -> None:
        self._write(at, text)

    def sample(self, sample: Sample) -> None:
        before, self._sample = self._instances, sample
        seen = {instance.instance_id: instance for instance in sample.instances}
        gone = {name: _gone(last, sample) for name, last in before.items() if name not in seen}
        self._instances = {**before, **gone, **seen}
        if not self._live:
            self._write_changes(before, sample)

    def render(self) -> RenderableType:
        """The table and what belongs to it, as it is now."""
        shown = self._phase, self._progress, self._scenario, self._now()
        parts: list[RenderableType] = [table.headline(self._spinner, *shown)]
        if self._sample is not None:
            rows = list(self._instances.values())
            parts += [table.totals(self._sample), table.instances(rows, self._console.width)]
            parts += [table.dead_letters(self._sample)]
        return Group(*parts)

    def _write_changes(self, before: Mapping[str, InstanceSample], sample: Sample) -> None:
        for name, instance in self._instances.items():
            if name not in before or _without_size(before[name]) != _without_size(instance):
                self._write(sample.at, _row(instance))
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

    def _write(self, at: float, text: str, style: str = "") -> None:
        self._console.print(Text(f"[{at:7.1f} s] {text}", style), soft_wrap=True)


def _gone(last: InstanceSample, sample: Sample) -> InstanceSample:
    """The row of an instance that is no longer there, with the last verdict on it."""
    verdict, reason = sample.verdicts.get(last.instance_id, (last.verdict, last.reason))
    return replace(
        last,
        lifecycle_state=GONE,
        registered=False,
        buffer_bytes=None,
        verdict=verdict,
        reason=reason,
    )


def _without_size(instance: InstanceSample) -> InstanceSample:
    """What must change for a new line; the buffer's size changes every time."""
    return replace(instance, buffer_bytes=None)


def _row(instance: InstanceSample) -> str:
    parts = [instance.instance_id, instance.lifecycle_state]
    if instance.lifecycle_state != GONE:
        parts += ["registered" if instance.registered else "not-registered"]
        held = instance.buffer_bytes
        parts += [f"buffer={'none' if held is None else decimal(held)}"]
    return " ".join(filter(None, (*parts, instance.verdict, instance.reason)))
