"""summary.json: what happened to the lines and to each instance. A pure function of the run."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from sandbox.demo.model import Run, Sample
from sandbox.demo.report.stories import InstanceStory, tell

# How long systems of this kind commonly sleep after SIGUSR1 before they terminate an instance,
# drained or not.
FIXED_SLEEP_SECONDS = 300
MOMENTS = ("launched_at", "registered_at", "deregistered_at", "drained_at", "released_at")


def summarise(run: Run) -> dict[str, Any]:
    """The content of summary.json; times are seconds since the demo started."""
    return {
        "lines": {
            "sent": run.lines.sent,
            "delivered": run.lines.delivered,
            "lost": run.lines.lost,
            "duplicated": run.lines.duplicated,
        },
        "instances": [_instance(story) for story in tell(run)],
        "dlq_messages": dead_lettered(run.samples),
        "scenario": run.scenario,
        "seconds": round(run.seconds, 1),
        "releases": releases(run),
        **({} if run.chaos is None else {"chaos": asdict(run.chaos)}),
    }


def releases(run: Run) -> dict[str, Any]:
    """How long instances waited for their release, compared with a sleep of fixed length."""
    seconds = {
        story.instance_id: round(story.release_seconds, 2)
        for story in tell(run)
        if story.release_seconds is not None
    }
    return {
        "fixed_sleep_seconds": FIXED_SLEEP_SECONDS,
        "seconds": seconds,
        "longest_seconds": max(seconds.values(), default=None),
        **_comparison(run),
    }


def longest_release_seconds(run: Run, group: str) -> float | None:
    """The longest that an instance of this group waited for its release; None: none was."""
    waited = [story.release_seconds for story in tell(run) if story.group == group]
    return max((seconds for seconds in waited if seconds is not None), default=None)


def _comparison(run: Run) -> dict[str, Any]:
    if run.comparison is None:
        return {}
    compared = run.comparison
    return {
        "timekey_seconds": compared.timekey_seconds,
        "with_flush_seconds": _rounded(longest_release_seconds(run, compared.flushed_group)),
        "without_flush_seconds": _rounded(longest_release_seconds(run, compared.other_group)),
    }


def dead_lettered(samples: Iterable[Sample]) -> int:
    """How many messages reached a dead-letter queue, redriven ones included.

    Every rise of a queue's depth counts: a message that is dead-lettered twice counts twice.
    """
    reached = 0
    before: dict[str, int] = {}
    for sample in samples:
        for queue, depth in sample.dead_letters.items():
            reached += max(0, depth - before.get(queue, 0))
            before[queue] = depth
    return reached


def _instance(story: InstanceStory) -> dict[str, Any]:
    return {
        "id": story.instance_id,
        **{name: _rounded(getattr(story, name)) for name in MOMENTS},
        "outcome": story.outcome.value,
        "buffer_bytes_at_release": story.buffer_bytes_at_release,
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)
