"""The evidence function, invoked in this process by what passes for boto3's client of Lambda."""

import json
from collections.abc import Callable
from enum import StrEnum
from io import BytesIO
from typing import Any

from botocore.exceptions import ReadTimeoutError

from tests.support.scripted import aws_error

_PROVEN = {"state": "DRAINED", "reason": "proven_empty", "detail": "a lie"}
_SLOW_SECONDS = 32.0
_STRANGER = "i-0f0f0f0f"
# Lambda's, of a synchronous invocation.
_MOST_REQUEST_BYTES = 6 * 1024 * 1024
MOST_ANSWER_BYTES = _MOST_REQUEST_BYTES + 100


class Invoking(StrEnum):
    """How an invocation goes. Whatever is no answer to the question says that all is proven."""

    SOUND = "sound"
    SLOW = "slow"
    THROTTLED = "throttled"
    DEAD = "dead"
    REQUEST_TOO_LARGE = "request_too_large"
    ANSWER_TOO_LARGE = "answer_too_large"
    ANOTHER_TIME = "another_time"
    ANOTHER_INSTANCE = "another_instance"
    ANOTHER_VERSION = "another_version"


class InProcess:
    """Invokes ``handle`` as Lambda does: through JSON, and what it raises is an answer, too."""

    def __init__(self, handle: Callable[[Any], Any] | None = None) -> None:
        self.handle = handle
        self.invoking = Invoking.SOUND
        self.payloads: list[str] = []
        self.sleep: Callable[[float], None] = lambda _seconds: None
        self.count: Callable[[str], None] = lambda _fault: None

    def invoke(self, **asked: Any) -> dict[str, Any]:
        """Invoke the function, or fail to."""
        assert asked["InvocationType"] == "RequestResponse"
        if self.invoking is not Invoking.SOUND:
            self.count(f"evidence function: {self.invoking}")
        if self.invoking is Invoking.SLOW:
            self.sleep(_SLOW_SECONDS)
            raise ReadTimeoutError(endpoint_url="https://lambda")
        if self.invoking is Invoking.THROTTLED:
            raise aws_error("TooManyRequestsException", "Rate Exceeded.")
        is_refused = self.invoking is Invoking.REQUEST_TOO_LARGE
        if is_refused or len(asked["Payload"]) > _MOST_REQUEST_BYTES:
            raise aws_error("RequestEntityTooLargeException", "the payload is too large")
        if self.invoking is Invoking.DEAD:
            return self._returned(_failure("Sandbox.Timedout", "Task timed out"), "Unhandled")
        try:
            assert self.handle is not None
            return self._returned(self._altered(self.handle(json.loads(asked["Payload"]))))
        except Exception as error:  # noqa: BLE001 (what Lambda does)
            return self._returned(_failure(type(error).__name__, str(error)), "Unhandled")

    def _altered(self, answer: Any) -> Any:
        if self.invoking is Invoking.SOUND:
            return answer
        proven = {**answer, "verdicts": dict.fromkeys(answer["verdicts"], _PROVEN)}
        if self.invoking is Invoking.ANSWER_TOO_LARGE:
            return {**proven, "padding": "x" * MOST_ANSWER_BYTES}
        if self.invoking is Invoking.ANOTHER_TIME:
            return {**proven, "now": answer["now"] - 300}
        if self.invoking is Invoking.ANOTHER_VERSION:
            return {**proven, "version": 2}
        return {**proven, "verdicts": {**proven["verdicts"], _STRANGER: _PROVEN}}

    def _returned(self, said: Any, error: str | None = None) -> dict[str, Any]:
        payload = json.dumps(said)
        if len(payload) > MOST_ANSWER_BYTES:
            kind, error = "Function.ResponseSizeTooLarge", "Unhandled"
            payload = json.dumps(_failure(kind, "Response payload size exceeded"))
        self.payloads.append(payload)
        failed = {"FunctionError": error} if error else {}
        return {"StatusCode": 200, "Payload": BytesIO(payload.encode()), **failed}


def _failure(kind: str, message: str) -> dict[str, Any]:
    return {"errorType": kind, "errorMessage": message, "stackTrace": []}
