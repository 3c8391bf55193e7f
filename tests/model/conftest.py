"""Counts what the histories of all workers came to, prints it and writes it down."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.model.counting import COUNTS, table, total
from tests.model.mutations import MUTATIONS

_FOLDER = Path("build/model")
_PARTS = _FOLDER / "parts"
_STARTED = pytest.StashKey[float]()


@pytest.fixture(scope="session", autouse=True)
def _region() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", "ap-northeast-1")
        yield


def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.stash[_STARTED] = time.monotonic()
    if "PYTEST_XDIST_WORKER" not in os.environ:
        for path in _PARTS.glob("*.json"):
            path.unlink()


def pytest_sessionfinish(session: pytest.Session) -> None:
    del session
    if COUNTS.histories:
        COUNTS.save(_PARTS / f"{os.environ.get('PYTEST_XDIST_WORKER', 'main')}.json")


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    seconds = time.monotonic() - config.stash[_STARTED]
    counts = total(_PARTS.glob("*.json"))
    caught = _caught(terminalreporter)
    lines: list[str] = []
    if counts.histories:
        counts.save(_FOLDER / "histories.json")
        lines += table(counts)
    if caught:
        _FOLDER.mkdir(parents=True, exist_ok=True)
        (_FOLDER / "mutations.json").write_text(json.dumps(caught, indent=2) + "\n")
        lines += ["", f"Deliberate bugs caught: {len(caught)}"]
        lines += [f"  {name:<58}  {by}" for name, by in caught.items()]
    if lines:
        terminalreporter.section("report: histories")
        for line in [*lines, "", f"{seconds:.0f} s in all"]:
            terminalreporter.write_line(line)


def _caught(terminalreporter: pytest.TerminalReporter) -> dict[str, str]:
    """The deliberate bugs that were caught, and by which check."""
    passed = {report.nodeid for report in terminalreporter.stats.get("passed", [])}
    return {
        one.name: one.caught_by
        for one in MUTATIONS
        if any(nodeid.endswith(f"is_caught[{one.name}]") for nodeid in passed)
    }
