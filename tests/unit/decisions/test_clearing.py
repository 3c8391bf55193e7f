"""A retry limit clears the queue while another thread still writes a chunk: no gauge shows it.

The samples are of real Fluentd 1.19.3 (``flush_thread_count 2``, one write of 70 s, the other
refused): a chunk was in flight until long after the newest of them.
"""

import pytest

from lifecycle.decisions.buffer import Reason, State, Verdict, judge
from lifecycle.decisions.evidence import Rules, Series

NOW = 1_795_290_000.0
RULES = Rules(empty_for_seconds=24, settle_seconds=10, scrape_interval_seconds=3)
TIMES = [NOW - 33.8, *(NOW - 30.9 + 3 * number for number in range(11))]
ERRORS = [0, 0, 1, 2]
WRITES = [1, 2, 3, 4]


def verdict(
    errors: list[int] | None = ERRORS, writes: list[int] | None = WRITES, held: float = 139
) -> Verdict:
    """Judge twelve scrapes; counts are those of the first scrapes, and stay as they are then."""
    shown: dict[str, list[float]] = {
        "buffer_total_bytes": [0, 0, held, 0],
        "buffer_queue_length": [0, 0, held and 1, 0],
        "buffer_stage_length": [0],
        "emit_records": [5, 5, 7],
    }
    shown |= {"num_errors": [*errors]} if errors is not None else {}
    shown |= {"write_count": [*writes]} if writes is not None else {}
    target = {"instance": "10.0.0.1:24231", "job": "fluentd"}
    series = [Series({"__name__": "up", **target}, [(time, 1.0) for time in TIMES])]
    for metric, values in shown.items():
        labels = {
            "__name__": f"fluentd_output_status_{metric}",
            "plugin_id": "out_http",
            **target,
        }
        filled = values + values[-1:] * (len(TIMES) - len(values))
        series.append(Series(labels, list(zip(TIMES, filled, strict=True))))
    return judge(series, deregistered_at=NOW - 1000, now=NOW, rules=RULES)


def test_an_output_that_only_failed_writes_emptied_may_still_write() -> None:
    found = verdict()
    assert (found.state, found.reason) == (State.UNKNOWN, Reason.QUEUE_CLEARED)
    assert "plugin_id=out_http" in found.detail
    assert "num_errors rose by 1 and write_count by 1" in found.detail


@pytest.mark.parametrize("held", [139, -23])
def test_a_count_that_was_wrong_before_hides_it_no_better(held: float) -> None:
    assert verdict(held=held).state is State.UNKNOWN


def test_without_write_count_a_rise_of_errors_is_no_success() -> None:
    assert verdict(writes=None).reason is Reason.QUEUE_CLEARED


@pytest.mark.parametrize(
    ("errors", "writes"),
    [
        pytest.param([0, 0, 1, 1], [1, 2, 3, 3], id="a write begun earlier succeeded"),
        pytest.param([0, 0, 1, 1], [1, 2, 3, 4], id="the retry succeeded"),
        pytest.param([0, 0, 1, 2], [1, 2, 3, 5], id="it failed once more, then succeeded"),
        pytest.param([0, 0, 1, 1, 2], [1, 2, 3, 4, 5], id="errors of a later write"),
        pytest.param(None, WRITES, id="errors are not stored: nothing can be said"),
    ],
)
def test_one_that_a_successful_write_emptied_is_drained(
    errors: list[int] | None, writes: list[int]
) -> None:
    assert verdict(errors, writes).state is State.DRAINED


def test_one_that_was_empty_all_the_time_is_drained_whatever_fails() -> None:
    assert verdict(held=0).state is State.DRAINED
