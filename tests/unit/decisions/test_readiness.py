"""A launching instance is ready, not ready, or unknown; only not knowing ends by itself."""

import pytest

from lifecycle.decisions.buffer import Reason, State, Verdict, unknown
from lifecycle.decisions.evidence import Series
from lifecycle.decisions.readiness import Admission, admission, judge_readiness
from tests.support.histories import RULES, SCRAPE_INTERVAL, History

RUNNING = "02-steady-ok"
READY = Verdict(State.SERVING, Reason.READY, "up is 1")
DOWN = Verdict(State.DOWN, Reason.NOT_READY, "up is 0")
UNKNOWN = unknown(Reason.NO_SERIES, "nothing")


def judged(history: History, *others: Series, later: float = 1.0) -> tuple[State, Reason]:
    series = [*history.series(), *others]
    verdict = judge_readiness(series, now=history.now + later, rules=RULES)
    return verdict.state, verdict.reason


def exporter(history: History, value: float, age: float = 0.0) -> Series:
    """Another exporter of the same instance."""
    labels = {"__name__": "up", "job": "node", "instance": "10.0.0.1:9100"}
    return Series(labels, [(history.now - age, value)])


IS_READY = (State.SERVING, Reason.READY)
IS_DOWN = (State.DOWN, Reason.NOT_READY)
IS_UNSEEN = (State.UNKNOWN, Reason.NO_SERIES)


def test_a_fluentd_that_was_scraped_just_now_is_ready_however_young_or_busy() -> None:
    assert judged(History().shows(RUNNING, SCRAPE_INTERVAL)) == IS_READY


def test_a_target_that_is_there_and_down_is_not_ready() -> None:
    assert judged(History().fails(30)) == IS_DOWN


def test_a_fluentd_that_went_down_again_is_not_ready() -> None:
    assert judged(History().shows(RUNNING, 60).fails(SCRAPE_INTERVAL)) == IS_DOWN


def test_no_target_at_all_is_unknown() -> None:
    assert judged(History()) == IS_UNSEEN


@pytest.mark.parametrize("ran", [True, False])
def test_what_was_scraped_long_ago_is_unknown(*, ran: bool) -> None:
    history = History()
    history = history.shows(RUNNING, 60) if ran else history.fails(60)
    assert judged(history, later=61) == IS_UNSEEN


def test_another_exporter_that_is_down_keeps_no_fluentd_out_that_is_scraped() -> None:
    history = History().shows(RUNNING, 60)
    assert judged(history, exporter(history, 0)) == IS_READY
    without_up = [one for one in history.series() if one.labels["__name__"] != "up"]
    verdict = judge_readiness([*without_up, exporter(history, 0)], now=history.now + 1, rules=RULES)
    assert (verdict.state, verdict.reason) == (State.UNKNOWN, Reason.NO_UP)


def test_another_exporter_that_runs_makes_no_fluentd_ready() -> None:
    history = History()
    assert judged(history, exporter(history, 1)) == IS_UNSEEN
    booting = History().fails(30)
    assert judged(booting, exporter(booting, 1)) == IS_DOWN


def test_another_exporter_that_is_down_holds_no_fluentd_back() -> None:
    history = History().shows(RUNNING, 60)
    assert judged(history, exporter(history, 0)) == IS_READY


def test_while_fluentd_shows_nothing_any_target_that_is_down_may_be_its_own() -> None:
    history = History()
    assert judged(history, exporter(history, 0)) == IS_DOWN
    assert judged(history, exporter(history, 0, age=61)) == IS_UNSEEN


@pytest.mark.parametrize("odd", [2.0, float("nan")])
def test_an_up_that_is_neither_is_unknown(odd: float) -> None:
    history = History().shows(RUNNING, 60)
    series = [
        Series(one.labels, [(at, odd) for at, _ in one.samples])
        if one.labels["__name__"] == "up"
        else one
        for one in history.series()
    ]
    verdict = judge_readiness(series, now=history.now + 1, rules=RULES)
    assert (verdict.state, verdict.reason) == (State.UNKNOWN, Reason.NO_UP)


def test_a_fluentd_without_an_up_of_its_own_is_unknown() -> None:
    history = History().shows(RUNNING, 60)
    series = [one for one in history.series() if one.labels["__name__"] != "up"]
    verdict = judge_readiness(series, now=history.now + 1, rules=RULES)
    assert verdict.reason is Reason.NO_UP


@pytest.mark.parametrize(
    ("verdict", "seconds", "admitted"),
    [
        (READY, 0, Admission.REGISTER),
        (DOWN, 0, Admission.WAIT),
        (DOWN, 10_000, Admission.WAIT),
        (UNKNOWN, 299, Admission.WAIT),
        (UNKNOWN, 300, Admission.REGISTER_UNCHECKED),
        # Answers to another question say nothing of readiness.
        (Verdict(State.DRAINED, Reason.PROVEN_EMPTY, ""), 0, Admission.WAIT),
        (Verdict(State.SERVING, Reason.PROVABLE, ""), 0, Admission.WAIT),
    ],
)
def test_only_ready_registers_at_once_and_only_unknown_later(
    verdict: Verdict, seconds: float, admitted: Admission
) -> None:
    found = admission(verdict, unknown_seconds=seconds, longest_unknown_seconds=300)
    assert found is admitted
