"""The SSM agents of the emulated instances, as the emulator sees them.

In a test an agent is a function (`World.agent`) that is called when a command reaches its instance.
With a server, agents fetch their commands through the control API and report there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Assignment:
    """What an agent is to do: the one step of a document, its placeholders not yet filled in."""

    command_id: str
    instance_id: str
    document_name: str
    step: str
    inputs: Mapping[str, Any]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """The value of every parameter of the document, defaults included."""


@dataclass(frozen=True)
class Report:
    """What an agent says of an assignment once it is done."""

    exit_code: int = 0
    output: str = ""
    error: str = ""
    seconds: float = 0.0
    """How long it took, on the world's clock; longer than the step may take means: killed."""
    timed_out: bool = False


Agent = Callable[[Assignment], Report]
