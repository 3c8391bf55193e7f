"""Which answer of the evidence function counts: one to this very question, of this time."""

import math
from dataclasses import replace
from typing import Any

import pytest

from lifecycle.decisions.answers import (
    MOST_INSTANCES,
    MOST_SAMPLE_BYTES,
    Answer,
    Question,
    Subject,
    flaw_of,
    parse_answer,
    parse_question,
    samples_of,
)
from lifecycle.decisions.buffer import Reason, State, Verdict
from lifecycle.decisions.evidence import Rules, Series
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


def test_the_largest_question_and_its_answer_are_far_below_what_lambda_takes() -> None:
    subject = Subject(label_value="x" * 255, deregistered_at=NOW)
    subjects = {f"i-{number:017x}": subject for number in range(MOST_INSTANCES)}
    rules = replace(RULES, metric_prefix="x" * 255, heartbeat_plugin_id="x" * 255)
    asked = Question(
        version=1, instances=subjects, instance_label="x" * 255, rules=rules,
        own_events_output="x" * 255,
    )  # fmt: skip
    verdict = replace(PROVEN, detail="x" * 2000)  # names, labels and errors are cut to less
    answered = Answer(version=1, now=NOW, verdicts=dict.fromkeys(subjects, verdict))
    sizes = [len(one.model_dump_json()) for one in (asked, answered)]
    assert max(sizes) < 6_291_456 / 20


class TestSamples:
    def series(self, number: int, samples: int, label: str = "") -> list[Series]:
        newest_last = [(NOW + at, float(at)) for at in range(samples)]
        return [
            Series({"__name__": "up", "number": str(one), "label": label}, newest_last)
            for one in range(number)
        ]

    def test_they_are_asked_for_a_single_instance_alone(self) -> None:
        asked = question(INSTANCE_ID).model_dump(mode="json")
        assert not parse_question(asked).with_samples
        assert parse_question({**asked, "with_samples": True}).with_samples
        two = question(INSTANCE_ID, OTHER_INSTANCE_ID).model_dump(mode="json")
        with pytest.raises(Malformed, match=r"with_samples.*single instance"):
            parse_question({**two, "with_samples": True})
        with pytest.raises(Malformed, match=r"question: instances: "):
            parse_question({**asked, "instances": {}, "with_samples": True})

    def test_all_are_there_as_prometheus_has_them_also_what_is_no_number(self) -> None:
        labels = {"__name__": "up", "instance": "10.0.0.7:24231"}
        shown = samples_of(
            [Series(labels, [(NOW, math.nan), (NOW + 15, 1.0), (NOW + 30, math.inf)])]
        )
        assert shown.left_out == 0
        [one] = shown.series
        assert one.labels == labels
        assert one.samples == ((NOW, "nan"), (NOW + 15, "1.0"), (NOW + 30, "inf"))
        answered = answer(INSTANCE_ID).model_copy(update={"samples": shown})
        assert parse_answer(answered.model_dump_json().encode()) == answered

    def test_too_many_leave_out_the_oldest_of_each_series_and_say_so(self) -> None:
        shown = samples_of(self.series(50, 1001))
        assert len(shown.model_dump_json()) <= MOST_SAMPLE_BYTES
        assert len(shown.series) == 50
        for one in shown.series:
            assert one.samples[-1] == (NOW + 1000, "1000.0")
            assert len(one.samples) >= 250
        kept = sum(len(one.samples) for one in shown.series)
        assert shown.left_out == 50 * 1001 - kept > 0

    def test_labels_that_are_too_large_leave_out_series(self) -> None:
        shown = samples_of(self.series(8, 3, label="x" * 300_000))
        assert [len(one.samples) for one in shown.series] == [0, 0]
        assert shown.left_out == 24
        assert samples_of(self.series(1, 1, label="x" * MOST_SAMPLE_BYTES)).series == ()


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
