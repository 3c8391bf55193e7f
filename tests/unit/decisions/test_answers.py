"""Which answer of the evidence function counts: one to this very question, of this time."""

from typing import Any

import pytest

from lifecycle.decisions.answers import (
    Answer,
    Question,
    Subject,
    flaw_of,
    parse_answer,
    parse_question,
)
from lifecycle.decisions.buffer import Reason, State, Verdict
from lifecycle.decisions.evidence import Rules
from lifecycle.errors import EvidenceFailed, Malformed
from tests.support.messages import INSTANCE_ID, NOW, OTHER_INSTANCE_ID

PROVEN = Verdict(State.DRAINED, Reason.PROVEN_EMPTY, "2 outputs", buffer_bytes=0, errors_rose=3)
SUBJECT = Subject(label_value=INSTANCE_ID, deregistered_at=NOW - 1000)
RULES = Rules(empty_for_seconds=300, settle_seconds=75, scrape_interval_seconds=15)


def question(*instance_ids: str) -> Question:
    subjects = dict.fromkeys(instance_ids, SUBJECT)
    return Question(version=1, instances=subjects, instance_label="instance_id", rules=RULES)


def answer(*instance_ids: str, now: float = NOW) -> Answer:
    return Answer(version=1, now=now, verdicts=dict.fromkeys(instance_ids, PROVEN))


def test_questions_and_answers_come_out_of_json_as_they_went_in() -> None:
    asked, answered = question(INSTANCE_ID), answer(INSTANCE_ID)
    assert parse_question(asked.model_dump(mode="json")) == asked
    assert parse_answer(answered.model_dump_json().encode()) == answered


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_version_is_refused_on_both_sides(version: Any) -> None:
    asked = {**question(INSTANCE_ID).model_dump(mode="json"), "version": version}
    with pytest.raises(Malformed, match="version"):
        parse_question(asked)
    answered = answer(INSTANCE_ID).model_dump_json().replace('"version":1', '"version":2')
    with pytest.raises(EvidenceFailed, match="version"):
        parse_answer(answered.encode())


@pytest.mark.parametrize("about", [(), (OTHER_INSTANCE_ID,), (INSTANCE_ID, OTHER_INSTANCE_ID)])
def test_an_answer_about_other_instances_does_not_count(about: tuple[str, ...]) -> None:
    flaw = flaw_of(answer(*about), question(INSTANCE_ID), asked_at=NOW, received_at=NOW)
    assert flaw is not None
    assert f"asked was {INSTANCE_ID}" in flaw


@pytest.mark.parametrize(
    ("now", "counts"),
    [(NOW - 15.1, False), (NOW - 15, True), (NOW + 25, True), (NOW + 40, True), (NOW + 41, False)],
)
def test_an_answer_must_be_made_while_it_was_waited_for_give_or_take_a_scrape(
    now: float, *, counts: bool
) -> None:
    flaw = flaw_of(
        answer(INSTANCE_ID, now=now), question(INSTANCE_ID), asked_at=NOW, received_at=NOW + 25
    )
    assert (flaw is None) == counts


def test_a_window_with_fewer_than_three_scrapes_is_no_rule() -> None:
    with pytest.raises(ValueError, match="3 x scrape_interval_seconds"):
        Rules(empty_for_seconds=44, settle_seconds=0, scrape_interval_seconds=15)
