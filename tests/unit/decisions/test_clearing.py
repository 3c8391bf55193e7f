"""A retry limit clears the queue while another thread still writes a chunk: no gauge shows it.

The samples are of real Fluentd 1.19.3 (``flush_thread_count 2``, one write of 70 s, the other
refused): a chunk was in flight until long after the newest of them.
"""

from collections.abc import Sequence
from typing import Any

import pytest

from lifecycle.decisions.buffer import Reason, State, Verdict, judge
from lifecycle.decisions.evidence import Rules, Series

NOW = 1_795_290_000.0
RULES = Rules(empty_for_seconds=24, settle_seconds=10, scrape_interval_seconds=3)
TIMES = [NOW - 33.8, *(NOW - 30.9 + 3 * number for number in range(11))]
ERRORS = [0, 0, 1, 2]
WRITES = [1, 2, 3, 4]


def verdict(
    errors: list[int] | None = ERRORS,
    writes: list[int] | None = WRITES,
    queue: Sequence[int] = (0, 0, 1, 0),
    total: Sequence[float] = (0, 0, 139, 0),
    stage: Sequence[int] = (0,),
) -> Verdict:
    """Judge twelve scrapes; counts are those of the first scrapes, and stay as they are then."""
    shown: dict[str, Sequence[float]] = {
        "buffer_total_bytes": total,
        "buffer_queue_length": queue,
        "buffer_stage_length": stage,
        "emit_records": [5, 5, 7],
    }
    shown |= {"num_errors": errors} if errors is not None else {}
    shown |= {"write_count": writes} if writes is not None else {}
    target = {"instance": "10.0.0.1:24231", "job": "fluentd"}
    series = [Series({"__name__": "up", **target}, [(time, 1.0) for time in TIMES])]
    for metric, values in shown.items():
        labels = {
            "__name__": f"fluentd_output_status_{metric}",
            "plugin_id": "out_http",
            **target,
        }
        filled = [*values, *[values[-1]] * (len(TIMES) - len(values))]
        series.append(Series(labels, list(zip(TIMES, filled, strict=True))))
    return judge(series, deregistered_at=NOW - 1000, now=NOW, rules=RULES)


def test_a_queue_that_only_failed_writes_emptied_hides_a_chunk() -> None:
    found = verdict()
    assert (found.state, found.reason) == (State.UNKNOWN, Reason.QUEUE_CLEARED)
    assert "plugin_id=out_http" in found.detail
    assert "num_errors rose by 1 and write_count by 1" in found.detail


@pytest.mark.parametrize(
    "samples",
    [
        pytest.param({"queue": [0, 0, 0], "writes": [1, 2, 3]}, id="the last attempt was begun"),
        pytest.param({"queue": [0, 0, 2, 0], "writes": [1, 2, 3, 5]}, id="one hangs, one fails"),
        pytest.param(
            {"queue": [0, 0, 2, 0], "total": [0, 0, 600, 100, 0], "stage": [0, 0, 1, 1, 0]},
            id="a staged chunk stays",
        ),
        pytest.param(
            {"errors": [0, 0, 1], "writes": [1, 2, 3]},
            id="counted one scrape before it was cleared",
        ),
        pytest.param({"total": [0, 0, -23, 0]}, id="the count was wrong before"),
        pytest.param({"writes": None}, id="writes are not stored"),
    ],
)
def test_it_hides_one_however_the_scrapes_fall(samples: dict[str, Any]) -> None:
    assert verdict(**samples).reason is Reason.QUEUE_CLEARED


@pytest.mark.parametrize(
    "samples",
    [
        pytest.param(
            {"errors": [0, 0, 1], "writes": [1, 2, 3], "queue": [0]}, id="begun before, succeeded"
        ),
        pytest.param({"errors": [0, 0, 1], "writes": [1, 2, 3, 4]}, id="the retry succeeded"),
        pytest.param({"writes": [1, 2, 3, 5]}, id="it failed once more, then succeeded"),
        pytest.param(
            {"queue": [0], "writes": [1, 2, 3, 4]}, id="one begun before failed, and was retried"
        ),
        pytest.param(
            {"errors": [0, 0, 1, 1, 2], "writes": [1, 2, 3, 4, 5]}, id="errors of a later write"
        ),
        pytest.param({"total": [0], "queue": [0]}, id="it was empty all the time"),
    ],
)
def test_one_that_writes_account_for_is_drained(samples: dict[str, Any]) -> None:
    assert verdict(**samples).state is State.DRAINED


@pytest.mark.parametrize("missing", ["errors", "writes"])
def test_without_what_would_tell_nothing_is_proven(missing: str) -> None:
    found = verdict(**{missing: None}, total=[0], queue=[0])  # type: ignore[arg-type]
    assert (found.state, found.reason) == (State.UNKNOWN, Reason.INCOMPLETE_SERIES)
