"""Something that is made of parts: all of them are started, or none, and all end with the block."""

from abc import ABC, abstractmethod
from contextlib import ExitStack
from typing import Self


class Parts(ABC):
    """A context manager around others."""

    def __enter__(self) -> Self:
        with ExitStack() as starting:
            self._start(starting)
            self._parts = starting.pop_all()
        return self

    def __exit__(self, *details: object) -> None:
        self._parts.__exit__(*details)  # type: ignore[arg-type]  # what ended the block

    @abstractmethod
    def _start(self, starting: ExitStack) -> None:
        """Start every part and put it onto the stack."""
