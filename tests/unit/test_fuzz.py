"""Bad input at every entry point: no batch crashes, nothing vanishes, it releases no instance.

The other side of each property is in here too: a sound message beside the bad ones is handled.
``FUZZ_EXAMPLES=5000`` looks further, at other inputs every time.
"""

import json
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers import evidence
from lifecycle.errors import Malformed
from lifecycle.messages import CheckMessage, Transition
from tests.support import environments, fuzz_inputs, fuzz_prometheus
from tests.support.fuzz_cloud import KEEPERS, NOW, PROVEN, SECRETS, Cloud, EntryPoint, HttpAnswer
from tests.support.fuzz_inputs import fuzzed
from tests.support.messages import (
    INSTANCE_ID,
    buffer_check,
    flush_check,
    operation_check,
    record,
    sqs_event,
)
from waiters import buffer, flush, operation

LONG_AGO = NOW - 1000


STAGES = {
    "operation": EntryPoint(operation.wire, environments.operation_waiter),
    "flush": EntryPoint(flush.wire, environments.flush_waiter),
    "buffer": EntryPoint(buffer.wire, environments.buffer_waiter),
}
EVIDENCE = EntryPoint(evidence.wire, environments.evidence)
QUESTION = {
    "version": 1,
    "instances": {INSTANCE_ID: {"label_value": INSTANCE_ID, "deregistered_at": LONG_AGO}},
    "instance_label": "instance_id",
    "rules": {"empty_for_seconds": 300, "settle_seconds": 75, "scrape_interval_seconds": 15},
}
SOUND: dict[str, CheckMessage] = {
    "operation": operation_check(operation_id="deregister-1", started_at=LONG_AGO),
    "flush": flush_check(deregistered_at=LONG_AGO, started_at=LONG_AGO),
    "buffer": buffer_check(deregistered_at=LONG_AGO, started_at=LONG_AGO),
}
BODIES = {stage: message.model_dump_json() for stage, message in SOUND.items()}
EVERY_STAGE = pytest.mark.parametrize("stage", STAGES)


def sound_record(stage: str) -> dict[str, Any]:
    return record(BODIES[stage], message_id="sound", sent_at=NOW)


def is_passed_on(stage: str, cloud: Cloud) -> bool:
    """Whether the instance of the sound message was passed on to the next stage, or released."""
    if stage != "operation":
        return cloud.released() == [INSTANCE_ID]
    return [json.loads(one["MessageBody"])["stage"] for one in passed_on(cloud)] == ["buffer"]


def passed_on(cloud: Cloud) -> list[dict[str, Any]]:
    return [one for one in cloud.sent() if not one["QueueUrl"].endswith("-dlq")]


def dead_letters(cloud: Cloud) -> list[Any]:
    return [one["MessageBody"] for one in cloud.sent() if one["QueueUrl"].endswith("-dlq")]


def through_json(event: Any) -> Any:
    """As the event reaches a function."""
    return json.loads(json.dumps(event))


@EVERY_STAGE
@fuzzed
@given(data=st.data())
def test_bad_messages_are_kept_or_dead_lettered_and_the_sound_one_beside_them_is_handled(
    stage: str, data: st.DataObject
) -> None:
    bad = data.draw(st.lists(fuzz_inputs.odd_records(BODIES[stage]), min_size=1, max_size=3))
    place = data.draw(st.integers(0, len(bad)))
    records = [*bad[:place], sound_record(stage), *bad[place:]]
    cloud = Cloud()
    outcome = STAGES[stage].invoke(cloud, sqs_event(*records))
    assert outcome.error is None
    assert outcome.returned_ids <= {one["messageId"] for one in bad}
    assert len(passed_on(cloud)) + len(cloud.released()) >= 1
    gone = [one for one in through_json(bad) if one["messageId"] not in outcome.returned_ids]
    for one in gone:
        # Dead-lettered, or sound after all: then its instance is the sound one's.
        assert one.get("body") in dead_letters(cloud) or is_sound(stage, one.get("body"))
    assert set(cloud.released()) <= {INSTANCE_ID}
    outcome.check_secrets(cloud)


