"""Asking the evidence function: few questions, bounded in time, and each failure is unknown."""

from typing import Any

import pytest

from lifecycle.adapters.evidence import EvidenceFunction
from lifecycle.decisions.answers import Purpose
from lifecycle.decisions.buffer import Reason, State, Verdict
from lifecycle.flows.proof import Proof
from lifecycle.settings import ProofSettings, load_settings
from lifecycle.telemetry import LogEvent
from tests.support import environments
from tests.support.messages import NOW
from tests.support.parts import Parts
from tests.unit.flows.test_standing import Function, ids

SERVING = Verdict(State.SERVING, Reason.PROVABLE, "whole")


def ask(
    parts: Parts,
    function: Function,
    number: int,
    purpose: Purpose = Purpose.STANDING,
    **settings: str,
) -> dict[str, Verdict]:
    functions: Any = function
    proof = Proof(
        load_settings(ProofSettings, environments.reconciler(**settings)),
        parts.instances,
        EvidenceFunction(functions, "evidence", parts.runtime.clock),
        parts.runtime,
    )
    return proof.ask(dict.fromkeys(ids(number), NOW), purpose)


@pytest.mark.parametrize(
    ("number", "sizes"), [(0, []), (1, [1]), (100, [100]), (250, [100, 100, 50])]
)
def test_as_few_questions_are_asked_as_an_answer_has_room_for(
    number: int, sizes: list[int]
) -> None:
    parts = Parts()
    function = Function(SERVING, parts)
    verdicts = ask(parts, function, number)
    assert [len(one["instances"]) for one in function.questions] == sizes
    assert verdicts == dict.fromkeys(ids(number), SERVING)


@pytest.mark.parametrize("purpose", Purpose)
def test_the_output_for_own_events_goes_along_with_a_standing_question_alone(
    purpose: Purpose,
) -> None:
    parts = Parts()
    function = Function(SERVING, parts)
    ask(parts, function, 1, purpose, PROMETHEUS_OWN_EVENTS_OUTPUT="own_events")
    ask(parts, function, 1, purpose)
    said = [one.get("own_events_output") for one in function.questions]
    assert said == ["own_events" if purpose is Purpose.STANDING else None, None]
    assert "own_events_output" not in function.questions[1]


def test_a_slow_function_is_asked_for_a_minute_and_the_rest_is_unknown() -> None:
    parts = Parts()
    function = Function(SERVING, parts, seconds=31)
    verdicts = ask(parts, function, 500)
    assert len(function.questions) == 2
    unknown = [one for one in verdicts.values() if one.reason is Reason.NOT_ASKED]
    assert len(unknown) == 300
    assert parts.telemetry.the(LogEvent.EVIDENCE_FAILED)["not_asked"] == 300


def test_one_without_an_address_is_unknown_where_the_label_holds_addresses() -> None:
    parts = Parts(describe_instances={"Reservations": []})
    function = Function(SERVING, parts)
    verdicts = ask(parts, function, 1, PROMETHEUS_IDENTIFY_BY="private_ip_address")
    assert [one.reason for one in verdicts.values()] == [Reason.INSTANCE_NOT_IDENTIFIED]
    assert function.questions == []
