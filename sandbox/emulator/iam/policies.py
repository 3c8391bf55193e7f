"""Decide whether IAM policies allow a request, as IAM does for one principal in its own account.

An explicit Deny wins, then an Allow, else the request is denied implicitly. Only what policies of
this project can contain is supported; anything else raises, so that no call passes by a policy
that was not evaluated.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any

Document = Mapping[str, Any]


class Decision(StrEnum):
    """What the policies say about a request."""

    ALLOWED = "allowed"
    EXPLICITLY_DENIED = "explicitly denied"
    IMPLICITLY_DENIED = "implicitly denied"


class UnsupportedPolicyError(Exception):
    """A policy says something that this evaluation does not understand."""


@dataclass(frozen=True)
class Request:
    """One action on one resource, with the condition keys that AWS would know about it."""

    action: str
    resource: str = "*"
    context: Mapping[str, list[str]] = field(default_factory=dict)


def decide(documents: Iterable[Document], request: Request) -> Decision:
    """What all these policies together say about the request."""
    effects = {
        statement["Effect"]
        for document in documents
        for statement in _listed(document.get("Statement"))
        if _applies(statement, request)
    }
    if "Deny" in effects:
        return Decision.EXPLICITLY_DENIED
    return Decision.ALLOWED if "Allow" in effects else Decision.IMPLICITLY_DENIED


def _applies(statement: Document, request: Request) -> bool:
    return (
        _names_action(statement, request.action)
        and _names_resource(statement, request.resource)
        and all(
            _holds(operator, key, _listed(values), request.context)
            for operator, keys in (statement.get("Condition") or {}).items()
            for key, values in keys.items()
        )
    )


def _names_action(statement: Document, action: str) -> bool:
    negated = "NotAction" in statement
    patterns = _listed(statement.get("NotAction" if negated else "Action"))
    named = any(_fits(pattern.lower(), action.lower()) for pattern in patterns)
    return named is not negated


def _names_resource(statement: Document, resource: str) -> bool:
    negated = "NotResource" in statement
    patterns = _listed(statement.get("NotResource" if negated else "Resource"))
    named = any(_fits(pattern, resource) for pattern in patterns)
    return named is not negated


def _holds(operator: str, key: str, expected: list[str], context: Mapping[str, list[str]]) -> bool:
    quantifier, _, bare = operator.rpartition(":")
    name = bare.removesuffix("IfExists")
    actual = {known.lower(): values for known, values in context.items()}.get(key.lower())
    if name == "Null":
        return (actual is None) is (expected[0].lower() == "true")
    if actual is None:
        negated = "Not" in name
        return quantifier == "ForAllValues" or bare.endswith("IfExists") or negated
    matches = _operator(name)
    verdicts = [matches(value, expected) for value in actual]
    return any(verdicts) if quantifier == "ForAnyValue" else all(verdicts)


def _operator(name: str) -> Callable[[str, list[str]], bool]:
    comparisons: dict[str, Callable[[str, str], bool]] = {
        "StringEquals": lambda actual, expected: actual == expected,
        "StringEqualsIgnoreCase": lambda actual, expected: actual.lower() == expected.lower(),
        "StringLike": lambda actual, expected: _fits(expected, actual),
        "ArnEquals": lambda actual, expected: _fits(expected, actual),
        "ArnLike": lambda actual, expected: _fits(expected, actual),
        "Bool": lambda actual, expected: actual.lower() == expected.lower(),
    }
    affirmative = name.replace("Not", "", 1)
    comparison = comparisons.get(affirmative)
    if comparison is None:
        raise UnsupportedPolicyError(f"condition operator {name}")
    negated = affirmative != name

    def matches(actual: str, expected: list[str]) -> bool:
        return any(comparison(actual, one) for one in expected) is not negated

    return matches


def _fits(pattern: str, text: str) -> bool:
    return _compiled(pattern).fullmatch(text) is not None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    if "${" in pattern:
        raise UnsupportedPolicyError(f"policy variable in {pattern}")
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)


def _listed(value: Any) -> list[Any]:  # noqa: ANN401 - JSON: one thing, or a list of them
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
