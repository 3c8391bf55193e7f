"""An instance in service could be proven if its evidence is good and whole, however busy it is."""

from dataclasses import replace

import pytest

from lifecycle.decisions.buffer import Reason, State, Verdict
from lifecycle.decisions.evidence import Rules
from lifecycle.decisions.standing import judge_standing
from tests.support.histories import RULES, Change, Exposition, History, setting, without

WINDOW = 330.0


def standing(
    history: History, rules: Rules = RULES, own_events_output: str | None = None
) -> Verdict:
    return judge_standing(
        history.series(), now=history.now + 1, rules=rules, own_events_output=own_events_output
    )


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


def with_worker(worker_id: str, change: Change = lambda seen, _scrape: seen) -> Change:
    """Show beside the capture's worker 0 another one, changed as said."""

    def apply(seen: Exposition, scrape: int) -> Exposition:
        other = {"worker_id": worker_id}
        more = {
            tuple(sorted({**dict(key), **other}.items())): value
            for key, value in change(seen, scrape).items()
        }
        return {**seen, **more}

    return apply


class TestOwnEvents:
    """They go to an output without a buffer, which shows series: `out_stdout` in the captures."""

    OUTPUT = "out_stdout"

    def reason(self, *changes: Change, output: str | None = OUTPUT) -> tuple[Reason, str]:
        verdict = standing(
            History().shows("02-steady-ok", WINDOW, *changes), own_events_output=output
        )
        return verdict.reason, verdict.detail

    @pytest.mark.parametrize("output", [OUTPUT, None])
    def test_a_worker_that_shows_that_output_is_provable(self, output: str | None) -> None:
        assert self.reason(output=output)[0] is Reason.PROVABLE

    @pytest.mark.parametrize("output", ["no_such_output", "out_hourly"])
    def test_a_worker_without_it_or_with_a_buffer_of_it_is_named(self, output: str) -> None:
        assert self.reason(output=output) == (
            Reason.OWN_EVENTS_NOT_APART,
            f"no series of an output {output} without a buffer in worker 0",
        )

    def test_each_worker_needs_it_and_the_one_without_is_named(self) -> None:
        assert self.reason(with_worker("1"))[0] is Reason.PROVABLE
        reason, detail = self.reason(with_worker("1", without("emit_records", self.OUTPUT)))
        assert reason is Reason.OWN_EVENTS_NOT_APART
        assert detail.endswith("in worker 1")

    def test_one_that_was_there_before_a_restart_counts_no_more(self) -> None:
        history, gone = History(), without("emit_records", self.OUTPUT)
        history.shows("02-steady-ok", WINDOW).shows("02-steady-ok", 60, gone)
        verdict = standing(history, own_events_output=self.OUTPUT)
        assert verdict.reason is Reason.OWN_EVENTS_NOT_APART

    def test_evidence_that_is_not_whole_says_so_first(self) -> None:
        history = History().shows("02-steady-ok", WINDOW).fails(30)
        verdict = standing(history, own_events_output="no_such_output")
        assert verdict.reason is Reason.SCRAPE_FAILED


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
