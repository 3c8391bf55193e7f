"""SQS: check messages out, visibility, dead letters."""

import re
from typing import TYPE_CHECKING

from lifecycle.messages import CheckMessage

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_LONGEST_REASON = 1024
_ALLOWED = re.compile("[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Queue:
    """One queue that check messages are sent to."""

    def __init__(self, client: "SQSClient", url: str) -> None:
        self._client = client
        self._url = url

    def send(self, message: CheckMessage, *, delay_seconds: float = 0) -> None:
        """Enqueue a check message; it becomes visible after ``delay_seconds`` (0-900)."""
        self._client.send_message(
            QueueUrl=self._url,
            MessageBody=message.model_dump_json(),
            DelaySeconds=min(900, max(0, round(delay_seconds))),
        )

    def send_dead_letter(self, body: str, reason: str) -> None:
        """Put a message's body on this dead-letter queue; the attribute Reason says why."""
        self._client.send_message(
            QueueUrl=self._url,
            MessageBody=body,
            MessageAttributes={
                "Reason": {"DataType": "String", "StringValue": _attribute_text(reason)}
            },
        )

    def change_visibility(self, receipt_handle: str, seconds: int) -> None:
        """Bring the message back after ``seconds``, for this receive only (0-43200)."""
        self._client.change_message_visibility(
            QueueUrl=self._url,
            ReceiptHandle=receipt_handle,
            VisibilityTimeout=min(43200, max(0, seconds)),
        )


def _attribute_text(reason: str) -> str:
    """Keep what SQS allows in an attribute: docs of SendMessage list the characters."""
    kept = "".join(c if _ALLOWED.match(c) else "?" for c in reason)
    return kept.encode()[:_LONGEST_REASON].decode("utf-8", "ignore") or "unknown"
