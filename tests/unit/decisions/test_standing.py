"""Which instance in service could not be proven empty today, and which is too young to tell."""

from typing import Any

import pytest

from lifecycle.decisions.buffer import Reason, State, Verdict, unknown
from lifecycle.decisions.flush import FlushReason, FlushState, FlushVerdict
from lifecycle.decisions.instance import Instance
from lifecycle.decisions.marks import written
from lifecycle.decisions.standing import (
    NOT_IN_THIS_RUN,
    Flaw,
    flaw_of_evidence,
    flaw_of_look,
    in_turn,
    is_lasting,
    is_of_this_run,
    is_settled,
)
from tests.support.messages import INSTANCE_ID, NOW

PROVABLE = Verdict(State.SERVING, Reason.PROVABLE, "whole")


@pytest.mark.parametrize(
    ("age", "window", "settled"),
    [(599, 0, False), (600, 0, True), (959, 360, False), (960, 360, True)],
)
def test_an_instance_has_its_boot_and_a_whole_window(
    age: float, window: float, *, settled: bool
) -> None:
    instance = Instance(INSTANCE_ID, "running", NOW - age, None, None)
    assert is_settled(instance, NOW, window) is settled


def test_one_that_ec2_does_not_know_has_no_excuse() -> None:
    assert is_settled(None, NOW, 360)


def flaw(verdict: Verdict, age: float, **more: Any) -> Flaw | None:
    instance = Instance(INSTANCE_ID, "running", NOW - age, None, None, **more)
    return flaw_of_evidence(verdict, instance, now=NOW, window_seconds=360)


@pytest.mark.parametrize("age", [959, 960])
def test_good_evidence_is_no_flaw_at_any_age(age: float) -> None:
    assert flaw(PROVABLE, age) is None


@pytest.mark.parametrize("reason", [Reason.NO_SERIES, Reason.GAP, Reason.TOO_FEW_SERIES])
def test_what_a_young_instance_does_not_have_yet_is_no_flaw(reason: Reason) -> None:
    verdict = unknown(reason, "why")
    assert flaw(verdict, 960) == (reason, "why")
    assert flaw(verdict, 959) is None


@pytest.mark.parametrize("reason", [Reason.PROMETHEUS_FAILED, Reason.EVIDENCE_FAILED])
def test_a_way_to_prometheus_that_fails_is_a_flaw_at_any_age(reason: Reason) -> None:
    assert flaw(unknown(reason, "why"), 1) == (reason, "why")


@pytest.mark.parametrize("state", [State.DRAINED, State.DRAINING])
def test_an_answer_to_another_question_is_a_flaw(state: State) -> None:
    verdict = Verdict(state, Reason.PROVEN_EMPTY, "a lie")
    assert flaw(verdict, 960) == (Reason.PROVEN_EMPTY, "a lie")


def test_a_cleared_queue_is_a_flaw_until_the_instance_is_started_again() -> None:
    seen = written(NOW - 1000)
    assert flaw(PROVABLE, 2000, queue_cleared=seen) == (
        Reason.QUEUE_CLEARED,
        f"a queue may have been cleared, {seen}",
    )
    assert flaw(PROVABLE, 960, queue_cleared=seen) is None


@pytest.mark.parametrize(
    ("since", "counts"),
    [(None, False), (NOW, False), (NOW - 599, False), (NOW - 600, True), (NOW + 60, True)],
)
def test_a_flaw_counts_once_it_has_lasted_for_longer_than_one_failed_scrape_is_seen(
    since: float | None, *, counts: bool
) -> None:
    tag = None if since is None else written(since)
    instance = Instance(INSTANCE_ID, "running", 0, None, None, not_provable=tag)
    assert is_lasting(instance, NOW, 600) is counts


def test_without_a_window_a_flaw_counts_at_the_third_run_with_the_default_interval() -> None:
    def counts(age: float) -> bool:
        tag = written(NOW - age)
        instance = Instance(INSTANCE_ID, "running", 0, None, None, not_provable=tag)
        return is_lasting(instance, NOW, 0)

    assert [counts(300), counts(599)] == [False, True]


def test_a_tag_that_was_emptied_says_nothing_and_one_that_cannot_be_read_counts() -> None:
    def counts(tag: str) -> bool:
        return is_lasting(Instance(INSTANCE_ID, "running", 0, None, None, not_provable=tag), NOW, 0)

    assert [counts(""), counts("yesterday")] == [False, True]


def test_one_that_ec2_does_not_know_counts_at_once() -> None:
    assert is_lasting(None, NOW, 360)


def test_one_that_was_passed_over_has_no_flaw_of_this_run() -> None:
    assert not is_of_this_run(NOT_IN_THIS_RUN)
    assert is_of_this_run((Reason.GAP, "why"))


def test_each_run_has_an_order_of_its_own_so_that_each_instance_has_its_turn() -> None:
    ids = [f"i-{number:03}" for number in range(100)]
    first = [in_turn(ids, NOW + 300 * run)[:10] for run in range(100)]
    assert {one for turn in first for one in turn} == set(ids)
    assert sorted(in_turn(reversed(ids), NOW)) == ids


@pytest.mark.parametrize(
    ("state", "reason", "is_flaw"),
    [
        (FlushState.UNKNOWN, FlushReason.NOT_SIGNALLED, False),
        (FlushState.REMAINING, FlushReason.CHUNKS_LEFT, False),
        (FlushState.REMAINING, FlushReason.RETRYING, False),
        (FlushState.SET_ASIDE, FlushReason.CHUNKS_SET_ASIDE, True),
        (FlushState.UNKNOWN, FlushReason.COMMAND_FAILED, True),
        (FlushState.UNKNOWN, FlushReason.NOT_DELIVERED, True),
        (FlushState.UNKNOWN, FlushReason.MALFORMED_ANSWER, True),
        (FlushState.FLUSHED, FlushReason.NOTHING_LEFT, True),  # it was to look only
    ],
)
def test_a_look_is_sound_if_a_flush_could_have_answered(
    state: FlushState, reason: FlushReason, *, is_flaw: bool
) -> None:
    found = flaw_of_look(FlushVerdict(state, reason, "why"))
    assert found == ((reason, "why") if is_flaw else None)
