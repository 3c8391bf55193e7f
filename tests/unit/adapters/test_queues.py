"""Queues: what is sent is what SQS accepts."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.adapters.queues import Queue
from tests.support.messages import buffer_check
from tests.support.scripted import scripted

URL = "https://sqs.ap-northeast-1.amazonaws.com/123456789012/pipeline-buffer"
# docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
_ALLOWED = re.compile("[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+")


def sent(reason: str) -> str:
    client = scripted(send_message={})
    Queue(client, URL).send_dead_letter("body", reason)
    attribute: dict[str, Any] = client.calls[0][1]["MessageAttributes"]["Reason"]
    assert attribute["DataType"] == "String"
    return str(attribute["StringValue"])


def test_a_check_message_is_sent_as_json() -> None:
    client = scripted(send_message={})
    Queue(client, URL).send(buffer_check())
    assert client.calls == [
        (
            "send_message",
            {"QueueUrl": URL, "MessageBody": buffer_check().model_dump_json(), "DelaySeconds": 0},
        )
    ]


@pytest.mark.parametrize(
    ("asked", "given_to_sqs"), [(-1, 0), (0, 0), (5.4, 5), (900, 900), (901, 900), (1e9, 900)]
)
def test_a_delay_stays_within_what_sqs_allows(asked: float, given_to_sqs: int) -> None:
    client = scripted(send_message={})
    Queue(client, URL).send(buffer_check(), delay_seconds=asked)
    assert client.calls[0][1]["DelaySeconds"] == given_to_sqs


@pytest.mark.parametrize(
    ("asked", "given_to_sqs"), [(-1, 0), (15, 15), (43200, 43200), (43201, 43200)]
)
def test_a_visibility_stays_within_what_sqs_allows(asked: int, given_to_sqs: int) -> None:
    client = scripted(change_message_visibility={})
    Queue(client, URL).change_visibility("handle", asked)
    assert client.calls == [
        (
            "change_message_visibility",
            {"QueueUrl": URL, "ReceiptHandle": "handle", "VisibilityTimeout": given_to_sqs},
        )
    ]


def test_a_dead_letter_keeps_its_body_to_the_byte() -> None:
    client = scripted(send_message={})
    body = ' {"version" :1}\n\t\u00e9\U0001f600'
    Queue(client, URL).send_dead_letter(body, "because")
    assert client.calls[0][1]["MessageBody"] == body
    assert client.calls[0][1]["QueueUrl"] == URL
    assert sent("because") == "because"


def test_an_empty_reason_is_still_a_reason() -> None:
    assert sent("") == "unknown"


def test_a_long_reason_is_cut_between_characters() -> None:
    reason = sent(2000 * "\U0001f600")
    assert len(reason.encode()) <= 1024
    assert set(reason) == {"\U0001f600"}


@given(
    st.text(st.characters(exclude_categories=[])) | st.sampled_from(["\ufffe", "\uffff", "\x00"])
)
def test_whatever_the_reason_holds_sqs_accepts_it(reason: str) -> None:
    text = sent(reason)
    assert _ALLOWED.fullmatch(text)
    assert len(text.encode()) <= 1024
