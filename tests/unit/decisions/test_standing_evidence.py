"""An instance in service could be proven if its evidence is good and whole, however busy it is."""

from dataclasses import replace

import pytest

from lifecycle.decisions.buffer import Reason, State, Verdict
from lifecycle.decisions.evidence import Rules
from lifecycle.decisions.standing import judge_standing
from tests.support.histories import RULES, History, setting, without

WINDOW = 330.0


def standing(history: History, rules: Rules = RULES) -> Verdict:
    return judge_standing(history.series(), now=history.now + 1, rules=rules)


@pytest.mark.parametrize(
    "capture", ["02-steady-ok", "03-dest-down", "04-draining", "05-drained", "11b-positive-drift"]
)
def test_a_busy_instance_is_provable_and_never_drained(capture: str) -> None:
    verdict = standing(History().shows(capture, 2 * WINDOW))
    assert (verdict.state, verdict.reason) == (State.SERVING, Reason.PROVABLE)


def test_a_worker_that_is_missing_is_found_while_the_others_are_busy() -> None:
    history = History().shows("02-steady-ok", WINDOW)
    verdict = standing(history, replace(RULES, expected_buffered_outputs=9))
    assert verdict.reason is Reason.TOO_FEW_SERIES


def test_an_exporter_that_is_frozen_is_found_while_it_shows_chunks() -> None:
    history = History().shows("02-steady-ok", 600)
    verdict = standing(history, replace(RULES, heartbeat_plugin_id="no_such_output"))
    assert verdict.reason is Reason.HEARTBEAT_STOPPED


@pytest.mark.parametrize(
    ("history", "reason"),
    [
        (History(), Reason.NO_SERIES),
        (History().shows("02-steady-ok", WINDOW).fails(30), Reason.SCRAPE_FAILED),
        (History().shows("02-steady-ok", WINDOW).is_silent(60), Reason.STALE),
        (
            History().shows("02-steady-ok", WINDOW).is_silent(60).shows("02-steady-ok", 60),
            Reason.GAP,
        ),
        (History().shows("02-steady-ok", 100), Reason.GAP),
        (
            History().shows("02-steady-ok", WINDOW, without("buffer_queue_length")),
            Reason.INCOMPLETE_SERIES,
        ),
        (
            History().shows("02-steady-ok", WINDOW, setting("buffer_total_bytes", -1)),
            Reason.NEGATIVE,
        ),
    ],
)
def test_a_flaw_is_found_though_the_instance_is_busy(history: History, reason: Reason) -> None:
    verdict = standing(history)
    assert (verdict.state, verdict.reason) == (State.UNKNOWN, reason)
