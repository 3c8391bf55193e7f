"""What each answer of an invocation means: a whole one to this question, or none."""

import json
from io import BytesIO
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError

from lifecycle.adapters import clients
from lifecycle.adapters.evidence import EvidenceFunction
from lifecycle.decisions.answers import Question, Subject, parse_question
from lifecycle.decisions.buffer import State
from lifecycle.decisions.evidence import Rules
from lifecycle.errors import EvidenceFailed
from tests.support.messages import INSTANCE_ID, NOW, OTHER_INSTANCE_ID
from tests.support.scripted import ScriptedClient, aws_error, scripted

QUESTION = Question(
    version=1,
    instances={INSTANCE_ID: Subject(label_value=INSTANCE_ID, deregistered_at=NOW - 1000)},
    instance_label="instance_id",
    rules=Rules(empty_for_seconds=300, settle_seconds=75, scrape_interval_seconds=15),
)
PROVEN = {"state": "DRAINED", "reason": "proven_empty", "detail": "2 outputs"}
ANSWER: dict[str, Any] = {"version": 1, "now": NOW, "verdicts": {INSTANCE_ID: PROVEN}}


def returned(payload: Any, **members: Any) -> dict[str, Any]:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return {"StatusCode": 200, "Payload": BytesIO(body), **members}


def asked(answer: Any, *times: float) -> tuple[ScriptedClient, EvidenceFunction]:
    clock = iter(times or (NOW, NOW))
    client = scripted(invoke=answer)
    return client, EvidenceFunction(client, "pipeline-evidence", lambda: next(clock))


def test_a_question_is_one_synchronous_invocation_and_the_answer_its_verdicts() -> None:
    client, function = asked(returned(ANSWER))
    assert {one: v.state for one, v in function.ask(QUESTION).items()} == {
        INSTANCE_ID: State.DRAINED
    }
    [(_, arguments)] = client.calls
    assert arguments["InvocationType"] == "RequestResponse"
    assert arguments["FunctionName"] == "pipeline-evidence"
    asked_for = json.loads(arguments["Payload"])
    assert parse_question(asked_for) == QUESTION
    # To a function of the version before, a field that it does not know is no question.
    assert asked_for.keys() == {"version", "instances", "instance_label", "rules"}


@pytest.mark.parametrize(
    "error",
    [
        ReadTimeoutError(endpoint_url="https://lambda"),
        ConnectTimeoutError(endpoint_url="https://lambda"),
        aws_error("TooManyRequestsException"),
        aws_error("ResourceNotFoundException"),
        aws_error("AccessDeniedException"),
    ],
)
def test_a_function_that_does_not_answer_gives_no_verdict(error: Exception) -> None:
    _, function = asked(error)
    with pytest.raises((ClientError, ReadTimeoutError, ConnectTimeoutError)):
        function.ask(QUESTION)


FAILURE = {"errorType": "Sandbox.Timedout", "errorMessage": "timed out", "stackTrace": ["x"]}


@pytest.mark.parametrize(
    ("payload", "members", "words"),
    [
        (FAILURE, {"FunctionError": "Unhandled"}, "failed: Sandbox.Timedout: timed out"),
        (ANSWER, {"FunctionError": "Handled"}, "failed"),
        (b"", {"FunctionError": "Unhandled"}, "failed"),
        (b"", {"StatusCode": 202}, "not an answer"),
        (b"<html>", {}, "not an answer"),
        (None, {}, "not an answer"),
        (FAILURE, {}, "not an answer"),
        ({**ANSWER, "version": 2}, {}, "version"),
        ({name: v for name, v in ANSWER.items() if name != "version"}, {}, "version"),
        ({**ANSWER, "now": "soon"}, {}, "now"),
        ({**ANSWER, "now": None}, {}, "now"),
        ({**ANSWER, "more": 1}, {}, "more"),
        ({**ANSWER, "verdicts": {INSTANCE_ID: "DRAINED"}}, {}, INSTANCE_ID),
        ({**ANSWER, "verdicts": {INSTANCE_ID: {**PROVEN, "state": "drained"}}}, {}, "state"),
        ({**ANSWER, "verdicts": {INSTANCE_ID: {**PROVEN, "more": 1}}}, {}, "more"),
        ({**ANSWER, "verdicts": {INSTANCE_ID: {"state": "DRAINED"}}}, {}, "reason"),
        ({**ANSWER, "verdicts": {}}, {}, "about nothing"),
        ({**ANSWER, "verdicts": {OTHER_INSTANCE_ID: PROVEN}}, {}, f"about {OTHER_INSTANCE_ID}"),
        (
            {**ANSWER, "verdicts": {INSTANCE_ID: PROVEN, OTHER_INSTANCE_ID: PROVEN}},
            {},
            "asked was",
        ),
        ({**ANSWER, "now": NOW - 15.1}, {}, "another time"),
        ({**ANSWER, "now": NOW + 15.1}, {}, "another time"),
    ],
)
def test_what_is_no_whole_answer_to_this_question_gives_no_verdict(
    payload: Any, members: dict[str, Any], words: str
) -> None:
    _, function = asked(returned(payload, **members))
    with pytest.raises(EvidenceFailed, match=words):
        function.ask(QUESTION)


@pytest.mark.parametrize("now", [NOW - 15, NOW, NOW + 25, NOW + 40])
def test_an_answer_made_while_it_was_waited_for_counts_however_long_that_took(now: float) -> None:
    _, function = asked(returned({**ANSWER, "now": now}), NOW, NOW + 25)
    assert function.ask(QUESTION)[INSTANCE_ID].state is State.DRAINED


@pytest.mark.usefixtures("aws_environment")
def test_the_client_invokes_once_and_waits_as_long_as_it_is_told() -> None:
    config: Any = clients.functions(32.0).meta.config
    assert (config.read_timeout, config.retries["total_max_attempts"]) == (32.0, 1)
