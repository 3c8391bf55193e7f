"""The life of an instance, as the journal and the simulator tell it."""

import pytest

from sandbox.demo.model import JournalEntry, Run
from sandbox.demo.report.stories import Outcome, hook_waits, tell
from sandbox.fleet.accounting import Delivery

WAITS: tuple[float, str, dict[str, str]] = (1.0, "terminating_wait", {})


def journal(*lines: tuple[float, str, dict[str, str]]) -> tuple[JournalEntry, ...]:
    return tuple(JournalEntry(at, "i-1", event, details) for at, event, details in lines)


def run_of(*lines: tuple[float, str, dict[str, str]]) -> Run:
    return Run("scale-in", 100.0, Delivery(1, 1, 0, 0), journal=journal(*lines))


def test_a_released_instance_has_every_moment_of_its_life(good_run: Run, leaving: str) -> None:
    story = next(story for story in tell(good_run) if story.instance_id == leaving)
    assert (story.launched_at, story.registered_at, story.deregistered_at) == (30.0, 33.0, 53.0)
    assert (story.drained_at, story.released_at) == (62.0, 80.0)
    assert story.outcome is Outcome.RELEASED
    assert story.buffer_bytes_at_release == 0


def test_completing_the_launch_hook_is_not_a_release(good_run: Run, staying: str) -> None:
    story = next(story for story in tell(good_run) if story.instance_id == staying)
    assert story.released_at is None
    assert story.outcome is Outcome.IN_SERVICE
    assert story.drained_at is None


@pytest.mark.parametrize(
    ("lines", "outcome"),
    [
        ([WAITS], Outcome.WAITING),
        ([(1.0, "pending_wait", {})], Outcome.WAITING),
        ([WAITS, (2.0, "completed", {"result": "ABANDON"})], Outcome.ABANDONED),
        ([WAITS, (2.0, "expired", {}), (2.0, "terminated", {})], Outcome.EXPIRED),
        ([WAITS, (2.0, "expired", {}), (2.0, "retained", {})], Outcome.RETAINED),
        ([(1.0, "in_service", {}), (2.0, "terminated", {})], Outcome.TERMINATED),
        ([(1.0, "registered", {})], Outcome.UNKNOWN),
    ],
)
def test_only_a_continued_terminate_hook_counts_as_released(
    lines: list[tuple[float, str, dict[str, str]]], outcome: Outcome
) -> None:
    (story,) = tell(run_of(*lines))
    assert story.outcome is outcome
    assert story.released_at is None


def test_a_wait_that_nothing_ended_stays_open() -> None:
    waits = hook_waits(
        journal(
            (1.0, "pending_wait", {}),
            (3.0, "completed", {}),
            (3.0, "in_service", {}),
            (9.0, "terminating_wait", {}),
            (11.0, "heartbeat", {}),
        )
    )
    assert [(wait.transition, wait.since, wait.until) for wait in waits] == [
        ("launching", 1.0, 3.0),
        ("terminating", 9.0, None),
    ]
