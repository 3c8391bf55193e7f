"""What the functions call, and functions that die between two calls."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class KilledError(BaseException):
    """The function's process is gone. Nothing in the product may catch it."""


class Moment(StrEnum):
    """Where at a call a function dies."""

    BEFORE = "before"
    AFTER = "after"  # AWS has done it, and the function never learns of it


@dataclass
class Death:
    """The next function that makes its ``calls_left``th call dies there."""

    calls_left: int
    moment: Moment


@dataclass
class Calls:
    """A witness of every call that a function makes; ``is_in_function`` leaves the test's out."""

    is_in_function: bool = False
    number: int = 0
    deaths: list[Death] = field(default_factory=list)
    made: list[tuple[str, dict[str, Any], bool]] = field(default_factory=list)
    """Of the present invocation: operation, parameters, whether it succeeded."""
    _params: dict[str, Any] = field(default_factory=dict)

    def before_build(self, params: dict[str, Any], **_: Any) -> None:
        """botocore's ``before-parameter-build``."""
        self._params = dict(params)

    def before_call(self, model: Any, **_: Any) -> None:
        """botocore's ``before-call``."""
        if not self.is_in_function:
            return
        self.number += 1
        self.made.append((model.name, self._params, False))
        if self.deaths:
            self.deaths[0].calls_left -= 1
            self._die(Moment.BEFORE)

    def after_call(self, http_response: Any, **_: Any) -> None:
        """botocore's ``after-call``."""
        if not self.is_in_function:
            return
        if http_response.status_code < 300:
            self.made[-1] = (*self.made[-1][:2], True)
        if self.deaths:
            self._die(Moment.AFTER)

    def _die(self, moment: Moment) -> None:
        if self.deaths[0].calls_left <= 0 and self.deaths[0].moment is moment:
            del self.deaths[0]
            raise KilledError


CALLS = Calls()
"""Clients are shared by all histories of a process, and so is their witness."""
