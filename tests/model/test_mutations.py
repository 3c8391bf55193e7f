"""Each deliberate bug is caught; the product without any passes the very same checks."""

import re
from pathlib import Path

import pytest

from tests.model.bugs import Mutation, run
from tests.model.mutations import MODEL, MUTATIONS

# Enough for every bug that histories are to catch; most are caught by one of the first.
_HISTORIES = "400"
# A bug that only crashes would be caught by any check: pytest names where an error was raised.
_CRASHED = re.compile(r"model/mutations\w*\.py:\d+: \w+Error\b")


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.name)
def test_a_deliberate_bug_is_caught(mutation: Mutation, tmp_path: Path) -> None:
    outcome = run(mutation, tmp_path, mutation.caught_by, HISTORIES=_HISTORIES, SHRINK="0")
    assert outcome.status == 1, outcome.output[-4000:]
    assert mutation.breaks in outcome.output, outcome.output[-4000:]
    assert not _CRASHED.search(outcome.output), outcome.output[-4000:]


def test_without_a_bug_the_same_checks_pass(tmp_path: Path) -> None:
    checks = {one.caught_by for one in MUTATIONS} - {MODEL}  # that one is run at length beside this
    for folder in ("unit", "integration"):
        outcome = run(None, tmp_path, *sorted(one for one in checks if f"/{folder}/" in one))
        assert outcome.status == 0, outcome.output[-4000:]


def test_no_two_bugs_have_the_same_name() -> None:
    assert len({one.name for one in MUTATIONS}) == len(MUTATIONS)


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("lifecycle.decisions.buffer:_settling", "takes"),
        ("lifecycle.decisions.buffer:_HELD", "is no function"),
    ],
)
def test_a_bug_that_could_only_crash_is_refused(target: str, problem: str) -> None:
    with pytest.raises(AssertionError, match=problem):
        Mutation("", {target: lambda evidence: None}, "").apply()
