"""The readiness of a launch: what each answer leads to, and what is remembered of it."""

import json
from io import BytesIO
from typing import Any

import pytest

from lifecycle.adapters.evidence import EvidenceFunction
from lifecycle.decisions.buffer import Reason, State, Verdict, unknown
from lifecycle.decisions.marks import NOT_READY_TAG_KEY, written
from lifecycle.errors import NotReady, UnexpectedState
from lifecycle.flows.proof import Proof
from lifecycle.flows.readiness import Readiness
from lifecycle.messages import Transition
from lifecycle.settings import ProofSettings, load_settings
from lifecycle.telemetry import LogEvent, Metric
from tests.support import environments
from tests.support.messages import INSTANCE_ID, NOW, operation_check
from tests.support.parts import Parts, described
from tests.support.scripted import THROTTLED

LAUNCH = operation_check(Transition.LAUNCHING, started_at=NOW - 300).action
READY = Verdict(State.SERVING, Reason.READY, "up is 1")
DOWN = Verdict(State.DOWN, Reason.NOT_READY, "up is 0")
UNKNOWN = unknown(Reason.NO_SERIES, "nothing")


def readiness(parts: Parts, functions: Any = None) -> Readiness:
    settings = load_settings(ProofSettings, environments.reconciler())
    evidence = EvidenceFunction(functions, "evidence", parts.runtime.clock)
    proof = Proof(settings, parts.instances, evidence, parts.runtime)
    return Readiness(proof, parts.instances, 300, parts.runtime)


def test_all_launches_of_a_batch_are_one_question_about_readiness() -> None:
    parts, asked = Parts(), []

    class Functions:
        def invoke(self, **call: Any) -> dict[str, Any]:
            asked.append(json.loads(call["Payload"]))
            said = {"state": "SERVING", "reason": "ready", "detail": "up is 1"}
            answer = {"version": 1, "now": NOW, "verdicts": {INSTANCE_ID: said}}
            return {"Payload": BytesIO(json.dumps(answer).encode())}

    verdicts = readiness(parts, Functions()).ask([LAUNCH, LAUNCH])
    assert verdicts == {INSTANCE_ID: Verdict(State.SERVING, Reason.READY, "up is 1")}
    [question] = asked
    assert question["purpose"] == "readiness"


def test_one_that_is_ready_is_to_be_registered_and_nothing_else_is_asked() -> None:
    parts = Parts()
    readiness(parts).require(LAUNCH, READY)
    assert parts.client.calls == []
    assert parts.telemetry.the(LogEvent.READINESS_VERDICT)["admission"] == "register"


def test_one_that_is_down_waits_for_the_next_scrape_and_that_is_remembered() -> None:
    parts = Parts()
    with pytest.raises(NotReady, match=r"DOWN \(not_ready\): up is 0") as waits:
        readiness(parts).require(LAUNCH, DOWN)
    assert waits.value.not_before == NOW + 15
    [tagged] = parts.client.arguments_of("create_tags")
    assert tagged["Tags"] == [{"Key": NOT_READY_TAG_KEY, "Value": written(NOW)}]


def test_a_tag_that_cannot_be_written_lets_no_one_in() -> None:
    parts = Parts(create_tags=THROTTLED)
    with pytest.raises(NotReady):
        readiness(parts).require(LAUNCH, DOWN)
    assert parts.telemetry.the(LogEvent.MARK_FAILED)["mark"] == "not-ready"


def test_nothing_known_for_long_enough_registers_it_and_is_counted() -> None:
    parts = Parts()
    readiness(parts).require(LAUNCH, UNKNOWN)
    assert parts.telemetry.total(Metric.READINESS_UNKNOWN) == 1


def test_nothing_known_counts_from_when_it_was_last_known_to_be_down() -> None:
    tags: dict[str, Any] = {NOT_READY_TAG_KEY: written(NOW - 299)}
    parts = Parts(describe_instances=described(INSTANCE_ID, **tags))
    with pytest.raises(NotReady):
        readiness(parts).require(LAUNCH, UNKNOWN)
    assert parts.telemetry.total(Metric.READINESS_UNKNOWN) == 0


def test_one_that_ec2_does_not_know_yet_is_asked_about_again() -> None:
    parts = Parts(describe_instances={"Reservations": []})
    with pytest.raises(UnexpectedState):
        readiness(parts).require(LAUNCH, UNKNOWN)
