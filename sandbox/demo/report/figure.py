"""timeline.png: the group, the buffers and the hook waits of one run, above one time axis.

The message is in the gap between the curves: desired capacity goes down at once, the instances
follow only when their buffers are empty.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from sandbox.demo.model import Disruption, Run
from sandbox.demo.report.stories import InstanceStory, tell
from sandbox.fleet.fluentd.history import History

# Okabe and Ito's palette: colour-blind readers can distinguish it, too.
_INSTANCE_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_WAITS = {"launching": ("#C7C7C7", "Pending:Wait"), "terminating": ("#F2C14E", "Terminating:Wait")}
_MARKS = {
    "registered_at": ("^", "registered"),
    "deregistered_at": ("v", "deregistered"),
    "drained_at": ("D", "finally empty (simulator)"),
    "released_at": ("o", "released"),
}
_DISRUPTION_COLOUR = "#D62728"
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E6E6E6",
    "axes.axisbelow": True,
}


def draw(run: Run, path: Path) -> None:
    """Write the figure of a run as a PNG."""
    stories = tell(run)
    colours = {
        story.instance_id: _INSTANCE_COLOURS[index % len(_INSTANCE_COLOURS)]
        for index, story in enumerate(stories)
    }
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(11, _height(len(stories))), dpi=130, layout="constrained")
        FigureCanvasAgg(figure)
        axes: Sequence[Axes] = figure.subplots(
            3, 1, sharex=True, height_ratios=(1.0, 1.5, 0.45 + 0.32 * max(2, len(stories)))
        )
        figure.suptitle(_title(run), x=0.01, ha="left", fontsize=12.5, fontweight="bold")
        _draw_capacity(axes[0], run)
        _draw_buffers(axes[1], run.histories, colours, run.seconds)
        _draw_waits(axes[2], stories, colours, run.seconds)
        for axis in axes:
            _shade(axis, run.disruptions, run.seconds)
        axes[2].set_xlabel("Time since the demo started (s)")
        axes[2].set_xlim(_begin(run), run.seconds)
        figure.savefig(path, metadata={"Title": _title(run)})


def _height(instances: int) -> float:
    """In inches: a few instances fit, each further one gets its row."""
    return 8.4 + 0.28 * max(0, instances - len(_INSTANCE_COLOURS))


def _title(run: Run) -> str:
    return (
        f"Scenario {run.scenario}: {run.lines.sent:,} lines sent, "
        f"{run.lines.delivered:,} delivered, {run.lines.lost:,} lost"
    )


def _begin(run: Run) -> float:
    """The set-up is left out: nothing moves in it."""
    launches = [entry.at for entry in run.journal]
    first = min([*(sample.at for sample in run.samples), *launches], default=0.0)
    return max(0.0, first - 1.0)


def _draw_capacity(axis: Axes, run: Run) -> None:
    times = [sample.at for sample in run.samples]
    alive = [len(sample.instances) for sample in run.samples]
    registered = [
        sum(instance.registered for instance in sample.instances) for sample in run.samples
    ]
    desired = [sample.desired_capacity for sample in run.samples]
    axis.fill_between(
        times, alive, step="post", color="#DDE7F0", label="Instances alive", linewidth=0
    )
    axis.step(times, registered, where="post", color="#0072B2", lw=1.8, label="Registered")
    axis.step(
        times, desired, where="post", color="#222222", lw=1.6, ls=(0, (5, 2)), label="Desired"
    )
    axis.set_ylabel("Instances")
    axis.set_ylim(0, max([*alive, *desired, 1]) + 0.4)
    axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    _name_disruptions(axis, run.disruptions, run.seconds)
    _legend_above(axis)


def _draw_buffers(
    axis: Axes, histories: Mapping[str, History], colours: Mapping[str, str], end: float
) -> None:
    for instance_id, colour in colours.items():
        if instance_id not in histories:
            continue
        times, sizes = _curve(histories[instance_id], end)
        axis.step(times, sizes, where="post", color=colour, lw=1.4, label=instance_id)
        axis.fill_between(times, sizes, step="post", color=colour, alpha=0.10, linewidth=0)
    axis.set_ylabel("Buffered (kB)")
    axis.set_ylim(bottom=0)
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    if len(colours) <= len(_INSTANCE_COLOURS):
        _legend_above(axis)


def _legend_above(axis: Axes) -> None:
    """Above the axes, where no curve can run through it."""
    handles, _ = axis.get_legend_handles_labels()
    if handles:
        axis.legend(
            loc="lower right", bbox_to_anchor=(1.0, 0.98), ncols=len(handles), frameon=False
        )


def _curve(history: History, end: float) -> tuple[list[float], list[float]]:
    """Times and kilobytes, the last value held to the end of the instance or of the run."""
    moments = [moment for moment in history.moments if moment.at <= end]
    times = [moment.at for moment in moments]
    sizes = [moment.state.held_bytes / 1000 for moment in moments]
    if moments:
        stop = end if history.ended_at is None else min(end, history.ended_at)
        times, sizes = [*times, max(stop, times[-1])], [*sizes, sizes[-1]]
    return times, sizes


def _draw_waits(
    axis: Axes, stories: Sequence[InstanceStory], colours: Mapping[str, str], end: float
) -> None:
    for row, story in enumerate(stories):
        for wait in story.waits:
            until = end if wait.until is None else wait.until
            axis.barh(
                row,
                until - wait.since,
                left=wait.since,
                height=0.52,
                color=_WAITS[wait.transition][0],
                edgecolor="#8A8A8A",
                linewidth=0.6,
            )
            if until - wait.since >= 0.05 * end:
                axis.text(
                    (wait.since + until) / 2,
                    row + 0.40,
                    f"{until - wait.since:.0f} s",
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="#444444",
                )
        _mark(axis, row, story, colours[story.instance_id])
    axis.set_yticks(range(len(stories)), [story.instance_id for story in stories])
    for label, story in zip(axis.get_yticklabels(), stories, strict=True):
        label.set(color=colours[story.instance_id], family="DejaVu Sans Mono", size=8)
    axis.set_ylim(len(stories) - 0.4, -0.6)
    axis.set_ylabel("Hook waits")
    axis.legend(
        handles=_wait_legend(),
        loc="upper center",
        # A fraction of the axes, which grow with their rows.
        bbox_to_anchor=(0.5, -0.22 * min(1.0, len(_INSTANCE_COLOURS) / max(1, len(stories)))),
        ncols=6,
        frameon=False,
        columnspacing=1.4,
        handletextpad=0.5,
    )


def _mark(axis: Axes, row: int, story: InstanceStory, colour: str) -> None:
    for moment, (marker, _) in _MARKS.items():
        at = getattr(story, moment)
        if at is not None:
            axis.plot(
                at,
                row,
                marker=marker,
                color=colour,
                markeredgecolor="white",
                markeredgewidth=0.9,
                markersize=9,
                linestyle="none",
                zorder=3,
                clip_on=False,
            )


def _wait_legend() -> list[Patch | Line2D]:
    bars = [
        Patch(facecolor=colour, edgecolor="#8A8A8A", label=label)
        for colour, label in _WAITS.values()
    ]
    marks = [
        Line2D([], [], marker=marker, color="#555555", linestyle="none", label=label)
        for marker, label in _MARKS.values()
    ]
    return [*bars, *marks]


def _shade(axis: Axes, disruptions: Sequence[Disruption], end: float) -> None:
    for disruption in disruptions:
        until = end if disruption.until is None else disruption.until
        axis.axvspan(
            disruption.at, until, color=_DISRUPTION_COLOUR, alpha=0.07, linewidth=0, zorder=0
        )


def _name_disruptions(axis: Axes, disruptions: Sequence[Disruption], end: float) -> None:
    """Write what happened once where it happened; mark what came again and again."""
    places: dict[str, list[float]] = {}
    for disruption in disruptions:
        until = end if disruption.until is None else disruption.until
        places.setdefault(disruption.name, []).append((disruption.at + until) / 2)
    for row, (name, times) in enumerate(places.items()):
        height = 0.04 + 0.1 * row
        if len(times) > 1:
            axis.plot(
                times,
                [height] * len(times),
                transform=axis.get_xaxis_transform(),
                linestyle="none",
                marker="x",
                color=_DISRUPTION_COLOUR,
                label=f"{name} ({len(times)} x)",
            )
        else:
            axis.annotate(
                name,
                xy=(times[0], height),
                xycoords=("data", "axes fraction"),
                ha="center",
                va="bottom",
                fontsize=8.5,
                color=_DISRUPTION_COLOUR,
            )
