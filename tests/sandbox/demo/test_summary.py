"""summary.json says what happened, in the agreed shape."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from sandbox.demo.summary import dead_lettered, summarise

if TYPE_CHECKING:
    from sandbox.demo.model import Run, Sample


def test_the_summary_has_the_agreed_shape(good_run: Run, leaving: str) -> None:
    summary = summarise(good_run)

    assert list(summary) == ["lines", "instances", "dlq_messages", "scenario", "seconds"]
    assert summary["lines"] == {"sent": 10_000, "delivered": 10_000, "lost": 0, "duplicated": 3}
    assert summary["instances"][1] == {
        "id": leaving,
        "launched_at": 30.0,
        "registered_at": 33.0,
        "deregistered_at": 53.0,
        "drained_at": 62.0,
        "released_at": 80.0,
        "outcome": "released",
        "buffer_bytes_at_release": 0,
    }
    assert (summary["dlq_messages"], summary["scenario"], summary["seconds"]) == (
        0,
        "scale-in",
        100.0,
    )


def test_the_summary_is_json(good_run: Run) -> None:
    assert json.loads(json.dumps(summarise(good_run))) == summarise(good_run)


def with_depths(sample: Sample, *depths: int) -> list[Sample]:
    return [replace(sample, dead_letters={"a-dlq": depth}) for depth in depths]


def test_a_redriven_message_still_counts_as_dead_lettered(good_run: Run) -> None:
    assert dead_lettered(with_depths(good_run.samples[0], 0, 1, 1, 0, 0)) == 1


def test_a_message_that_dies_again_counts_again(good_run: Run) -> None:
    assert dead_lettered(with_depths(good_run.samples[0], 2, 0, 1)) == 3
