"""Was the promise kept? A pure function from the run to what was wrong with it, in sentences."""

from collections.abc import Iterator

from sandbox.demo.model import Run
from sandbox.demo.report.chaos_tables import missing
from sandbox.demo.report.stories import InstanceStory, Outcome, tell
from sandbox.demo.report.summary import longest_release_seconds

# These may end a run; anything else means an instance left, or died, without a proof.
_ACCEPTABLE = {Outcome.IN_SERVICE, Outcome.RELEASED, Outcome.WAITING}


def problems(run: Run) -> tuple[str, ...]:
    """Everything that makes the run a failure; empty: no line lost, no early release."""
    return (
        *run.failures,
        *_lines(run),
        *(problem for story in tell(run) for problem in _instance(story)),
        *(problem for story in tell(run) if run.discovery for problem in _discovery(story)),
        *_comparison(run),
        *(missing(run.chaos) if run.chaos else ()),
    )


def _lines(run: Run) -> Iterator[str]:
    lines = run.lines
    if lines.lost:
        yield f"{lines.lost:,} of {lines.sent:,} log lines were lost."
    if not lines.sent and not run.failures:
        yield "No log line was sent, so nothing was proven."
    if lines.damaged:
        yield f"{lines.damaged:,} lines in S3 are not whole, or were never sent."


def _instance(story: InstanceStory) -> Iterator[str]:
    name = story.instance_id
    if story.outcome not in _ACCEPTABLE:
        yield f"{name} ended as {story.outcome}: it left its group without a proof."
    if story.released_at is None:
        return
    yield from _buffer(name, story.buffer_bytes_at_release, story.released_at, story.drained_at)
    last = story.last_received_at
    if last is not None and last > story.released_at:
        yield f"{name} took a log line at {last:.1f} s, after its release."


def _discovery(story: InstanceStory) -> Iterator[str]:
    if story.released_at is None:
        return
    if story.deregistered_at is None or story.deregistered_at > story.released_at:
        yield f"{story.instance_id} was released before it was out of discovery."


def _comparison(run: Run) -> Iterator[str]:
    if run.comparison is None:
        return
    flushed = longest_release_seconds(run, run.comparison.flushed_group)
    other = longest_release_seconds(run, run.comparison.other_group)
    if flushed is None or other is None:
        yield "With and without flush cannot be compared: one of the groups released no instance."
    elif flushed >= other:
        yield f"The flush made nothing faster: {flushed:.1f} s with it, {other:.1f} s without."


def _buffer(
    name: str, held: int | None, released_at: float, drained_at: float | None
) -> Iterator[str]:
    if held is None:
        yield f"{name} was released, but its buffer at that moment is not known."
    elif held:
        yield f"{name} was released early: its buffer still held {held:,} bytes."
    if drained_at is None:
        yield f"{name} was released, but the simulator never saw its buffer finally empty."
    elif released_at < drained_at:
        yield (
            f"{name} was released early: at {released_at:.1f} s, but it was finally empty "
            f"only at {drained_at:.1f} s."
        )
