"""How a run ended: the tables and sentences that close it, in the terminal and in report.html."""

import base64
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sandbox.demo.model import ChaosCount, Run
from sandbox.demo.report import chaos_tables
from sandbox.demo.report.proof import proven
from sandbox.demo.report.stories import tell
from sandbox.demo.view.words import announced, clock

_PAGE_WIDTH = 120
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Scenario {scenario}</title>
<style>
body {{{{ margin: 2rem auto; max-width: 72rem; }}}}
pre {{{{ overflow-x: auto; }}}}
img {{{{ max-width: 100%; }}}}
{{stylesheet}}
</style>
</head>
<body>
<pre>{{code}}</pre>
<img alt="Desired capacity, registered instances, buffers, hook waits" src="data:image/png;base64,{picture}">
</body>
</html>
"""  # noqa: E501 - one element


def conclude(run: Run, found: Sequence[str], console: Console) -> None:
    """Print what became of every instance and line, what was proven, and what went wrong."""
    console.print(_instances(run))
    if run.chaos is not None:
        console.print(_calls(run.chaos))
        console.print(_events(run.chaos))
    lines = run.lines
    console.print(
        f"{lines.sent:,} lines sent, {lines.delivered:,} delivered, [bold]{lines.lost:,} lost[/], "
        f"{lines.duplicated:,} further copies; {clock(run.seconds)} in all."
    )
    for statement in proven(run):
        console.print(Text.assemble(("✓ ", "green"), statement))
    for problem in found:
        console.print(Text.assemble(("✗ ", "bold red"), problem))
    if not found:
        console.print("[bold green]Nothing was lost and no instance was released early.[/]")


def write_page(run: Run, found: Sequence[str], timeline: Path, path: Path) -> None:
    """Write report.html: the conclusion, what happened when, and the picture; it loads nothing."""
    console = Console(width=_PAGE_WIDTH, record=True, file=io.StringIO(), highlight=False)
    conclude(run, found, console)
    events = Table(box=box.SIMPLE_HEAD, title="What happened, in seconds since the start")
    events.add_column("At", justify="right", no_wrap=True)
    events.add_column("What")
    for at, what in sorted(_happened(run)):
        events.add_row(f"{at:,.1f}", Text(what))
    console.print(events)
    picture = base64.b64encode(timeline.read_bytes()).decode("ascii")
    page = _PAGE.format(scenario=run.scenario, picture=picture)
    path.write_text(console.export_html(code_format=page), encoding="utf-8")


def _happened(run: Run) -> Iterator[tuple[float, str]]:
    for phase in run.phases:
        yield phase.at, phase.name
    for disruption in run.disruptions:
        yield disruption.at, f"Broken on purpose: {disruption.name}"
        if disruption.until is not None:
            yield disruption.until, f"Repaired: {disruption.name}"
    for notification in run.notifications:
        yield notification.at, f"{announced(notification)}. {notification.description}"


def _instances(run: Run) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=f"Scenario {run.scenario}, times in seconds")
    table.add_column("Instance", no_wrap=True)
    table.add_column("Outcome", no_wrap=True)
    for heading in ("Left discovery", "Finally empty", "Released", "Bytes then"):
        table.add_column(heading, justify="right")
    for story in tell(run):
        moments = (story.deregistered_at, story.drained_at, story.released_at)
        held = story.buffer_bytes_at_release
        table.add_row(
            story.instance_id,
            story.outcome.value.replace("_", " "),
            *("" if moment is None else f"{moment:.1f}" for moment in moments),
            "" if held is None else str(held),
        )
    return table


def _calls(chaos: ChaosCount) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=f"Calls of the functions, seed {chaos.seed}")
    for number, heading in enumerate(chaos_tables.headings()):
        table.add_column(heading, justify="right" if number else "left", no_wrap=True)
    for row in chaos_tables.calls(chaos):
        table.add_row(*row)
    return table


def _events(chaos: ChaosCount) -> Table:
    table = Table(box=box.SIMPLE, show_header=False)
    for what, count in chaos_tables.events(chaos):
        table.add_row(what, count)
    return table
