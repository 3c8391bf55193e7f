"""The evidence function: asked by invoking it, once a question, with the answer in hand."""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lifecycle.decisions.answers import Question, flaw_of, parse_answer
from lifecycle.decisions.buffer import Verdict
from lifecycle.errors import EvidenceFailed, shown

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


class EvidenceFunction:
    """Invokes the function; ``clock`` returns epoch seconds."""

    def __init__(self, client: "LambdaClient", name: str, clock: Callable[[], float]) -> None:
        self._client = client
        self._name = name
        self._clock = clock

    def ask(self, question: Question) -> Mapping[str, Verdict]:
        """Return the verdict for each instance of the question, and for no other.

        Raises EvidenceFailed, or what boto3 raises, for anything but a whole answer to it.
        """
        asked_at = self._clock()
        answer = self._client.invoke(
            FunctionName=self._name,
            InvocationType="RequestResponse",
            Payload=question.model_dump_json(exclude_unset=True).encode(),
        )
        payload = answer["Payload"].read()
        if _has_failed(answer):
            raise EvidenceFailed(f"{self._name} failed: {_error(payload)}")
        parsed = parse_answer(payload)
        flaw = flaw_of(parsed, question, asked_at=asked_at, received_at=self._clock())
        if flaw is not None:
            raise EvidenceFailed(f"{self._name} gave {flaw}")
        return parsed.verdicts


def _has_failed(answer: Mapping[str, Any]) -> bool:
    return "FunctionError" in answer


def _error(payload: bytes) -> str:
    """Return what a function that failed says of it, without its traceback."""
    try:
        said = json.loads(payload)
        return f"{said['errorType']}: {said['errorMessage']}"
    except (ValueError, KeyError, TypeError):
        return shown(payload)