def is_sound(stage: str, body: Any) -> bool:
    """Whether a body says, to a reader who knows only JSON, what the stage needs to know."""
    try:
        document = json.loads(body)
        wanted = json.loads(BODIES[stage])
        return bool(
            document.get("version", 1) == 1
            and document.get("stage", stage) == stage
            and document["action"]["instance_id"] == INSTANCE_ID
            and document.keys() <= wanted.keys()
        )
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError):
        return False


@EVERY_STAGE
@fuzzed
@given(oddities=fuzz_inputs.aws_oddities, is_registered=st.booleans())
def test_whatever_aws_answers_a_message_stays_until_its_instance_is_proven(
    stage: str, oddities: dict[str, Any], *, is_registered: bool
) -> None:
    cloud = Cloud(odd=oddities, is_registered=is_registered)
    outcome = STAGES[stage].invoke(cloud, sqs_event(sound_record(stage)))
    assert outcome.error is None
    assert outcome.returned_ids <= {"sound"}
    if cloud.released() or (stage == "operation" and is_passed_on(stage, cloud)):
        assert cloud.said_not_registered()
    if stage == "flush" and cloud.released():
        assert is_flushed(cloud.of("get_command_invocation")[-1].answer)
    if not outcome.returned_ids:
        assert (
            cloud.released()
            or cloud.sent()
            or outcome.has_logged("lifecycle_action_expired", "lifecycle_action_already_ended")
        )
    outcome.check_secrets(cloud)


@fuzzed
@given(oddities=fuzz_inputs.aws_oddities, is_registered=st.booleans())
def test_whatever_aws_answers_an_instance_that_was_not_seen_registered_is_not_put_in_service(
    oddities: dict[str, Any], *, is_registered: bool
) -> None:
    message = operation_check(Transition.LAUNCHING, operation_id="register-1", started_at=LONG_AGO)
    cloud = Cloud(odd=oddities, is_registered=is_registered, lifecycle_state="Pending:Wait")
    outcome = STAGES["operation"].invoke(
        cloud, sqs_event(record(message, message_id="sound", sent_at=NOW))
    )
    assert outcome.error is None
    if cloud.released():
        assert not cloud.said_not_registered()
        assert not isinstance(cloud.of("get_instance")[-1].answer, Exception)
    if not outcome.returned_ids:
        assert cloud.released() or cloud.sent() or cloud.of("deregister_instance")
    outcome.check_secrets(cloud)


@fuzzed
@given(
    answer=fuzz_prometheus.prometheus_answers,
    auth=st.sampled_from(["basic", "bearer", "sigv4"]),
    kept_in=st.sampled_from(list(KEEPERS)),
)
def test_whatever_prometheus_answers_none_is_released_without_the_whole_proof(
    answer: HttpAnswer, auth: str, kept_in: str
) -> None:
    cloud = Cloud(prometheus=answer, auth=auth, kept_in=kept_in)
    outcome = STAGES["buffer"].invoke(cloud, sqs_event(sound_record("buffer")))
    assert outcome.error is None
    assert outcome.returned_ids == {"sound"}
    assert (cloud.released(), cloud.sent()) == ([], [])
    assert cloud.of("record_lifecycle_action_heartbeat")
    outcome.check_secrets(cloud)


@fuzzed
@given(event=fuzz_inputs.values | fuzz_inputs.damaged(QUESTION))
def test_a_bad_question_is_refused_by_field_or_answered_for_its_very_instances(event: Any) -> None:
    cloud = Cloud()
    outcome = EVIDENCE.invoke(cloud, through_json(event))
    if outcome.error is None:
        assert outcome.answer["verdicts"].keys() == event["instances"].keys()
    else:
        assert isinstance(outcome.error, Malformed)
    outcome.check_secrets(cloud)


@fuzzed
@given(said=fuzz_inputs.values)
def test_whatever_the_evidence_function_returns_none_is_released_without_an_answer(
    said: Any,
) -> None:
    body = json.dumps(said).encode()
    cloud = Cloud(odd={"invoke": lambda **_: {"StatusCode": 200, "Payload": BytesIO(body)}})
    outcome = STAGES["buffer"].invoke(cloud, sqs_event(sound_record("buffer")))
    assert (outcome.returned_ids, cloud.released()) == ({"sound"}, [])
    assert outcome.has_logged("evidence_failed")


