"""A broken promise is named in plain words; a kept one has no problems."""

import re
from dataclasses import replace

import pytest

from sandbox.demo.model import Comparison, JournalEntry, Run
from sandbox.demo.report.judgement import problems
from sandbox.fleet.accounting import Delivery
from tests.sandbox.demo.kit import history


def with_history(run: Run, instance_id: str, *points: tuple[float, int]) -> Run:
    told = {**run.histories, instance_id: history(*points, ended=81.0)}
    return replace(run, histories=told)


def test_a_run_that_kept_the_promise_has_no_problem(good_run: Run) -> None:
    assert problems(good_run) == ()


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (Delivery(10_000, 9_988, 12, 0), "12 of 10,000 log lines were lost."),
        (Delivery(10_000, 10_000, 0, 0, damaged=2), "2 lines in S3 are not whole"),
        (Delivery(0, 0, 0, 0), "nothing was proven"),
    ],
)
def test_a_lost_or_damaged_line_or_no_line_at_all_is_a_problem(
    good_run: Run, lines: Delivery, complaint: str
) -> None:
    (problem,) = problems(replace(good_run, lines=lines))
    assert complaint in problem


def test_a_release_before_the_buffer_stayed_empty_is_early(good_run: Run, leaving: str) -> None:
    found = problems(with_history(good_run, leaving, (35.0, 0), (79.0, 500), (80.5, 0)))
    assert f"{leaving} was released early: its buffer still held 500 bytes." in found
    assert any(re.search(r"at 80\.0 s, but it was .*empty only at 80\.5 s", line) for line in found)


def test_a_line_after_the_release_is_a_problem(good_run: Run, leaving: str) -> None:
    found = problems(with_history(good_run, leaving, (35.0, 0), (80.4, 500), (80.5, 0)))
    assert f"{leaving} took a log line at 80.4 s, after its release." in found


def test_a_release_of_an_aggregator_without_a_history_is_a_problem(
    good_run: Run, leaving: str
) -> None:
    run = replace(good_run, histories={leaving: history()})
    assert any("is not known" in line for line in problems(run))


def test_a_release_while_still_in_discovery_is_a_problem(good_run: Run, leaving: str) -> None:
    journal = tuple(entry for entry in good_run.journal if entry.event != "deregistered")
    assert problems(replace(good_run, journal=journal)) == (
        f"{leaving} was released before it was out of discovery.",
    )


@pytest.mark.parametrize("event", ["expired", "retained", "terminated"])
def test_leaving_without_a_proof_is_a_problem(good_run: Run, leaving: str, event: str) -> None:
    journal = tuple(
        entry for entry in good_run.journal if not (entry.instance_id == leaving and entry.at > 60)
    )
    journal = (*journal, JournalEntry(80.0, leaving, event))
    (problem,) = problems(replace(good_run, journal=journal))
    assert "without a proof" in problem


def test_what_the_scenario_waited_for_too_long_comes_first(good_run: Run) -> None:
    run = replace(good_run, failures=("No alarm within 60 s.",), lines=Delivery(5, 4, 1, 0))
    assert problems(run)[0] == "No alarm within 60 s."


def test_without_discovery_no_instance_has_to_be_out_of_it(good_run: Run) -> None:
    journal = tuple(entry for entry in good_run.journal if "registered" not in entry.event)
    found = problems(replace(good_run, journal=journal))
    assert any("before it was out of discovery" in problem for problem in found)
    assert problems(replace(good_run, journal=journal, discovery=False)) == ()


@pytest.mark.parametrize(
    ("flushed", "other", "complaint"),
    [
        (30.0, 60.0, None),
        (60.0, 30.0, "The flush made nothing faster: 60.0 s with it, 30.0 s without."),
        (None, 30.0, "cannot be compared"),
        (30.0, None, "cannot be compared"),
    ],
)
def test_a_flush_must_make_a_release_faster(
    good_run: Run, flushed: float | None, other: float | None, complaint: str | None
) -> None:
    journal = [
        JournalEntry(at, name, event, {"autoscaling_group_name": group, "result": "CONTINUE"})
        for name, group, seconds in (("i-1", "demo", flushed), ("i-2", "other", other))
        for at, event in [(50.0, "terminating_wait"), (50.0 + (seconds or 0), "completed")]
        if seconds is not None
    ]
    quiet = history((20.0, 10), (30.0, 0))
    run = replace(
        good_run,
        journal=tuple(journal),
        histories={"i-1": quiet, "i-2": quiet},
        discovery=False,
        comparison=Comparison(75, "demo", "other"),
    )
    found = problems(run)
    assert len(found) == (complaint is not None)
    assert complaint is None or complaint in found[0]
