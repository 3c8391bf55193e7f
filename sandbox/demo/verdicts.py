"""The buffer waiter's verdicts, read from its own log lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class LoggedVerdict:
    """What the buffer waiter last said about one instance."""

    verdict: str
    reason: str


class LatestVerdicts:
    """The newest verdict of each instance."""

    def __init__(self) -> None:
        self._latest: dict[str, LoggedVerdict] = {}

    def update(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Take over log lines, oldest first; those that are no verdicts do not matter."""
        for line in lines:
            if line.get("message") == "buffer_verdict":
                self._latest[line["instance_id"]] = LoggedVerdict(
                    str(line["verdict"]), str(line["reason"])
                )

    def of(self, instance_id: str) -> LoggedVerdict | None:
        """The newest verdict on an instance; None: there is none yet."""
        return self._latest.get(instance_id)
