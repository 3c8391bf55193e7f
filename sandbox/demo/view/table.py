"""The live table of the demo: one row an instance, and the totals around it."""

from collections.abc import Sequence

from rich import box
from rich.console import RenderableType
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from sandbox.demo.model import InstanceSample, Phase, Sample
from sandbox.demo.view.words import clock

GONE = "Terminated"
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


def headline(
    sign: RenderableType, phase: Phase, progress: str, scenario: str, elapsed: float
) -> Table:
    """What happens now, since when, and for how long the demo has run."""
    line = Table.grid(expand=True, padding=(0, 1))
    line.add_column(width=2)
    line.add_column(ratio=1, overflow="ellipsis", no_wrap=True)
    line.add_column(justify="right", no_wrap=True)
    in_phase = clock(elapsed - phase.at)
    line.add_row(
        sign,
        Text.assemble((phase.name, "bold"), (f"  {progress}", "dim")),
        Text.assemble((f"{scenario}  {in_phase} / ", "dim"), (clock(elapsed), "bold")),
    )
    return line


def instances(rows: Sequence[InstanceSample], width: int) -> Table:
    """A row for each instance, gone ones included."""
    table = Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False, padding=(0, 1))
    table.add_column("Instance", no_wrap=True)
    table.add_column("Lifecycle", no_wrap=True, min_width=16)
    table.add_column("Discovery", no_wrap=True, min_width=10)
    table.add_column("Buffer", no_wrap=True, min_width=_BAR_WIDTH + 10)
    table.add_column("Verdict", no_wrap=True, min_width=8)
    table.add_column("Reason", ratio=1, overflow="fold")
    largest = max((row.buffer_bytes or 0 for row in rows), default=0)
    length = None if width >= _WIDE_TERMINAL else _SHORT_ID
    for row in rows:
        table.add_row(
            Text(row.instance_id[:length]),
            Text(row.lifecycle_state, style=_STATE_STYLES.get(row.lifecycle_state, "")),
            Text("registered", style="green") if row.registered else Text("–"),  # noqa: RUF001
            _buffer(row.buffer_bytes, largest),
            Text(row.verdict or "", style=_VERDICT_STYLES.get(row.verdict or "", "")),
            Text((row.reason or "").replace("_", " ")),
            style="dim" if row.lifecycle_state == GONE else "",
        )
    return table


def totals(sample: Sample) -> Text:
    """The group, and the lines sent, delivered and in transit."""
    registered = sum(instance.registered for instance in sample.instances)
    return Text.assemble(
        "   desired ", (str(sample.desired_capacity), "bold"),
        "   alive ", (str(len(sample.instances)), "bold"),
        "   registered ", (str(registered), "bold"),
        "   lines sent ", (f"{sample.lines_sent:,}", "bold"),
        "   in S3 ", (f"{sample.lines_delivered:,}", "bold"),
        "   in transit ", (f"{sample.lines_sent - sample.lines_delivered:,}", "bold"),
    )  # fmt: skip


def dead_letters(sample: Sample) -> Text:
    """Dead-lettered messages, alarms and notifications."""
    letters = {queue: depth for queue, depth in sample.dead_letters.items() if depth}
    queues = ", ".join(f"{queue}: {depth}" for queue, depth in letters.items())
    return Text.assemble(
        "   dead letters ",
        (queues or "none", "bold red" if letters else "green"),
        "   alarms ",
        (", ".join(sample.alarms) or "none", "bold red" if sample.alarms else "green"),
        "   notifications ",
        (str(sample.notifications), "bold" if sample.notifications else "green"),
    )


def _buffer(size: int | None, largest: int) -> Text:
    if size is None:
        return Text("–")  # noqa: RUF001 - a dash for readers
    filled = round(_BAR_WIDTH * max(size, 0) / largest) if largest else 0
    if size > 0:
        filled = max(filled, 1)
    return Text.assemble(
        (f"{decimal(size):>9} ", "bold" if size else "green"),
        ("█" * filled, "yellow"),
        ("·" * (_BAR_WIDTH - filled), "bright_black"),
    )
