"""Copies of one output, made by several observers: all are judged, and it is counted once."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.decisions.buffer import Reason, State
from lifecycle.decisions.evidence import Series
from tests.support.histories import (
    RULES,
    SCRAPE_INTERVAL,
    History,
    changing,
    counting,
    setting,
    without,
)
from tests.support.observers import (
    FLUENTD,
    NOW,
    OUTPUTS,
    WINDOW,
    drained,
    holding,
    replicas,
    seen_by,
    verdict,
    without_up,
)


class TestReplicas:
    def test_what_both_saw_empty_is_drained_and_counted_once(self) -> None:
        answer = verdict(*replicas(drained(), drained()))
        assert answer.state is State.DRAINED
        assert answer.detail.startswith(f"{OUTPUTS} buffered outputs ")

    def test_two_copies_do_not_stand_in_for_an_output_that_is_missing(self) -> None:
        rules = replace(RULES, expected_buffered_outputs=OUTPUTS + 1)
        answer = verdict(*replicas(drained(), drained()), rules=rules)
        assert (answer.state, answer.reason) == (State.UNKNOWN, Reason.TOO_FEW_SERIES)
        met = replace(RULES, expected_buffered_outputs=OUTPUTS)
        assert verdict(*replicas(drained(), drained()), rules=met).state is State.DRAINED

    def test_with_deduplication_there_is_one_copy(self) -> None:
        assert verdict(*seen_by(drained(), cluster="eu")).state is State.DRAINED

    @pytest.mark.parametrize("holder", ["a", "b"])
    def test_the_one_that_saw_a_chunk_is_believed(self, holder: str) -> None:
        seen = (holding(), drained()) if holder == "a" else (drained(), holding())
        answer = verdict(*replicas(*seen))
        assert answer.state is State.DRAINING
        assert answer.buffer_bytes == verdict(*holding()).buffer_bytes

    @pytest.mark.parametrize("order", [1, -1])
    def test_the_one_that_saw_a_record_come_in_is_believed(self, order: int) -> None:
        receiving = drained(WINDOW, counting("emit_records", "out_fast"))
        answer = verdict(*replicas(*[drained(), receiving][::order]))
        assert (answer.state, answer.reason) == (State.DRAINING, Reason.RECEIVING)

    def test_one_that_stopped_a_minute_ago_is_unknown_until_it_is_out_of_sight(self) -> None:
        first = History().shows("05-drained", WINDOW - 60)
        other = History().shows("05-drained", WINDOW)
        answer = verdict(*replicas(first.series(), other.series()))
        assert (answer.state, answer.reason) == (State.UNKNOWN, Reason.STALE)
        assert "prometheus_replica=a" in answer.detail
        other.shows("05-drained", RULES.range_seconds)
        later = verdict(*replicas(first.series(), other.series()), now=other.now + 1)
        assert later.state is State.DRAINED

    def test_one_that_was_started_a_minute_ago_has_not_seen_the_whole_window(self) -> None:
        late = History(start=NOW - 61).shows("05-drained", 60)
        answer = verdict(*replicas(drained(), late.series()))
        assert (answer.state, answer.reason) == (State.UNKNOWN, Reason.GAP)
        assert "prometheus_replica=b" in answer.detail

    def test_one_that_lacks_a_metric_proves_nothing(self) -> None:
        partial = drained(WINDOW, without("buffer_stage_length", "out_fast"))
        answer = verdict(*replicas(drained(), partial))
        assert (answer.state, answer.reason) == (State.UNKNOWN, Reason.INCOMPLETE_SERIES)
        assert "out_fast" in answer.detail
        assert "prometheus_replica=b" in answer.detail

    def test_one_whose_scrapes_fail_is_believed_and_named(self) -> None:
        failing = History().shows("05-drained", 60).fails(WINDOW - 60).series()
        answer = verdict(*replicas(drained(), failing))
        assert (answer.state, answer.reason) == (State.UNKNOWN, Reason.SCRAPE_FAILED)
        assert "prometheus_replica=b" in answer.detail

    def test_one_that_lost_its_up_is_not_vouched_for_by_the_other(self) -> None:
        a, b = seen_by(drained(), replica="a"), seen_by(without_up(drained()), replica="b")
        assert verdict(*a, *b).reason is Reason.NO_UP

    def test_errors_are_counted_once(self) -> None:
        failing = drained(WINDOW, counting("num_errors", "out_bad"))
        [once] = {verdict(*failing).errors_rose}
        assert once > 0
        assert verdict(*replicas(failing, failing)).errors_rose == once

    def test_a_heartbeat_that_one_saw_stop_has_stopped(self) -> None:
        rules = replace(RULES, heartbeat_plugin_id="out_null")
        beating = drained(WINDOW, counting("emit_records", "out_null"))
        assert verdict(*replicas(beating, beating), rules=rules).state is State.DRAINED
        for seen in ([beating, drained()], [drained(), beating]):
            answer = verdict(*replicas(*seen), rules=rules)
            assert (answer.state, answer.reason) == (State.UNKNOWN, Reason.HEARTBEAT_STOPPED)

    def test_the_very_same_series_twice_are_both_judged(self) -> None:
        for answer in (verdict(*drained(), *holding()), verdict(*holding(), *drained())):
            assert answer.state is State.DRAINING


class TestPluginIds:
    def test_one_that_is_used_twice_is_judged_twice(self) -> None:
        def second(value: float) -> list[Series]:
            series = without_up(drained(WINDOW, setting("buffer_total_bytes", value, "out_fast")))
            fast = [one for one in series if one.labels.get("plugin_id") == "out_fast"]
            return seen_by(fast, type="kafka2")

        assert verdict(*drained(), *second(0)).state is State.DRAINED
        assert verdict(*drained(), *second(9)).reason is Reason.IN_FLIGHT
        assert verdict(*second(9), *drained()).reason is Reason.IN_FLIGHT


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "c"]),
            st.sampled_from([FLUENTD, "10.0.0.1:24232"]),
            st.sampled_from(["05-drained", "04b-last-chunk-in-flight", "failed", "silent"]),
            st.integers(0, 21),
            st.booleans(),
        ),
        min_size=1,
        max_size=5,
        unique_by=lambda one: one[:2],
    )
)
def test_no_observer_ever_makes_up_for_what_another_saw(
    observers: list[tuple[str, str, str, int, bool]],
) -> None:
    """The oracle: what is proven by all together is proven by each alone, or it saw nothing."""
    seen: list[list[Series]] = []
    for replica, target, ends_with, scrapes, has_up in observers:
        history = History(target)
        before = WINDOW - scrapes * SCRAPE_INTERVAL
        history.shows("05-drained", before)
        if ends_with == "failed":
            history.fails(WINDOW - before)
        elif ends_with != "silent":
            history.shows(ends_with, WINDOW - before)
        series = history.series() if has_up else without_up(history.series())
        seen.append(seen_by(series, replica=replica))
    together = verdict(*(one for series in seen for one in series))
    if together.state is State.DRAINED:
        alone = [verdict(*series) for series in seen]
        assert {one.reason for one in alone} <= {Reason.PROVEN_EMPTY, Reason.NO_SERIES}


def test_a_change_of_one_copy_is_a_change() -> None:
    moved = drained(WINDOW, changing("emit_records", lambda v, n: v + (n > 10), "out_lazy"))
    assert verdict(*replicas(drained(), moved)).reason is Reason.RECEIVING
