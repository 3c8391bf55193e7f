"""The settings of a child process: a frozen dataclass, passed as JSON on its command line."""

import sys
from collections.abc import Sequence
from typing import TypeVar

from pydantic import TypeAdapter

Settings = TypeVar("Settings")


def command(module: str, settings: object) -> list[str]:
    """The command that runs a module with these settings."""
    written = TypeAdapter(type(settings)).dump_json(settings).decode()
    return [sys.executable, "-m", module, written]


def read(kind: type[Settings], arguments: Sequence[str] | None = None) -> Settings:
    """The settings of this process; what is missing or of another type is an error."""
    (written,) = sys.argv[1:] if arguments is None else arguments
    return TypeAdapter(kind).validate_json(written)
