"""Terraform's output, reduced to one line of progress."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_PLANNED = re.compile(r"Plan: (\d+) to add")
_COMPLETE = re.compile(r"\S+: Creation complete")
_BEGUN = re.compile(r"(\S+): (?:Still creating|Creating)\.\.\.")


class ApplyProgress:
    """Reads the lines of `terraform apply` and reports `12 of 47 created, ...`."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._planned = 0
        self._created = 0

    def line(self, text: str) -> None:
        """Take in one line."""
        planned = _PLANNED.search(text)
        begun = _BEGUN.match(text)
        if planned:
            self._planned = int(planned[1])
        if _COMPLETE.match(text):
            self._created += 1
        if planned or _COMPLETE.match(text):
            self._report(f"{self._created} of {self._planned} resources created")
        elif begun:
            name = begun[1].removeprefix('module.lifecycle["aggregators"].')
            self._report(f"{self._created} of {self._planned} resources created, now {name}")