@fuzzed
@given(body=fuzz_prometheus.qualified_answers() | fuzz_prometheus.answers_of_another_kind())
def test_the_whole_proof_in_an_answer_that_may_be_partial_releases_none(body: bytes) -> None:
    cloud = Cloud(prometheus=HttpAnswer(body))
    outcome = STAGES["buffer"].invoke(cloud, sqs_event(sound_record("buffer")))
    assert (outcome.returned_ids, cloud.released()) == ({"sound"}, [])
    assert outcome.has_logged("prometheus_failed")
    outcome.check_secrets(cloud)


@fuzzed
@given(body=fuzz_prometheus.remarked_answers())
def test_remarks_that_take_nothing_away_from_the_answer_keep_none(body: bytes) -> None:
    cloud = Cloud(prometheus=HttpAnswer(body))
    outcome = STAGES["buffer"].invoke(cloud, sqs_event(sound_record("buffer")))
    assert (outcome.returned_ids, cloud.released()) == (set(), [INSTANCE_ID])


@fuzzed
@given(
    status=st.one_of(st.just("Success"), fuzz_inputs.texts, fuzz_inputs.values),
    output=fuzz_inputs.flush_outputs,
    details=fuzz_inputs.values,
)
def test_whatever_an_instance_answers_it_is_released_for_the_one_sound_answer_only(
    status: Any, output: Any, details: Any
) -> None:
    answer = {"Status": status, "StatusDetails": details, "StandardOutputContent": output}
    cloud = Cloud(flush_answer=answer)
    outcome = STAGES["flush"].invoke(cloud, sqs_event(sound_record("flush")))
    assert outcome.error is None
    assert bool(cloud.released()) <= is_flushed(answer)
    assert outcome.returned_ids or cloud.released() or dead_letters(cloud) == [BODIES["flush"]]
    outcome.check_secrets(cloud)


def is_flushed(answer: Any) -> bool:
    """Whether an answer says, to a reader who knows only JSON, that nothing is left."""
    try:
        said = json.loads(answer["StandardOutputContent"])
        counters = said["monitor"] or {}
        nothing = [said["chunks"], said["bytes"], said["set_aside"]]
        nothing += [counters.get(one, 0) for one in ("staged", "queued", "bytes")]
        return (
            answer["Status"] == "Success"
            and all(one == 0 and not isinstance(one, bool) for one in nothing)
            and said["signalled"] is True
            and said["quiet"] is True
        )
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError):
        return False


@EVERY_STAGE
def test_the_sound_message_alone_is_passed_on(stage: str) -> None:
    cloud = Cloud()
    assert cloud.prometheus is PROVEN
    outcome = STAGES[stage].invoke(cloud, sqs_event(sound_record(stage)))
    assert (outcome.error, outcome.returned_ids) == (None, set())
    assert is_passed_on(stage, cloud)


@pytest.mark.parametrize("auth", ["basic", "bearer", "sigv4"])
@pytest.mark.parametrize("kept_in", KEEPERS)
def test_with_any_kind_of_credentials_the_sound_answer_is_a_proof(auth: str, kept_in: str) -> None:
    cloud = Cloud(auth=auth, kept_in=kept_in)
    STAGES["buffer"].invoke(cloud, sqs_event(sound_record("buffer")))
    assert cloud.released() == [INSTANCE_ID]


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_the_secret_that_is_looked_for_is_the_one_that_was_sent(auth: str) -> None:
    asked_with = []

    class Watching(Cloud):
        def answer_http(self, request: Any) -> Any:
            asked_with.append(request.headers["Authorization"])
            return super().answer_http(request)

    STAGES["buffer"].invoke(Watching(auth=auth), sqs_event(sound_record("buffer")))
    assert [one for one in asked_with if any(secret in one for secret in SECRETS)] == asked_with
    assert asked_with
