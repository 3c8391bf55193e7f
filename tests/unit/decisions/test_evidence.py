"""Samples of one instance, laid out for the verdict."""

import math

import pytest

from lifecycle.decisions.evidence import Evidence, Rules, Series

RULES = Rules(empty_for_seconds=60, settle_seconds=75, scrape_interval_seconds=15)
NOW = 1000.0


def series(
    *samples: tuple[float, float], name: str = "buffer_total_bytes", **labels: str
) -> Series:
    full = name if name == "up" else f"fluentd_output_status_{name}"
    return Series({"__name__": full, "job": "fluentd", **labels}, samples)


def steady(start: float = 925, end: float = NOW, step: float = 15, **labels: str) -> Series:
    count = int((end - start) / step) + 1
    return series(*((start + step * number, 0.0) for number in range(count)), **labels)


def evidence(*given: Series) -> Evidence:
    return Evidence.gather(given, NOW, RULES)


def test_samples_are_asked_for_from_before_the_window() -> None:
    assert RULES.range_seconds == 60 + 4 * 15


def test_two_questions_overlap_by_the_samples_that_one_missed_scrape_leaves() -> None:
    assert RULES.unbroken_seconds == 60 + 2 * 15


def test_a_series_is_named_by_what_tells_outputs_apart() -> None:
    assert str(series(worker_id="0", plugin_id="s3", type="s3")) == (
        "fluentd_output_status_buffer_total_bytes{plugin_id=s3,worker_id=0,job=fluentd}"
    )
    assert str(Series({}, [])) == "?"


def test_the_rise_of_a_counter_leaves_restarts_and_what_is_no_number_out() -> None:
    counted = series((1, 5), (2, 7), (3, math.nan), (4, 1), (5, 2))
    assert counted.rise == 3


def test_what_never_changed_or_never_held_anything_has_no_such_moment() -> None:
    assert (steady().last_change, steady().last_nonzero) == (None, None)
    moved = series((1, 5), (2, 0), (3, 0))
    assert (moved.last_change, moved.last_nonzero) == (2, 1)


def test_a_series_without_samples_or_of_another_metric_is_as_good_as_absent() -> None:
    gathered = evidence(series(), Series({"__name__": "node_load1"}, [(1, 1.0)]))
    assert (gathered.outputs, gathered.buffers, gathered.up) == ({}, [], [])


def test_only_the_up_of_the_target_that_the_series_come_from_counts() -> None:
    target = "10.0.0.1:24231"
    ours = steady(name="up", instance=target)
    others = Series({"__name__": "up", "job": "node", "instance": target}, [(1, 0.0)])
    gathered = evidence(steady(instance=target), ours, others)
    assert (gathered.up, gathered.further_up) == ([ours], [])


def test_records_of_an_output_without_a_buffer_prove_nothing() -> None:
    buffered, unbuffered = (steady(name="emit_records", plugin_id=one) for one in ("s3", "stdout"))
    gathered = evidence(steady(plugin_id="s3"), buffered, unbuffered)
    assert gathered.emitted == [buffered]


def test_the_window_includes_the_sample_that_brackets_its_start() -> None:
    times = [time for time, _ in evidence().window(steady(start=910))]
    assert times == [940, 955, 970, 985, 1000]


@pytest.mark.parametrize(
    ("samples", "gap"),
    [
        (steady(start=940), None),
        (steady(start=945), "the first comes 5 s after its start"),
        (series((940, 0), (955, 0), (986, 0), (1000, 0)), "31 s without a sample"),
        (series((930, 0), (960, 0), (990, 0)), "3 samples in the window, 4 needed"),
    ],
)
def test_a_window_that_is_not_covered_says_where(samples: Series, gap: str | None) -> None:
    said = evidence().gap(samples)
    assert (said is None) if gap is None else gap in str(said)
