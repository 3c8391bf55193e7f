"""What counts as a disagreement between an answer and the truth."""

import pytest

from sandbox.conformance.judging import Observation, disagreement
from sandbox.conformance.site import EMPTY_FOR_SECONDS, Truth
from sandbox.conformance.states import BACKED_UP, LOST

NOTHING = Truth(0, 0, 0)
CHUNK = Truth(1, 0, 3)
ASIDE = Truth(0, 1, 3)
MEMORY = Truth(0, 0, 3)


def observation(
    state: str, before: Truth, after: Truth | None = None, quiet: float = 60.0
) -> Observation:
    source = "evidence" if state.startswith("DRAIN") else "flush"
    return Observation(0.0, source, state, "reason", "", before, after or before, quiet)


@pytest.mark.parametrize("state", ["DRAINED", "FLUSHED"])
@pytest.mark.parametrize("held", [CHUNK, ASIDE, MEMORY])
def test_a_proof_with_anything_held_is_wrong(state: str, held: Truth) -> None:
    assert disagreement(observation(state, held))
    assert disagreement(observation(state, NOTHING)) is None


@pytest.mark.parametrize("state", ["DRAINING", "UNKNOWN", "REMAINING", "SET_ASIDE"])
def test_no_answer_but_a_proof_can_be_wrong(state: str) -> None:
    assert disagreement(observation(state, CHUNK)) is None


def test_what_came_or_went_while_it_was_asked_proves_nothing_against_it() -> None:
    assert disagreement(observation("FLUSHED", CHUNK, NOTHING)) is None
    assert disagreement(observation("FLUSHED", NOTHING, CHUNK)) is None


def test_a_record_within_the_window_makes_a_proof_wrong() -> None:
    assert disagreement(observation("DRAINED", NOTHING, quiet=2.0))
    settled = observation("DRAINED", NOTHING, quiet=EMPTY_FOR_SECONDS)
    assert disagreement(settled) is None


def test_what_a_stage_cannot_see_is_taken_out_of_the_truth_and_nothing_else() -> None:
    blind = BACKED_UP.evidence
    assert disagreement(observation("DRAINED", ASIDE).without(blind)) is None
    assert disagreement(observation("DRAINED", MEMORY).without(blind)) is None
    assert disagreement(observation("DRAINED", CHUNK).without(blind))
    assert disagreement(observation("FLUSHED", ASIDE).without(BACKED_UP.flush))
    assert disagreement(observation("FLUSHED", ASIDE).without(LOST.flush))
