"""report.html: one page about a run that needs nothing else, the picture included."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from sandbox.demo.report import chaos_tables
from sandbox.demo.report.proof import proven
from sandbox.demo.report.stories import tell
from sandbox.demo.report.summary import summarise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.demo.model import Run

_TEMPLATES = Path(__file__).parent / "templates"


def write(run: Run, problems: Sequence[str], timeline: Path, path: Path) -> None:
    """Write the report of a run, with the picture at `timeline` inside it."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["moment"] = _moment
    environment.filters["count"] = _count
    page = environment.get_template("report.html.j2").render(
        run=run,
        summary=summarise(run),
        stories=tell(run),
        problems=problems,
        alarms=_alarms(run),
        proven=proven(run),
        chaos_tables=chaos_tables,
        picture=base64.b64encode(timeline.read_bytes()).decode("ascii"),
    )
    path.write_text(page, encoding="utf-8")


def _moment(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:,.1f} s"  # noqa: RUF001 - a dash for people


def _count(number: int | None) -> str:
    return "–" if number is None else f"{number:,}"  # noqa: RUF001 - a dash for people


def _alarms(run: Run) -> list[dict[str, Any]]:
    """When each alarm was in state ALARM, by what was sampled."""
    spans: list[dict[str, Any]] = []
    open_spans: dict[str, dict[str, Any]] = {}
    for sample in run.samples:
        for name in set(open_spans) - set(sample.alarms):
            open_spans.pop(name)["until"] = sample.at
        for name in sample.alarms:
            if name not in open_spans:
                open_spans[name] = {"name": name, "since": sample.at, "until": None}
                spans.append(open_spans[name])
    return spans
