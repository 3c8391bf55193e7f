"""Which instance in service could not be proven empty today, and which is too young to tell."""

import pytest

from lifecycle.decisions.buffer import Reason, State, Verdict, unknown
from lifecycle.decisions.flush import FlushReason, FlushState, FlushVerdict
from lifecycle.decisions.instance import Instance
from lifecycle.decisions.standing import flaw_of_evidence, flaw_of_look, is_settled
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


@pytest.mark.parametrize("settled", [True, False])
def test_good_evidence_is_no_flaw_at_any_age(*, settled: bool) -> None:
    assert flaw_of_evidence(PROVABLE, settled=settled) is None


@pytest.mark.parametrize("reason", [Reason.NO_SERIES, Reason.GAP, Reason.TOO_FEW_SERIES])
def test_what_a_young_instance_does_not_have_yet_is_no_flaw(reason: Reason) -> None:
    verdict = unknown(reason, "why")
    assert flaw_of_evidence(verdict, settled=True) == (reason, "why")
    assert flaw_of_evidence(verdict, settled=False) is None


@pytest.mark.parametrize("reason", [Reason.PROMETHEUS_FAILED, Reason.EVIDENCE_FAILED])
def test_a_way_to_prometheus_that_fails_is_a_flaw_at_any_age(reason: Reason) -> None:
    assert flaw_of_evidence(unknown(reason, "why"), settled=False) == (reason, "why")


@pytest.mark.parametrize("state", [State.DRAINED, State.DRAINING])
def test_an_answer_to_another_question_is_a_flaw(state: State) -> None:
    verdict = Verdict(state, Reason.PROVEN_EMPTY, "a lie")
    assert flaw_of_evidence(verdict, settled=True) == (Reason.PROVEN_EMPTY, "a lie")


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
    flaw = flaw_of_look(FlushVerdict(state, reason, "why"))
    assert flaw == ((reason, "why") if is_flaw else None)
