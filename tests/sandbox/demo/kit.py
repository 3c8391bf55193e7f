"""Histories of aggregators, written by hand."""

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
