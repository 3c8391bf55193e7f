"""Check messages: nothing malformed passes, and what is wrong is named."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import Malformed
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
    NOT_INSTANCE_IDS,
    NOW,
    TOKEN,
    buffer_check,
    operation_check,
)


def with_action(message: OperationCheck | BufferCheck, **changes: Any) -> str:
    body = json.loads(message.model_dump_json())
    body["action"] = {**body["action"], **changes}
    return json.dumps(body)


def with_members(message: OperationCheck | BufferCheck, **changes: Any) -> str:
    return json.dumps({**json.loads(message.model_dump_json()), **changes})


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

    def test_more_problems_than_an_operator_reads_are_counted(self) -> None:
        wrong = dict.fromkeys(json.loads(buffer_check().model_dump_json())["action"], 0.5)
        body = json.dumps({"action": wrong, **{f"extra_{number}": 1 for number in range(36)}})
        with pytest.raises(Malformed) as caught:
            parse_check_message(BufferCheck, body)
        assert str(caught.value).count("; ") == 40
        assert str(caught.value).endswith("; and 2 more")

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
