"""Histories of aggregators and runs to compare, written by hand."""

from dataclasses import replace

from sandbox.demo.model import Comparison, JournalEntry, Run
from sandbox.fleet.fluentd.history import BufferState, History, Moment


def history(*points: tuple[float, int], ended: float | None = None) -> History:
    """An aggregator that held so many bytes from each time on; what grew has received a line."""
    moments: list[Moment] = []
    before = 0
    for at, size in points:
        event = "staged" if size > before else "written"
        moments.append(Moment(at, event, BufferState(staged_bytes=size)))
        before = size
    if ended is not None:
        died = next((one.state for one in reversed(moments) if one.at <= ended), BufferState())
        moments.append(Moment(ended, "terminated", died))
    return History(tuple(sorted(moments, key=lambda moment: moment.at)))


def compared(run: Run) -> Run:
    """The run with a third instance, of another group, that was not flushed."""
    others = tuple(
        JournalEntry(at, "i-3", event, {"autoscaling_group_name": "other", "result": "CONTINUE"})
        for at, event in [(20.0, "launched"), (50.0, "terminating_wait"), (95.5, "completed")]
    )
    named = tuple(
        replace(entry, details={**entry.details, "autoscaling_group_name": "demo"})
        for entry in run.journal
    )
    return replace(run, journal=(*named, *others), comparison=Comparison(75, "demo", "other"))
