"""The demo in a terminal: one row an instance, redrawn in place a few times a second."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from sandbox.demo.view.board import GONE, Board, BoardState, clock, human_size

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from sandbox.demo.model import InstanceSample, Sample

_BAR_WIDTH = 8
_SHORT_ID = 12
_WIDE_TERMINAL = 112
_STATE_STYLES = {
    "Pending:Wait": "cyan",
    "InService": "green",
    "Terminating:Wait": "yellow",
    GONE: "bright_black",
}
_VERDICT_STYLES = {
    "FLUSHED": "bold green",
    "REMAINING": "yellow",
    "SET_ASIDE": "bold red",
    "DRAINED": "bold green",
    "DRAINING": "yellow",
    "UNKNOWN": "bold magenta",
}


class LiveView:
    """Shows a board in place. Rows stay when an instance is gone, so that none disappears."""

    def __init__(self, scenario: str, console: Console, now: Callable[[], float]) -> None:
        self._scenario = scenario
        self._console = console
        self._board = Board()
        self._now = now
        self._spinner = Spinner("dots", style="cyan")
        self._live = Live(console=console, get_renderable=self.render, refresh_per_second=4)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def phase(self, at: float, name: str) -> None:
        self._board.phase(at, name)

    def progress(self, text: str) -> None:
        self._board.progress(text)

    def note(self, at: float, text: str) -> None:
        self._board.note(at, text)

    def sample(self, sample: Sample) -> None:
        self._board.sample(sample)

    def render(self) -> RenderableType:
        """The whole picture as it is now."""
        state = self._board.state()
        parts: list[RenderableType] = [self._headline(state)]
        if state.sample is not None:
            parts += [_totals(state.sample), self._instances(state), _dead_letters(state.sample)]
        parts += [Text(f"{clock(note.at)}  {note.text}", style="dim") for note in state.notes]
        return Group(*parts)

    def _headline(self, state: BoardState) -> RenderableType:
        elapsed = self._now()
        line = Table.grid(expand=True, padding=(0, 1))
        line.add_column(width=2)
        line.add_column(ratio=1, overflow="ellipsis", no_wrap=True)
        line.add_column(justify="right", no_wrap=True)
        text = Text.assemble((state.phase, "bold"))
        if state.progress:
            text.append(f"  {state.progress}", style="dim")
        in_phase = clock(elapsed - state.phase_since)
        line.add_row(
            self._spinner,
            text,
            Text.assemble((f"{self._scenario}  ", "dim"), (f"{in_phase} / ", "dim"),
                          (clock(elapsed), "bold")),
        )  # fmt: skip
        return line

    def _instances(self, state: BoardState) -> Table:
        table = Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False, padding=(0, 1))
        table.add_column("Instance", no_wrap=True)
        table.add_column("Lifecycle", no_wrap=True, min_width=16)
        table.add_column("Discovery", no_wrap=True, min_width=10)
        table.add_column("Buffer", no_wrap=True, min_width=_BAR_WIDTH + 10)
        table.add_column("Verdict", no_wrap=True, min_width=8)
        table.add_column("Reason", ratio=1, overflow="fold")
        largest = max((row.buffer_bytes or 0 for row in state.instances), default=0)
        for row in state.instances:
            table.add_row(*self._cells(row, largest), style="dim" if _gone(row) else "")
        return table

    def _cells(self, row: InstanceSample, largest: int) -> tuple[Text, ...]:
        wide = self._console.width >= _WIDE_TERMINAL
        return (
            Text(row.instance_id if wide else row.instance_id[:_SHORT_ID]),
            Text(row.lifecycle_state, style=_STATE_STYLES.get(row.lifecycle_state, "")),
            Text("registered", style="green") if row.registered else Text("–"),  # noqa: RUF001
            _buffer(row.buffer_bytes, largest),
            Text(row.verdict or "", style=_VERDICT_STYLES.get(row.verdict or "", "")),
            Text((row.reason or "").replace("_", " ")),
        )


def _gone(row: InstanceSample) -> bool:
    return row.lifecycle_state == GONE


def _buffer(size: int | None, largest: int) -> Text:
    if size is None:
        return Text("–")  # noqa: RUF001 - a dash for people
    filled = round(_BAR_WIDTH * max(size, 0) / largest) if largest else 0
    if size > 0:
        filled = max(filled, 1)
    return Text.assemble(
        (f"{human_size(size):>9} ", "bold" if size else "green"),
        ("█" * filled, "yellow"),
        ("·" * (_BAR_WIDTH - filled), "bright_black"),
    )


def _totals(sample: Sample) -> Text:
    registered = sum(instance.registered for instance in sample.instances)
    return Text.assemble(
        "   desired ", (str(sample.desired_capacity), "bold"),
        "   alive ", (str(len(sample.instances)), "bold"),
        "   registered ", (str(registered), "bold"),
        "   lines sent ", (f"{sample.lines_sent:,}", "bold"),
        "   in S3 ", (f"{sample.lines_delivered:,}", "bold"),
        "   on the way ", (f"{sample.lines_sent - sample.lines_delivered:,}", "bold"),
    )  # fmt: skip


def _dead_letters(sample: Sample) -> Text:
    letters = {queue: depth for queue, depth in sample.dead_letters.items() if depth}
    queues = ", ".join(f"{queue}: {depth}" for queue, depth in letters.items())
    return Text.assemble(
        "   dead letters ",
        (queues or "none", "bold red" if letters else "green"),
        "   alarms ",
        (", ".join(sample.alarms) or "none", "bold red" if sample.alarms else "green"),
        "   notifications ",
        (str(sample.notifications), "bold" if sample.notifications else "green"),
        "\n",
    )
