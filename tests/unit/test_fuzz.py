"""Bad input at every entry point: no batch crashes, nothing vanishes, nobody is released on it.

The other side of each property is in here too: a sound message beside the bad ones is handled.
``FUZZ_EXAMPLES=5000`` looks further, at other inputs every time.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers import interruption, lifecycle, reconcile
from lifecycle.flows.reconcile import Reconciler
from lifecycle.messages import CheckMessage, Transition
from lifecycle.telemetry import Runtime
from tests.support import environments, fuzz_inputs, fuzz_prometheus
from tests.support.fuzz_cloud import (
    KEEPERS,
    NOW,
    PROVEN,
    SECRETS,
    Cloud,
    EntryPoint,
    HttpAnswer,
    Outcome,
)
from tests.support.fuzz_inputs import fuzzed
from tests.support.messages import (
    INSTANCE_ID,
    buffer_check,
    flush_check,
    launch_event,
    operation_check,
    record,
    spot_event,
    sqs_event,
    terminate_event,
)
from waiters import buffer, flush, operation

LONG_AGO = NOW - 1000


@dataclass(frozen=True)
class Scheduled:
    """The reconciler, which is told nothing but that it is time."""

    reconciler: Reconciler

    def handle(self, event: Any) -> None:
        del event
        self.reconciler.handle()


def scheduled(environment: Mapping[str, str], runtime: Runtime) -> Scheduled:
    return Scheduled(reconcile.wire(environment, runtime))


ASYNCHRONOUS = {"lifecycle": EntryPoint(lifecycle.wire, environments.lifecycle_handler)}
INTERRUPTION = EntryPoint(interruption.wire, environments.interruption)
RECONCILER = EntryPoint(scheduled, environments.reconciler)
STAGES = {
    "operation": EntryPoint(operation.wire, environments.operation_waiter),
    "flush": EntryPoint(flush.wire, environments.flush_waiter),
    "buffer": EntryPoint(buffer.wire, environments.buffer_waiter),
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


def check_secrets(outcome: Outcome, cloud: Cloud) -> None:
    said = outcome.everything_said(cloud)
    assert not [secret for secret in SECRETS if secret in said]


def is_passed_on(stage: str, cloud: Cloud) -> bool:
    """Whether the instance of the sound message was handed to the next stage, or let go."""
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
def test_bad_messages_are_kept_or_set_aside_and_the_sound_one_beside_them_is_handled(
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
        # Set aside for a person, or sound after all: then its instance is the sound one's.
        assert one.get("body") in dead_letters(cloud) or is_sound(stage, one.get("body"))
    assert set(cloud.released()) <= {INSTANCE_ID}
    check_secrets(outcome, cloud)


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
@given(
    oddities=fuzz_inputs.aws_oddities,
    is_registered=st.booleans(),
)
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
    check_secrets(outcome, cloud)


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
    check_secrets(outcome, cloud)


@fuzzed
@given(
    answer=fuzz_prometheus.prometheus_answers,
    auth=st.sampled_from(["basic", "bearer", "sigv4"]),
    kept_in=st.sampled_from(list(KEEPERS)),
)
def test_whatever_prometheus_answers_nobody_is_released_without_the_whole_proof(
    answer: HttpAnswer, auth: str, kept_in: str
) -> None:
    cloud = Cloud(prometheus=answer, auth=auth, kept_in=kept_in)
    outcome = STAGES["buffer"].invoke(cloud, sqs_event(sound_record("buffer")))
    assert outcome.error is None
    assert outcome.returned_ids == {"sound"}
    assert (cloud.released(), cloud.sent()) == ([], [])
    assert cloud.of("record_lifecycle_action_heartbeat")
    check_secrets(outcome, cloud)


@fuzzed
@given(body=fuzz_prometheus.qualified_answers() | fuzz_prometheus.answers_of_another_kind())
def test_the_whole_proof_in_an_answer_that_may_be_partial_releases_nobody(body: bytes) -> None:
    cloud = Cloud(prometheus=HttpAnswer(body))
    outcome = STAGES["buffer"].invoke(cloud, sqs_event(sound_record("buffer")))
    assert (outcome.returned_ids, cloud.released()) == ({"sound"}, [])
    assert outcome.has_logged("prometheus_failed")
    check_secrets(outcome, cloud)


@fuzzed
@given(body=fuzz_prometheus.remarked_answers())
def test_remarks_that_take_nothing_away_from_the_answer_keep_nobody(body: bytes) -> None:
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
    check_secrets(outcome, cloud)


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


@pytest.mark.parametrize("name", ASYNCHRONOUS)
@fuzzed
@given(event=fuzz_inputs.events, state=st.sampled_from(["Pending:Wait", "Terminating:Wait"]))
def test_a_bad_event_is_set_aside_or_ignored_aloud_and_lets_nobody_go(
    name: str, event: Any, state: str
) -> None:
    cloud = Cloud(lifecycle_state=state)
    outcome = ASYNCHRONOUS[name].invoke(cloud, event)
    if outcome.error is None:
        assert cloud.sent() or cloud.released() or outcome.has_logged("lifecycle_event_ignored")
    if cloud.released():
        detail = event["detail"]
        assert detail["Destination"] == "WarmPool"
        assert detail["LifecycleTransition"] == "autoscaling:EC2_INSTANCE_LAUNCHING"
        assert cloud.released() == [detail["EC2InstanceId"]]
    check_secrets(outcome, cloud)


@pytest.mark.parametrize("name", ASYNCHRONOUS)
@pytest.mark.parametrize(
    ("event", "state"),
    [(terminate_event(), "Terminating:Wait"), (launch_event(), "Pending:Wait")],
    ids=["terminate", "launch"],
)
@fuzzed
@given(oddities=fuzz_inputs.aws_oddities)
def test_whatever_aws_answers_an_event_is_never_dropped_in_silence(
    name: str, event: dict[str, Any], state: str, oddities: dict[str, Any]
) -> None:
    cloud = Cloud(odd=oddities, lifecycle_state=state)
    outcome = ASYNCHRONOUS[name].invoke(cloud, event)
    if outcome.error is None:
        assert cloud.sent() or outcome.has_logged("lifecycle_event_ignored")
    assert cloud.released() == []
    check_secrets(outcome, cloud)


@fuzzed
@given(
    event=fuzz_inputs.interruptions,
    state=st.sampled_from(["InService", "Terminating:Wait"]),
    in_ec2=st.sampled_from(["running", "shutting-down"]),
)
def test_a_bad_interruption_is_set_aside_or_ignored_aloud_and_lets_nobody_go(
    event: Any, state: str, in_ec2: str
) -> None:
    cloud = Cloud(lifecycle_state=state, instance_state=in_ec2, is_registered=True)
    outcome = INTERRUPTION.invoke(cloud, event)
    if outcome.error is None:
        assert outcome.has_logged(*INTERRUPTION_ENDS)
    assert (cloud.released(), cloud.sent()) == ([], [])
    check_queued_interruption(event, state, in_ec2)
    if cloud.of("deregister_instance"):
        assert is_about(event, cloud.of("deregister_instance")[0].arguments["InstanceId"])
        # EC2's word that it ends is not enough.
        assert in_ec2 != "running" or event["detail-type"] != STATE_CHANGE
    check_secrets(outcome, cloud)


def check_queued_interruption(event: Any, state: str, in_ec2: str) -> None:
    """The same through the queue: done, ignored aloud or dead-lettered, and never in the way."""
    cloud = Cloud(lifecycle_state=state, instance_state=in_ec2, is_registered=True)
    sound = record(json.dumps(spot_event()), message_id="sound", sent_at=NOW)
    bad = record(json.dumps(event), message_id="bad", sent_at=NOW)
    outcome = INTERRUPTION.invoke(cloud, sqs_event(bad, sound))
    assert (outcome.error, cloud.released()) == (None, [])
    assert "sound" not in outcome.returned_ids
    assert outcome.has_logged(*INTERRUPTION_ENDS)
    if outcome.has_logged("interruption_invalid"):
        [letter] = dead_letters(cloud)
        assert json.loads(letter)["requestPayload"] == through_json(event)


STATE_CHANGE = "EC2 Instance State-change Notification"
INTERRUPTION_ENDS = (
    "interruption_ignored",
    "instance_ended",
    "unclean_termination",
    "deregistration_requested",
    "flush_requested",
)


def is_about(event: Any, instance_id: str) -> bool:
    """Whether an event names this instance, to a reader who knows only JSON."""
    detail = event["detail"]
    return instance_id in {detail.get("instance-id"), detail.get("EC2InstanceId")}


@pytest.mark.parametrize("event", fuzz_inputs.SOUND_INTERRUPTIONS, ids=lambda it: it["detail-type"])
@fuzzed
@given(oddities=fuzz_inputs.aws_oddities)
def test_whatever_aws_answers_an_interruption_is_never_dropped_in_silence(
    event: dict[str, Any], oddities: dict[str, Any]
) -> None:
    cloud = Cloud(odd=oddities, lifecycle_state="InService", is_registered=True)
    outcome = INTERRUPTION.invoke(cloud, event)
    if outcome.error is None:
        assert outcome.has_logged(*INTERRUPTION_ENDS)
    assert (cloud.released(), cloud.sent()) == ([], [])
    check_secrets(outcome, cloud)


@fuzzed
@given(
    oddities=fuzz_inputs.reconciler_oddities,
    state=st.sampled_from(["InService", "Pending:Wait", "Terminating:Wait", "Standby"]),
)
def test_whatever_aws_answers_the_reconciler_lets_nobody_go_and_fails_aloud(
    oddities: dict[str, Any], state: str
) -> None:
    cloud = Cloud(odd=oddities, lifecycle_state=state)
    outcome = RECONCILER.invoke(cloud, {})
    assert outcome.error is not None or outcome.has_logged("reconciled")
    assert cloud.released() == []
    check_secrets(outcome, cloud)


def test_the_reconciler_corrects_what_it_sees_in_a_sound_cloud() -> None:
    cloud = Cloud(lifecycle_state="InService")
    assert RECONCILER.invoke(cloud, {}).error is None
    assert [one.arguments["InstanceId"] for one in cloud.of("register_instance")] == [INSTANCE_ID]


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
