"""The buffer waiter's verdicts, read from its own log lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Verdict = tuple[str, str]
"""A verdict and its reason."""


def latest_verdicts(lines: Iterable[Mapping[str, Any]]) -> dict[str, Verdict]:
    """The newest verdict on each instance, from log lines with the oldest first."""
    return {
        str(line["instance_id"]): (str(line["verdict"]), str(line["reason"]))
        for line in lines
        if line.get("message") == "buffer_verdict"
    }
