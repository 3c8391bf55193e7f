"""Only what is true of a run is claimed of it."""

import re
from dataclasses import replace

from sandbox.demo.model import Run
from sandbox.demo.report.proof import proven
from sandbox.fleet.accounting import Delivery
from tests.sandbox.demo.kit import compared, history


def test_a_good_run_is_told_with_its_numbers(good_run: Run, leaving: str) -> None:
    statements = proven(good_run)
    assert statements[0] == good_run.proven[0]
    assert "Each of the 10,000 lines that the forwarders sent is in S3." in statements
    emptied = rf"{leaving} was .*empty 9\.0 s after it left discovery"
    assert re.fullmatch(rf"{emptied}, and released 18\.0 s after that\.", statements[-1])


def test_lost_lines_are_not_claimed_to_be_in_s3(good_run: Run) -> None:
    statements = proven(replace(good_run, lines=Delivery(10, 9, 1, 0)))
    assert not any("in S3" in statement for statement in statements)


def test_an_early_release_is_not_told_as_a_success(good_run: Run, leaving: str) -> None:
    run = replace(good_run, histories={leaving: history((35.0, 5), (80.5, 0), ended=81.0)})
    assert not any(leaving in statement for statement in proven(replace(run, flush=True)))


def test_a_comparison_is_told_with_both_numbers(good_run: Run, leaving: str) -> None:
    histories = {**good_run.histories, "i-3": good_run.histories[leaving]}
    statements = proven(replace(compared(good_run), histories=histories, flush=True))
    assert statements[-1] == (
        "Chunks wait for slices of 75 s here: with flush the release took 30.0 s, without it "
        "45.5 s."
    )
    assert not any("i-3 waited" in statement for statement in statements)
