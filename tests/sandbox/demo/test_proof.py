"""Only what is true of a run is claimed of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sandbox.demo.model import BufferPoint, LineCount
from sandbox.demo.proof import proven

if TYPE_CHECKING:
    from sandbox.demo.model import Run


def test_a_good_run_is_told_with_its_numbers(good_run: Run, leaving: str) -> None:
    statements = proven(good_run)

    assert statements[0] == good_run.proven[0]
    assert "Each of the 10,000 lines that the forwarders sent is in S3." in statements
    assert statements[-1] == (
        f"{leaving} was empty for good 9.0 s after it left discovery, and released 18.0 s after "
        "that."
    )


def test_lost_lines_are_not_claimed_to_be_in_s3(good_run: Run) -> None:
    statements = proven(replace(good_run, lines=LineCount(10, 9, 1, 0)))

    assert not any("in S3" in statement for statement in statements)


def test_an_early_release_is_not_told_as_a_success(good_run: Run, leaving: str) -> None:
    history = replace(
        good_run.histories[leaving], points=(BufferPoint(35.0, 5), BufferPoint(80.5, 0))
    )
    run = replace(good_run, histories={leaving: history})

    assert not any(leaving in statement for statement in proven(run))
