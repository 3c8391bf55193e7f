"""The waiters' verdicts, read from their own log lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

VERDICTS = frozenset({"flush_verdict", "buffer_verdict"})
Verdict = tuple[str, str]
"""A verdict and its reason."""


def latest_verdicts(lines: Iterable[Mapping[str, Any]]) -> dict[str, Verdict]:
    """The newest verdict on each instance, from the log lines of one or more functions."""
    verdicts = [line for line in lines if line.get("message") in VERDICTS]
    return {
        str(line["instance_id"]): (str(line["verdict"]), str(line["reason"]))
        for line in sorted(verdicts, key=lambda line: str(line.get("timestamp", "")))
    }
