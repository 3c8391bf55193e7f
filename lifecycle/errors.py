"""The errors, named by what the caller must do, and one way to describe invalid input.

LifecycleError
├── NotReady             come back later: the proof is not there yet, nothing is wrong
├── Permanent            dead-letter the message: retrying cannot help
│   ├── Malformed        an event or message of another form; names field and value
│   └── NotOurs          of another group's instance: dead-letter it, without a heartbeat
├── UnexpectedState      AWS returned a state the design does not cover: keep the instance, retry
├── MembershipUnknown    whose instance it is could not be found out: ask again, without a page
├── AgentNotReachable    SSM cannot run a command there (yet): unknown, so ask again
├── PrometheusFailed     no usable answer from Prometheus: every verdict is UNKNOWN
├── EvidenceFailed       no usable answer from the evidence function: every verdict is UNKNOWN
└── ConfigurationError   the function cannot work until its settings change; names every problem
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError

_LONGEST_VALUE_SHOWN = 120
_MOST_PROBLEMS_SHOWN = 40


class LifecycleError(Exception):
    """Base of everything this package raises on purpose."""


class NotReady(LifecycleError):
    """The stage's condition does not hold yet.

    ``not_before`` (epoch seconds) is the earliest time at which it could hold, None if unknown.
    """

    def __init__(self, reason: str, *, not_before: float | None = None) -> None:
        super().__init__(reason)
        self.not_before = not_before


class Permanent(LifecycleError):
    """Retrying cannot help; the message goes to the dead-letter queue for an operator.

    ``redrive_with`` is the message to dead-letter where the one in hand would time out again at
    once: a redrive has to start afresh.
    """

    def __init__(self, reason: str, *, redrive_with: str | None = None) -> None:
        super().__init__(reason)
        self.redrive_with = redrive_with


class Malformed(Permanent):
    """An event or a check message that does not have the agreed form."""


class NotOurs(Permanent):
    """A check message about an instance that this module does not own, or does not hold."""


class UnexpectedState(LifecycleError):
    """AWS returned a state the design does not cover. Unknown: keep the instance, retry and page.

    What still raises it in the end pages, and is never discarded.
    """


class MembershipUnknown(LifecycleError):
    """In which Auto Scaling group an instance is could not be found out; it may be foreign."""


class AgentNotReachable(LifecycleError):
    """SSM knows no running agent on the instance."""


class PrometheusFailed(LifecycleError):
    """Prometheus could not be asked, or its answer is not an answer."""


class EvidenceFailed(LifecycleError):
    """The evidence function could not be asked, or its answer is not one to this question."""


class ConfigurationError(LifecycleError):
    """Settings are missing or wrong; the message lists all of them at once."""


def shown(value: object) -> str:
    """Return a value for a message, shortened to 120 characters."""
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE_SHOWN else text[:_LONGEST_VALUE_SHOWN] + "…"


def describe_problems(
    error: "ValidationError",
    *,
    name_of: Callable[[str], str] = str,
    show: Callable[[object], str] = lambda value: f" (got {shown(value)})",
) -> str:
    """Put all problems of a validation into one line: field, what is wrong, value.

    ``name_of`` turns a dotted path into the name that the reader knows; ``show`` returns the value
    with a leading blank, or nothing where it must not be shown.
    """
    problems = error.errors(include_url=False, include_context=False)
    lines = []
    for problem in problems[:_MOST_PROBLEMS_SHOWN]:
        field = name_of(".".join(str(part) for part in problem["loc"]) or "(whole)")
        if problem["type"] == "missing":
            lines.append(f"{field}: is missing")
        else:
            message = problem["msg"].removeprefix("Value error, ")
            lines.append(f"{field}: {message}{show(problem['input'])}")
    if len(problems) > _MOST_PROBLEMS_SHOWN:
        lines.append(f"and {len(problems) - _MOST_PROBLEMS_SHOWN} more")
    return "; ".join(lines)
