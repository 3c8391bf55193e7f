"""A function that cannot be invoked at all ends the set-up, not the scenario."""

import io
import json
from typing import Any

import pytest

from lifecycle.decisions.answers import parse_question
from sandbox.demo.warm_up import WarmUpFailed, warmed_up


class Functions:
    def __init__(self, **answer: object) -> None:
        self.answer = {"Payload": io.BytesIO(b"wrong settings"), **answer}
        self.asked: list[Any] = []

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803 - boto3's
        self.asked.append(json.loads(Payload))
        return self.answer


def test_the_evidence_function_is_asked_a_question_that_it_can_answer() -> None:
    functions = Functions()
    with warmed_up(functions, ["an-evidence"]):
        pass
    assert list(parse_question(functions.asked[0]).instances) == ["i-00000000"]


def test_a_function_that_fails_on_an_empty_batch_is_named_with_its_answer() -> None:
    functions = Functions(FunctionError="Unhandled")
    with (
        pytest.raises(WarmUpFailed, match="a-waiter cannot be invoked: wrong settings"),
        warmed_up(functions, ["a-waiter"]),
    ):
        pass
