"""What a run has shown, in sentences with numbers; only what is true of it."""

from collections.abc import Iterator

from sandbox.demo.model import Run
from sandbox.demo.report.stories import InstanceStory, Outcome, tell
from sandbox.demo.report.summary import FIXED_SLEEP_SECONDS, longest_release_seconds


def proven(run: Run) -> tuple[str, ...]:
    """The scenario's own statements, then what was measured."""
    return (*run.proven, *_lines(run), *_releases(run), *_waits(run), *_comparison(run))


def _lines(run: Run) -> Iterator[str]:
    lines = run.lines
    if lines.sent and not lines.lost and not lines.damaged:
        senders = "forwarders sent" if run.discovery else "instances wrote"
        yield f"Each of the {lines.sent:,} lines that the {senders} is in S3."


def _releases(run: Run) -> Iterator[str]:
    for story in tell(run):
        left = story.deregistered_at if run.discovery else story.left_at
        if left is None or story.drained_at is None or not _was_empty(story):
            continue
        released = story.released_at or story.drained_at
        what = "left discovery" if run.discovery else "began to wait for its termination"
        yield (
            f"{story.instance_id} was finally empty {story.drained_at - left:.1f} s after it "
            f"{what}, and released {released - story.drained_at:.1f} s after that."
        )


def _waits(run: Run) -> Iterator[str]:
    """What a verified flush costs, compared with the sleep that it replaces."""
    unflushed = run.comparison.other_group if run.comparison else None
    for story in tell(run) if run.flush else ():
        was_flushed = unflushed is None or story.group != unflushed
        if was_flushed and _was_empty(story) and story.release_seconds is not None:
            yield (
                f"{story.instance_id} waited {story.release_seconds:.1f} s for its release, and "
                f"was empty; a fixed sleep takes {FIXED_SLEEP_SECONDS} s, empty or not."
            )


def _was_empty(story: InstanceStory) -> bool:
    """Whether it was released, and finally empty by then."""
    if story.drained_at is None or story.released_at is None:
        return False
    return story.outcome is Outcome.RELEASED and story.drained_at <= story.released_at


def _comparison(run: Run) -> Iterator[str]:
    if run.comparison is None:
        return
    flushed = longest_release_seconds(run, run.comparison.flushed_group)
    other = longest_release_seconds(run, run.comparison.other_group)
    if flushed is not None and other is not None:
        yield (
            f"Chunks wait for slices of {run.comparison.timekey_seconds} s here: with flush the "
            f"release took {flushed:.1f} s, without it {other:.1f} s."
        )
