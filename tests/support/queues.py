"""The pipeline's queues, as Lambda's event source sees them.

What that asks of SQS is not what is tested: no call, straight to moto.
"""

from collections.abc import Iterable
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.sqs.models import sqs_backends
from mypy_boto3_sqs.type_defs import MessageTypeDef

REGION = "ap-northeast-1"
STAGES = ("operation", "flush", "buffer")
QUEUES = tuple(f"{one}{suffix}" for one in (*STAGES, "interruption") for suffix in ("", "-dlq"))
VISIBILITY_TIMEOUT_SECONDS = 120
_BATCH_SIZE = 10


def create(queue: str) -> str:
    created = sqs_backends[DEFAULT_ACCOUNT_ID][REGION].create_queue(
        f"pipeline-{queue}", VisibilityTimeout=str(VISIBILITY_TIMEOUT_SECONDS)
    )
    return f"https://sqs.{REGION}.amazonaws.com/{DEFAULT_ACCOUNT_ID}/{created.name}"


def has_visible(queue: str) -> bool:
    return bool(_emulated(queue).messages)


def receive(queue: str) -> "list[MessageTypeDef]":
    backend, emulated = sqs_backends[DEFAULT_ACCOUNT_ID][REGION], _emulated(queue)
    return [
        {
            "MessageId": one.id,
            "ReceiptHandle": one.receipt_handle or "",
            "MD5OfBody": one.body_md5,
            "Body": one.body,
            "Attributes": {
                "ApproximateReceiveCount": str(one.approximate_receive_count),
                "SentTimestamp": str(one.sent_timestamp),
            },
            "MessageAttributes": one.message_attributes,
        }
        for one in backend.receive_message(
            emulated.name, _BATCH_SIZE, 0, emulated.visibility_timeout, ["All"]
        )
    ]


def delete(queue: str, message: "MessageTypeDef") -> None:
    _emulated(queue).delete_message(message["ReceiptHandle"])


def as_event(queue: str, messages: "Iterable[MessageTypeDef]") -> dict[str, Any]:
    return {"Records": [_as_record(queue, message) for message in messages]}


def bodies(queue: str) -> list[str]:
    return [message.body for message in _emulated(queue)._messages]


def purge(queue: str) -> None:
    """Empty a queue; PurgeQueue would be allowed once a minute."""
    _emulated(queue)._messages.clear()


def _emulated(queue: str) -> Any:
    return sqs_backends[DEFAULT_ACCOUNT_ID][REGION].queues[f"pipeline-{queue}"]


def _as_record(queue: str, message: "MessageTypeDef") -> dict[str, Any]:
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "messageAttributes": {
            name: {
                "stringValue": value.get("StringValue"),
                "stringListValues": [],
                "binaryListValues": [],
                "dataType": value["DataType"],
            }
            for name, value in message.get("MessageAttributes", {}).items()
        },
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:{REGION}:123456789012:pipeline-{queue}",
        "awsRegion": REGION,
    }
