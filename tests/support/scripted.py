"""Clients that answer what a test says, and errors in the form that botocore gives them."""

from collections.abc import Callable
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


class ScriptedClient:
    """Stands in for boto3's clients: each method gives its answers in turn, the last for ever.

    An answer that is an exception is raised, one that is a function is asked with the arguments.
    ``calls`` has (method, arguments) in order, of all services: no two share a method.
    """

    def __init__(self, **answers: Any) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._answers = {
            name: list(answer) if isinstance(answer, list) else [answer]
            for name, answer in answers.items()
        }

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_") or name not in self._answers:
            raise AttributeError(f"no answer for {name}")

        def call(**arguments: Any) -> Any:
            self.calls.append((name, arguments))
            answers = self._answers[name]
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if callable(answer):
                answer = answer(**arguments)
            if isinstance(answer, BaseException):
                raise answer
            return answer

        return call

    def get_paginator(self, name: str) -> SimpleNamespace:
        """A paginator whose every answer is one page."""

        def paginate(**arguments: Any) -> list[Any]:
            return [getattr(self, name)(**arguments)]

        return SimpleNamespace(paginate=paginate)

    def arguments_of(self, name: str) -> list[dict[str, Any]]:
        """The arguments of every call of one method."""
        return [arguments for method, arguments in self.calls if method == name]


def scripted(**answers: Any) -> Any:
    """A ScriptedClient that passes for any boto3 client."""
    return ScriptedClient(**answers)
