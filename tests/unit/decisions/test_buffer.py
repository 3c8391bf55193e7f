"""The verdict, on histories made of captures of real Fluentd."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.decisions.buffer import Reason, State, judge
from lifecycle.decisions.evidence import Rules, Series
from tests.support.histories import (
    RULES,
    SCRAPE_INTERVAL,
    START,
    History,
    changing,
    counting,
    setting,
    without,
)

WINDOW = 330.0  # what fills the window of 300 s and the sample before it


def test_an_instance_that_was_empty_and_quiet_for_the_whole_window_is_drained() -> None:
    verdict = History().shows("04-draining", 60).shows("05-drained", WINDOW).verdict()
    assert (verdict.state, verdict.reason) == (State.DRAINED, Reason.PROVEN_EMPTY)
    assert verdict.buffer_bytes == 0
    assert verdict.not_before is None


def test_scrape_jitter_does_not_hide_a_drained_instance() -> None:
    history = History(jitter=0.2).shows("05-drained", 600)
    assert history.verdict().state is State.DRAINED


@pytest.mark.parametrize(
    ("capture", "reason"),
    [
        ("02-steady-ok", Reason.STAGED),
        ("03-dest-down", Reason.STAGED),
        ("04-draining", Reason.QUEUED),
        ("06a-usr1-dest-down", Reason.QUEUED),
        ("08-multiworker-aggregated", Reason.STAGED),
        ("08-multiworker-nolabel-aggregated", Reason.QUEUED),
        ("11b-positive-drift", Reason.IN_FLIGHT),
    ],
)
def test_an_instance_that_holds_logs_is_draining(capture: str, reason: Reason) -> None:
    verdict = History().shows(capture, 2 * WINDOW).verdict()
    assert (verdict.state, verdict.reason) == (State.DRAINING, reason)
    assert verdict.buffer_bytes is not None
    assert verdict.buffer_bytes > 0


def test_a_chunk_in_flight_is_seen_though_nothing_is_staged_or_queued() -> None:
    only_in_flight = (setting("buffer_stage_length", 0), setting("buffer_queue_length", 0))
    verdict = History().shows("04b-last-chunk-in-flight", WINDOW, *only_in_flight).verdict()
    assert (verdict.state, verdict.reason) == (State.DRAINING, Reason.IN_FLIGHT)


def test_a_staged_hourly_chunk_is_seen_though_the_queue_is_empty() -> None:
    only_staged = (setting("buffer_queue_length", 0), setting("buffer_total_bytes", 0))
    verdict = History().shows("02-steady-ok", WINDOW, *only_staged).verdict()
    assert (verdict.state, verdict.reason) == (State.DRAINING, Reason.STAGED)


def test_one_worker_that_holds_a_chunk_keeps_the_whole_instance() -> None:
    first = History("10.0.0.1:24231").shows("08-multiworker-port-25231", WINDOW)
    second = History("10.0.0.1:24232").shows("08-multiworker-port-25232", WINDOW)
    verdict = judge(
        [*first.series(), *second.series()],
        deregistered_at=START - 1000,
        now=first.now + 1,
        rules=RULES,
    )
    assert verdict.state is State.DRAINING


def test_a_worker_whose_exporter_is_down_makes_the_instance_unknown() -> None:
    first = History("10.0.0.1:24231").shows("05-drained", WINDOW)
    second = History("10.0.0.1:24232").shows("05-drained", 30).fails(WINDOW - 30)
    verdict = judge(
        [*first.series(), *second.series()],
        deregistered_at=START - 1000,
        now=first.now + 1,
        rules=RULES,
    )
    assert (verdict.state, verdict.reason) == (State.UNKNOWN, Reason.SCRAPE_FAILED)


def test_a_negative_total_is_unknown_even_when_another_output_makes_the_sum_zero() -> None:
    def negative(value: float, _scrape: int) -> float:
        return value - 4151

    verdict = (
        History()
        .shows(
            "05-drained",
            WINDOW,
            changing("buffer_total_bytes", negative, "out_fast"),
            setting("buffer_total_bytes", 4151, "out_lazy"),
        )
        .verdict()
    )
    assert (verdict.state, verdict.reason) == (State.UNKNOWN, Reason.NEGATIVE)


def test_the_captured_negative_total_is_unknown() -> None:
    verdict = History().shows("11-negative-total-bytes", WINDOW).verdict()
    assert (verdict.state, verdict.reason) == (State.UNKNOWN, Reason.NEGATIVE)


def test_sparse_records_that_never_show_in_a_gauge_count_as_receiving() -> None:
    verdict = History().shows("05-drained", WINDOW, counting("emit_records", "out_fast")).verdict()
    assert (verdict.state, verdict.reason) == (State.DRAINING, Reason.RECEIVING)


def test_one_record_at_the_start_of_the_window_counts_as_receiving() -> None:
    one_less = changing("emit_records", lambda value, _scrape: value - 1, "out_fast")
    history = History().shows("05-drained", 60, one_less).shows("05-drained", 300)
    assert history.verdict(later=0.5).reason is Reason.RECEIVING


def test_records_of_an_output_without_a_buffer_do_not_keep_the_instance() -> None:
    verdict = History().shows("05-drained", WINDOW, counting("emit_records", "out_null")).verdict()
    assert verdict.state is State.DRAINED


def test_a_killed_exporter_is_unknown_from_the_first_failed_scrape() -> None:
    verdict = History().shows("05-drained", 2 * WINDOW).fails(SCRAPE_INTERVAL).verdict()
    assert (verdict.state, verdict.reason) == (State.UNKNOWN, Reason.SCRAPE_FAILED)


def test_an_exporter_that_came_back_is_unknown_until_the_window_has_no_failed_scrape() -> None:
    history = History().shows("05-drained", WINDOW).fails(15).shows("05-drained", 150)
    assert history.verdict().reason is Reason.SCRAPE_FAILED
    assert history.shows("05-drained", WINDOW).verdict().state is State.DRAINED


def test_samples_that_stopped_coming_are_stale_though_the_window_is_full_of_zeros() -> None:
    verdict = History().shows("05-drained", 2 * WINDOW).is_silent(45).verdict()
    assert (verdict.state, verdict.reason) == (State.UNKNOWN, Reason.STALE)


def test_samples_from_the_future_are_stale() -> None:
    verdict = History().shows("05-drained", 2 * WINDOW).verdict(later=-120)
    assert verdict.state is State.UNKNOWN


def test_a_gap_in_the_window_is_unknown() -> None:
    history = History().shows("05-drained", WINDOW).is_silent(90).shows("05-drained", 150)
    assert (history.verdict().state, history.verdict().reason) == (State.UNKNOWN, Reason.GAP)


def test_a_window_that_is_not_full_yet_is_unknown() -> None:
    verdict = History().shows("05-drained", 270).verdict()
    assert (verdict.state, verdict.reason) == (State.UNKNOWN, Reason.GAP)


def test_no_series_at_all_is_unknown() -> None:
    verdict = judge([], deregistered_at=START, now=START + 1000, rules=RULES)
    assert (verdict.state, verdict.reason) == (State.UNKNOWN, Reason.NO_SERIES)
    assert verdict.buffer_bytes is None


def test_an_exporter_that_answers_without_samples_is_unknown() -> None:
    verdict = History().shows("00-first-scrape-within-5s", WINDOW).verdict()
    assert (verdict.state, verdict.reason) == (State.UNKNOWN, Reason.NO_SERIES)


def test_metrics_without_up_are_unknown() -> None:
    series = [s for s in History().shows("05-drained", WINDOW).series() if "up" not in str(s)]
    verdict = judge(series, deregistered_at=START, now=START + WINDOW + 1, rules=RULES)
    assert (verdict.state, verdict.reason) == (State.UNKNOWN, Reason.NO_UP)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("metric", ["buffer_total_bytes", "buffer_stage_length", "emit_records"])
def test_a_value_that_is_no_number_is_unknown(metric: str, value: float) -> None:
    history = (
        History()
        .shows("05-drained", 150)
        .shows("05-drained", 15, setting(metric, value, "out_fast"))
        .shows("05-drained", 165)
    )
    assert history.verdict().reason is Reason.NOT_A_NUMBER


@pytest.mark.parametrize(
    "metric", ["buffer_total_bytes", "buffer_stage_length", "buffer_queue_length", "emit_records"]
)
def test_an_output_that_lacks_one_of_its_metrics_is_unknown(metric: str) -> None:
    verdict = History().shows("05-drained", WINDOW, without(metric, "out_fast")).verdict()
    assert (verdict.state, verdict.reason) == (State.UNKNOWN, Reason.INCOMPLETE_SERIES)
    assert "out_fast" in verdict.detail


def test_fewer_outputs_than_the_user_expects_are_unknown() -> None:
    history = History().shows("05-drained", WINDOW)
    assert history.verdict(rules=replace(RULES, expected_buffered_outputs=5)).state is State.DRAINED
    verdict = history.verdict(rules=replace(RULES, expected_buffered_outputs=6))
    assert (verdict.state, verdict.reason) == (State.UNKNOWN, Reason.TOO_FEW_SERIES)


def test_a_frozen_exporter_is_unknown_when_the_user_has_a_heartbeat_output() -> None:
    rules = replace(RULES, heartbeat_plugin_id="out_null")
    moving = History().shows("05-drained", WINDOW, counting("emit_records", "out_null"))
    assert moving.verdict(rules=rules).state is State.DRAINED
    frozen = moving.shows("05-drained", 90, setting("emit_records", 22, "out_null"))
    verdict = frozen.verdict(rules=rules)
    assert (verdict.state, verdict.reason) == (State.UNKNOWN, Reason.HEARTBEAT_STOPPED)


def test_an_exporter_that_froze_before_a_short_window_proves_nothing_about_it() -> None:
    # What forwarders sent after it froze is in none of these samples.
    rules = replace(RULES, empty_for_seconds=60, settle_seconds=20, heartbeat_plugin_id="out_null")
    history = History().shows("05-drained", 120, counting("emit_records", "out_null"))
    let_go = history.now + 1
    history.shows("05-drained", 60, setting("emit_records", 500, "out_null"))
    verdict = history.verdict(deregistered_at=let_go - rules.settle_seconds, rules=rules)
    assert (verdict.state, verdict.reason) == (State.UNKNOWN, Reason.HEARTBEAT_STOPPED)


def test_a_heartbeat_output_that_does_not_exist_is_unknown() -> None:
    rules = replace(RULES, heartbeat_plugin_id="no_such_output")
    verdict = History().shows("05-drained", WINDOW).verdict(rules=rules)
    assert (verdict.state, verdict.reason) == (State.UNKNOWN, Reason.HEARTBEAT_STOPPED)


def test_the_window_starts_only_after_forwarders_can_have_let_go() -> None:
    history = History().shows("05-drained", 600)
    now = history.now + 1
    too_early = now - RULES.empty_for_seconds - RULES.settle_seconds + 1
    verdict = history.verdict(deregistered_at=too_early)
    assert (verdict.state, verdict.reason) == (State.DRAINING, Reason.SETTLING)
    assert verdict.not_before == pytest.approx(now + 1)
    assert history.verdict(deregistered_at=too_early - 1).state is State.DRAINED


def test_the_earliest_possible_yes_is_one_window_after_the_last_sign_of_a_log() -> None:
    history = History().shows("02-steady-ok", 60)
    last_chunk_seen = history.now
    verdict = history.shows("05-drained", 150).verdict()
    assert verdict.reason is Reason.EMPTY_TOO_SHORT
    assert verdict.not_before is not None
    assert verdict.not_before == pytest.approx(last_chunk_seen + 300 + SCRAPE_INTERVAL)
    while history.verdict().state is not State.DRAINED:
        history.shows("05-drained", SCRAPE_INTERVAL)
    assert verdict.not_before <= history.now + 1 <= verdict.not_before + SCRAPE_INTERVAL + 1


def test_rising_output_errors_are_reported_with_the_verdict() -> None:
    verdict = History().shows("05-drained", WINDOW, counting("num_errors", "out_bad")).verdict()
    assert verdict.state is State.DRAINED
    assert verdict.errors_rose == round(WINDOW / SCRAPE_INTERVAL) - 1


def test_known_limit_metrics_cannot_tell_a_chunk_set_aside_from_one_delivered() -> None:
    # Not even num_errors moves; docs say so, and only a look at the instance's disk can tell.
    verdict = History().shows("10-unrecoverable-backup", WINDOW).verdict()
    assert (verdict.state, verdict.errors_rose) == (State.DRAINED, 0)


def test_an_output_that_a_restart_left_behind_keeps_the_instance_until_it_is_out_of_sight() -> None:
    history = (
        History()
        .shows("05-drained", WINDOW)
        .shows("05-drained", 150, *(without(m, "object:690") for m in _ALL_METRICS))
    )
    assert history.verdict().reason is Reason.STALE


_ALL_METRICS = (
    "buffer_total_bytes",
    "buffer_stage_length",
    "buffer_queue_length",
    "emit_records",
    "num_errors",
)


@settings(max_examples=300)
@given(
    scrapes=st.lists(
        st.sampled_from(["empty", "staged", "queued", "in_flight", "received", "failed", "none"]),
        min_size=0,
        max_size=40,
    ),
    jitter=st.floats(min_value=0, max_value=0.4),
    later=st.floats(min_value=0, max_value=40),
    deregistered=st.integers(min_value=-20, max_value=40),
)
def test_no_history_with_a_flaw_in_its_window_is_ever_drained(
    scrapes: list[str], jitter: float, later: float, deregistered: int
) -> None:
    """The oracle looks at what was put in, not at how the verdict looks at it."""
    rules = Rules(empty_for_seconds=60, settle_seconds=10, scrape_interval_seconds=5)
    labels = {"instance_id": "i-00000000", "job": "fluentd", "plugin_id": "out"}
    metrics = ["buffer_total_bytes", "buffer_stage_length", "buffer_queue_length", "emit_records"]
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in (*metrics, "up")}
    emitted = 100.0
    at = 1000.0
    for index, kind in enumerate(scrapes):
        at = 1000.0 + 5 * (index + 1) + jitter * (index % 3 - 1)
        emitted += kind == "received"
        if kind == "none":
            continue
        samples["up"].append((at, 0.0 if kind == "failed" else 1.0))
        if kind == "failed":
            continue
        held = {"staged": (9, 1, 0), "queued": (9, 0, 1), "in_flight": (9, 0, 0)}
        values = (*held.get(kind, (0, 0, 0)), emitted)
        for name, value in zip(metrics, values, strict=True):
            samples[name].append((at, float(value)))
    now = at + later
    deregistered_at = 1000.0 + 5 * deregistered
    series = [
        Series({**labels, "__name__": name if name == "up" else f"fluentd_output_status_{name}"}, s)
        for name, s in samples.items()
    ]
    verdict = judge(series, deregistered_at=deregistered_at, now=now, rules=rules)
    within = max(0, int((now - 60 - 1000) // 5))
    flawless = (
        len(scrapes) >= 12
        and all(kind == "empty" for kind in scrapes[within:])
        and later <= 10
        and now - 60 >= deregistered_at + 10
    )
    if not flawless:
        assert verdict.state is not State.DRAINED
