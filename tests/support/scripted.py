"""Clients that answer what a test says, and errors in the form that botocore gives them."""

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError


def aws_error(code: str, message: str = "injected", **members: Any) -> ClientError:
    """An error answer of AWS; ``members`` are those of its model."""
    response: Any = {"Error": {"Code": code, "Message": message}, **members}
    return ClientError(response, "Operation")


NO_ACTIVE_ACTION = aws_error(
    "ValidationError",
    "No active Lifecycle Action found with token 87654321-4321-4321-4321-210987654321",
)
THROTTLED = aws_error("Throttling", "Rate exceeded")


@dataclass(frozen=True)
class Call:
    method: str
    arguments: dict[str, Any]
    answer: Any


class ScriptedClient:
    """Stands in for boto3's clients: each method gives its answers in turn, the last for ever.

    An answer that is an exception is raised, one that is a function is asked with the arguments.
    One can stand in for all services at once: no two share a method.
    """

    def __init__(self, **answers: Any) -> None:
        self.answered: list[Call] = []
        self._answers = {
            name: list(answer) if isinstance(answer, list) else [answer]
            for name, answer in answers.items()
        }

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_") or name not in self._answers:
            raise AttributeError(f"no answer for {name}")

        def call(**arguments: Any) -> Any:
            answers = self._answers[name]
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if callable(answer):
                answer = answer(**arguments)
            self.answered.append(Call(name, arguments, answer))
            if isinstance(answer, BaseException):
                raise answer
            return answer

        return call

    def get_paginator(self, name: str) -> SimpleNamespace:
        """A paginator whose every answer is one page."""

        def paginate(**arguments: Any) -> list[Any]:
            return [getattr(self, name)(**arguments)]

        return SimpleNamespace(paginate=paginate)

    @property
    def calls(self) -> list[tuple[str, dict[str, Any]]]:
        return [(one.method, one.arguments) for one in self.answered]

    def arguments_of(self, name: str) -> list[dict[str, Any]]:
        return [arguments for method, arguments in self.calls if method == name]


def scripted(**answers: Any) -> Any:
    """A ScriptedClient that passes for any boto3 client."""
    return ScriptedClient(**answers)
