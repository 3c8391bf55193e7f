"""What a run has shown, in sentences with numbers; only what is true of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.demo.stories import Outcome, tell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.demo.model import Run


def proven(run: Run) -> tuple[str, ...]:
    """The scenario's own statements, then what was measured."""
    return (*run.proven, *_lines(run), *_releases(run))


def _lines(run: Run) -> Iterator[str]:
    lines = run.lines
    if lines.sent and not lines.lost and not lines.damaged:
        yield f"Each of the {lines.sent:,} lines that the forwarders sent is in S3."


def _releases(run: Run) -> Iterator[str]:
    for story in tell(run):
        moments = (story.deregistered_at, story.drained_at, story.released_at)
        deregistered, drained, released = moments
        if deregistered is None or drained is None or released is None:
            continue
        if story.outcome is Outcome.RELEASED and drained <= released:
            yield (
                f"{story.instance_id} was empty for good {drained - deregistered:.1f} s after it "
                f"left discovery, and released {released - drained:.1f} s after that."
            )
