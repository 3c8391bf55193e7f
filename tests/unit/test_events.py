"""Events and check messages: nothing malformed passes, and what is wrong is named."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import Malformed
from lifecycle.events import LifecycleEvent, Location, parse_lifecycle_event
from lifecycle.messages import (
    BufferCheck,
    OperationCheck,
    Transition,
    is_instance_id,
    parse_check_message,
)
from tests.support.messages import (
    GROUP,
    INSTANCE_ID,
    LAUNCH_HOOK,
    NOW,
    TERMINATE_HOOK,
    TOKEN,
    buffer_check,
    launch_event,
    operation_check,
    terminate_event,
)

NOT_INSTANCE_IDS = [
    "",
    "i-",
    "i-0123456",
    "i-012345678",
    "i-0123456789abcdef",
    "i-0123456789abcdef01",
    "i-0123456789ABCDEF0",
    "I-0123456789abcdef0",
    "0123456789abcdef0",
    "i-0123456789abcdeg0",
    " i-0123456789abcdef0",
    "i-0123456789abcdef0 ",
    "i-0123456789abcdef0\n",
    "i-0123456789abcdef0\r\n",
    "\ni-0123456789abcdef0",
    "i-0123456789abcdef0\x00",
    "i-0123456789abcdef0\u2028",
    'i-0123456789abcdef0"',
    'i-01234567"} or up{x="',
    "i-0123456789abcdef0|.*",
    "i-.................",
    "i-0123456789abcdef0\\",
    "i-\u0660\u0661\u0662\u0663\u0664\u0665\u0666\u0667",
    "i-\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17",
    "i-0123456789abcdef0,i-0123456789abcdef1",
]


def problem_of(event: object) -> str:
    with pytest.raises(Malformed) as caught:
        parse_lifecycle_event(event)
    return str(caught.value)


def with_action(message: OperationCheck | BufferCheck, **changes: Any) -> str:
    body = json.loads(message.model_dump_json())
    body["action"] = {**body["action"], **changes}
    return json.dumps(body)


def with_members(message: OperationCheck | BufferCheck, **changes: Any) -> str:
    return json.dumps({**json.loads(message.model_dump_json()), **changes})


class TestLifecycleEvents:
    def test_a_launch_is_read_with_its_origin_and_destination(self) -> None:
        event = parse_lifecycle_event(launch_event())
        assert event.action.transition is Transition.LAUNCHING
        assert event.action.lifecycle_hook_name == LAUNCH_HOOK
        assert (event.origin, event.destination) == (Location.EC2, Location.AUTO_SCALING_GROUP)

    def test_a_termination_is_read_with_the_time_at_which_its_wait_began(self) -> None:
        action = parse_lifecycle_event(terminate_event()).action
        assert action.model_dump() == {
            "autoscaling_group_name": GROUP,
            "lifecycle_hook_name": TERMINATE_HOOK,
            "lifecycle_action_token": TOKEN,
            "instance_id": INSTANCE_ID,
            "transition": Transition.TERMINATING,
            "started_at": NOW,
        }

    def test_an_event_without_origin_and_destination_is_fine(self) -> None:
        event = parse_lifecycle_event(terminate_event(Origin=None, Destination=None))
        assert (event.origin, event.destination) == (None, None)

    def test_an_instance_id_of_the_old_short_form_is_fine(self) -> None:
        assert parse_lifecycle_event(
            terminate_event(EC2InstanceId="i-0123abcd")
        ).action.instance_id == ("i-0123abcd")

    def test_fields_that_aws_adds_later_are_no_problem(self) -> None:
        event = terminate_event(NotificationMetadata="whatever", Novelty={"deep": [1, None]})
        event["novelty"] = True
        assert parse_lifecycle_event(event) == parse_lifecycle_event(terminate_event())

    @pytest.mark.parametrize("instance_id", NOT_INSTANCE_IDS)
    def test_what_is_no_instance_id_never_passes(self, instance_id: str) -> None:
        problem = problem_of(terminate_event(EC2InstanceId=instance_id))
        assert "detail.EC2InstanceId" in problem
        assert repr(instance_id) in problem

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("LifecycleActionToken", "short"),
            ("LifecycleActionToken", TOKEN + "\n"),
            ("LifecycleActionToken", 36 * " "),
            ("LifecycleActionToken", 87654321),
            ("AutoScalingGroupName", ""),
            ("AutoScalingGroupName", 256 * "g"),
            ("AutoScalingGroupName", ["g"]),
            ("LifecycleHookName", ""),
            ("LifecycleHookName", {}),
            ("EC2InstanceId", 17),
            ("LifecycleTransition", "autoscaling:EC2_INSTANCE_RESTING"),
            ("LifecycleTransition", "launching"),
            ("Origin", "Mars"),
            ("Destination", "warmpool"),
        ],
    )
    def test_a_wrong_member_is_named_with_its_value(self, field: str, value: object) -> None:
        problem = problem_of(terminate_event(**{field: value}))
        assert f"detail.{field}: " in problem
        assert repr(value)[:100] in problem

    @pytest.mark.parametrize(
        "field",
        [
            "LifecycleActionToken",
            "AutoScalingGroupName",
            "LifecycleHookName",
            "EC2InstanceId",
            "LifecycleTransition",
        ],
    )
    def test_a_missing_member_is_named(self, field: str) -> None:
        assert problem_of(terminate_event(**{field: None})) == (
            f"lifecycle event: detail.{field}: is missing"
        )

    @pytest.mark.parametrize(
        "time",
        [
            None,
            "",
            "yesterday",
            "2023-11-14T22:13:20",
            "1970-01-01T00:00:00Z",
            "1960-01-01T00:00:00Z",
            "0001-01-01T00:00:00+14:00",
            [],
        ],
    )
    def test_a_time_that_is_no_moment_of_this_age_is_named_with_its_value(
        self, time: object
    ) -> None:
        problem = problem_of({**terminate_event(), "time": time})
        assert problem.startswith("lifecycle event: time: ")
        assert repr(time) in problem

    def test_every_problem_is_in_the_one_message(self) -> None:
        event = terminate_event(EC2InstanceId="x", LifecycleHookName=None, Origin="Mars")
        problem = problem_of({**event, "source": "aws.ec2"})
        for field in ("source", "detail.EC2InstanceId", "detail.LifecycleHookName", "Origin"):
            assert field in problem

    def test_more_problems_than_a_person_reads_are_counted(self) -> None:
        wrong = dict.fromkeys(json.loads(buffer_check().model_dump_json())["action"], 0.5)
        body = json.dumps({"action": wrong, **{f"extra_{number}": 1 for number in range(36)}})
        with pytest.raises(Malformed) as caught:
            parse_check_message(BufferCheck, body)
        assert str(caught.value).count("; ") == 40
        assert str(caught.value).endswith("; and 2 more")

    @pytest.mark.parametrize("event", [None, [], "text", 7, {}, {"detail": None}])
    def test_what_is_no_event_at_all_is_malformed(self, event: object) -> None:
        assert problem_of(event).startswith("lifecycle event: ")

    def test_a_long_value_is_cut_short(self) -> None:
        assert len(problem_of(terminate_event(EC2InstanceId=10_000 * "x"))) < 400

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda children: st.lists(children) | st.dictionaries(st.text(), children),
        )
    )
    def test_no_document_raises_anything_but_malformed(self, document: object) -> None:
        event = {**terminate_event(), "detail": document}
        for broken in (document, event, {**terminate_event(), "time": document}):
            try:
                parsed = parse_lifecycle_event(broken)
            except Malformed:
                continue
            assert isinstance(parsed, LifecycleEvent)


class TestCheckMessages:
    @pytest.mark.parametrize(
        "message",
        [
            operation_check(Transition.LAUNCHING),
            operation_check(operation_id=None),
            operation_check(requested_again=3),
            operation_check(instance_id="i-0123abcd"),
        ],
    )
    def test_an_operation_message_survives_the_queue(self, message: OperationCheck) -> None:
        assert parse_check_message(OperationCheck, message.model_dump_json()) == message

    def test_a_buffer_message_survives_the_queue(self) -> None:
        message = buffer_check(deregistered_at=NOW + 0.123456, requested_again=2)
        assert parse_check_message(BufferCheck, message.model_dump_json()) == message

    def test_the_form_on_the_queue_is_what_runbooks_show(self) -> None:
        assert json.loads(operation_check(Transition.LAUNCHING).model_dump_json()) == {
            "version": 1,
            "stage": "operation",
            "action": {
                "autoscaling_group_name": GROUP,
                "lifecycle_hook_name": LAUNCH_HOOK,
                "lifecycle_action_token": TOKEN,
                "instance_id": INSTANCE_ID,
                "transition": "launching",
                "started_at": NOW,
            },
            "operation_id": "operation-1",
            "requested_again": 0,
        }

    @pytest.mark.parametrize("instance_id", NOT_INSTANCE_IDS)
    def test_what_is_no_instance_id_never_passes(self, instance_id: str) -> None:
        with pytest.raises(Malformed) as buffer:
            parse_check_message(BufferCheck, with_action(buffer_check(), instance_id=instance_id))
        with pytest.raises(Malformed) as operation:
            parse_check_message(
                OperationCheck, with_action(operation_check(), instance_id=instance_id)
            )
        for caught in (buffer, operation):
            assert "action.instance_id" in str(caught.value)
            assert repr(instance_id) in str(caught.value)

    @pytest.mark.parametrize(
        ("body", "named"),
        [
            (with_members(buffer_check(), version=2), "version: Input should be 1 (got 2)"),
            (with_members(buffer_check(), version="1"), "version"),
            (with_members(buffer_check(), stage="operation"), "stage"),
            (with_members(buffer_check(), stage=None), "stage"),
            (with_members(buffer_check(), surprise=7), "surprise"),
            (with_members(buffer_check(), deregistered_at="12"), "deregistered_at"),
            (with_members(buffer_check(), deregistered_at=0), "deregistered_at"),
            (with_members(buffer_check(), deregistered_at=float("nan")), "deregistered_at"),
            (with_members(buffer_check(), deregistered_at=float("inf")), "deregistered_at"),
            (with_members(buffer_check(), requested_again=-1), "requested_again"),
            (with_members(buffer_check(), requested_again=1.5), "requested_again"),
            (with_members(buffer_check(), action=None), "action"),
            (with_action(buffer_check(), surprise="x"), "action.surprise"),
            (with_action(buffer_check(), transition="resting"), "action.transition"),
            (with_action(buffer_check(), lifecycle_action_token=""), "lifecycle_action_token"),
            (with_action(buffer_check(), autoscaling_group_name=5), "autoscaling_group_name"),
            (with_action(buffer_check(), started_at=-1), "action.started_at"),
        ],
    )
    def test_a_wrong_member_is_named_with_its_value(self, body: str, named: str) -> None:
        with pytest.raises(Malformed, match="got ") as caught:
            parse_check_message(BufferCheck, body)
        assert named in str(caught.value)

    def test_a_message_of_another_stage_is_malformed(self) -> None:
        with pytest.raises(Malformed, match=r"stage: .*got 'buffer'"):
            parse_check_message(OperationCheck, buffer_check().model_dump_json())

    @pytest.mark.parametrize(
        "body",
        [
            "",
            "null",
            "[]",
            "{}",
            "hello",
            '"text"',
            "{" * 200_000,
            '{"version": ' + 5000 * "1" + "}",
            '{"version": 1e999}',
            '{"action": {"instance_id": "\\ud800"}}',
            "\ud800",
            "\x00",
        ],
    )
    def test_what_is_no_message_at_all_is_malformed(self, body: str) -> None:
        with pytest.raises(Malformed, match="check message: ") as caught:
            parse_check_message(OperationCheck, body)
        assert len(str(caught.value)) < 600

    @pytest.mark.parametrize("body", [None, 5, ["{}"], {"version": 1}])
    def test_what_is_not_even_text_is_malformed(self, body: object) -> None:
        with pytest.raises(Malformed, match="is not text"):
            parse_check_message(OperationCheck, body)

    @given(st.text() | st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape")))
    def test_no_text_raises_anything_but_malformed(self, body: str) -> None:
        with pytest.raises(Malformed):
            parse_check_message(BufferCheck, body)


@pytest.mark.parametrize("text", [*NOT_INSTANCE_IDS, "collector-in-the-office"])
def test_a_registration_of_another_form_is_not_taken_for_an_instance(text: str) -> None:
    assert not is_instance_id(text)


@pytest.mark.parametrize("text", ["i-0123456789abcdef0", "i-0123abcd"])
def test_both_forms_of_an_instance_id_are_taken_for_one(text: str) -> None:
    assert is_instance_id(text)
