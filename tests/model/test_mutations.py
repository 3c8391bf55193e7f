"""Each deliberate bug is caught; the sources without any pass the very same checks."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.model.copies import copy_sources, run
from tests.model.mutations import MODEL, MUTATIONS, Mutation

# Enough for every bug that histories are to catch; most are caught by one of the first.
_HISTORIES = "400"


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[Path]:
    """A copy of the sources and of their tests."""
    copy_sources(tmp_path)
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.name)
def test_a_deliberate_bug_is_caught(mutation: Mutation, copy: Path) -> None:
    mutation.apply(copy)
    outcome = run(copy, mutation.caught_by, HISTORIES=_HISTORIES, SHRINK="0")
    assert outcome.status == 1, outcome.output[-4000:]
    assert mutation.breaks in outcome.output, outcome.output[-4000:]


def test_without_a_bug_the_same_checks_pass(copy: Path) -> None:
    checks = {one.caught_by for one in MUTATIONS} - {MODEL}  # that one is run at length beside this
    for folder in ("unit", "integration"):
        outcome = run(copy, *sorted(one for one in checks if f"/{folder}/" in one))
        assert outcome.status == 0, outcome.output[-4000:]
