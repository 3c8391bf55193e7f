"""summary.json says what happened, in the agreed shape."""

from dataclasses import replace

from sandbox.demo.model import Run, Sample
from sandbox.demo.report.summary import dead_lettered, summarise
from tests.sandbox.demo.kit import compared


def with_depths(sample: Sample, *depths: int) -> list[Sample]:
    return [replace(sample, dead_letters={"a-dlq": depth}) for depth in depths]


def test_a_redriven_message_still_counts_as_dead_lettered(good_run: Run) -> None:
    assert dead_lettered(with_depths(good_run.samples[0], 0, 1, 1, 0, 0)) == 1


def test_a_message_that_dies_again_counts_again(good_run: Run) -> None:
    assert dead_lettered(with_depths(good_run.samples[0], 2, 0, 1)) == 3


def test_a_comparison_has_both_numbers(good_run: Run) -> None:
    releases = summarise(compared(good_run))["releases"]
    assert (releases["with_flush_seconds"], releases["without_flush_seconds"]) == (30.0, 45.5)
    assert releases["timekey_seconds"] == 75
