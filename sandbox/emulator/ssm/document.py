"""Command documents of SSM: what is a valid one, which parameters fit it, what its script becomes.

Schema 2.2, one step of the plugin `aws:runShellScript`. Sources: "Data elements and parameters" and
"aws:runShellScript" in the Systems Manager user guide; substitution as in amazon-ssm-agent's
`agent/parameters`: a placeholder is replaced by the bare text of its value, without quoting. What
is not known here is refused, so that no document passes that no agent could run.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SCHEMA_VERSION = "2.2"
PLUGIN = "aws:runShellScript"
PLACEHOLDER = re.compile(r"{{\s*([A-Za-z0-9_]+)\s*}}")
DEFAULT_EXECUTION_SECONDS = 3600
LONGEST_EXECUTION_SECONDS = 172_800
TYPES = frozenset({"String", "StringList", "Integer", "Boolean"})

Value = Any
"""What a parameter is: a string, a list of strings, a whole number or a truth value."""


class InvalidContentError(Exception):
    """This is no command document, or one that asks for something that is not known here."""


class InvalidParametersError(Exception):
    """A parameter is unknown, missing, or not what the document allows."""


@dataclass(frozen=True)
class Script:
    """The step of a document with its placeholders filled in."""

    step: str
    text: str
    timeout_seconds: int
    working_directory: str | None


@dataclass(frozen=True)
class CommandDocument:
    """A document that was found to be valid."""

    step: str
    inputs: Mapping[str, Any]
    parameters: Mapping[str, Mapping[str, Any]]

    @classmethod
    def parse(cls, content: Any) -> "CommandDocument":  # noqa: ANN401 - JSON
        """Check the content of a document; raise `InvalidContentError` if it is none."""
        if not isinstance(content, dict) or content.get("schemaVersion") != SCHEMA_VERSION:
            raise InvalidContentError(f"schemaVersion must be {SCHEMA_VERSION!r}")
        steps = content.get("mainSteps")
        if not isinstance(steps, list) or len(steps) != 1:
            raise InvalidContentError("mainSteps must have exactly one step")
        [step] = steps
        document = cls(
            step=str(step.get("name") or ""),
            inputs=step.get("inputs") or {},
            parameters=content.get("parameters") or {},
        )
        if step.get("action") != PLUGIN or not re.fullmatch(r"[A-Za-z0-9_-]+", document.step):
            raise InvalidContentError(f"a step needs a name, and the action {PLUGIN}")
        document.require_valid()
        return document

    def require_valid(self) -> None:
        """Every parameter has a known type and a default that fits, every placeholder is known."""
        for name, definition in self.parameters.items():
            if definition.get("type") not in TYPES or "interpolationType" in definition:
                raise InvalidContentError(f"parameter {name}: type or interpolation is not known")
            if "default" in definition:
                try:
                    _require_allowed(name, definition, definition["default"])
                except InvalidParametersError as error:
                    raise InvalidContentError(f"the default of {error}") from error
        if not isinstance(self.inputs.get("runCommand"), list | str):
            raise InvalidContentError("runCommand must be a list of lines")
        for name in PLACEHOLDER.findall(json.dumps(self.inputs)):
            if name not in self.parameters:
                raise InvalidContentError(f"parameter {name} is not defined")

    def resolve(self, given: Mapping[str, Sequence[str]]) -> dict[str, Value]:
        """The value of every parameter, from what SendCommand was given and the defaults."""
        unknown = sorted(set(given) - set(self.parameters))
        if unknown:
            raise InvalidParametersError(f"{', '.join(unknown)}: not defined in the document")
        return dict(self._resolved(given))

    def render(self, values: Mapping[str, Value]) -> Script:
        lines = substituted(self.inputs["runCommand"], values)
        if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
            raise InvalidParametersError("runCommand: not a list of lines once it is filled in")
        seconds = substituted(
            str(self.inputs.get("timeoutSeconds", DEFAULT_EXECUTION_SECONDS)), values
        )
        directory = substituted(self.inputs.get("workingDirectory") or "", values)
        return Script(self.step, "\n".join(lines) + "\n", _timeout(seconds), directory or None)

    def _resolved(self, given: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, Value]]:
        for name, definition in self.parameters.items():
            if name not in given:
                if "default" not in definition:
                    raise InvalidParametersError(f"{name}: has no default and was not given")
                yield name, definition["default"]
                continue
            value = _converted(name, definition["type"], given[name])
            _require_allowed(name, definition, value)
            yield name, value


def substituted(template: Any, values: Mapping[str, Value]) -> Any:  # noqa: ANN401 - JSON
    """The template with its placeholders replaced, as the agent replaces them.

    A string that is nothing but a placeholder becomes the value itself, a list included.
    """
    if isinstance(template, list):
        return [substituted(one, values) for one in template]
    whole = PLACEHOLDER.fullmatch(template)
    if whole:
        return values[whole[1]]
    return PLACEHOLDER.sub(lambda found: _as_text(values[found[1]]), template)


def _as_text(value: Value) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _timeout(seconds: Value) -> int:
    if not re.fullmatch(r"[0-9]+", str(seconds)):
        raise InvalidParametersError(f"timeoutSeconds: {seconds!r} is no number")
    if not 1 <= int(seconds) <= LONGEST_EXECUTION_SECONDS:
        raise InvalidParametersError(f"timeoutSeconds: not from 1 to {LONGEST_EXECUTION_SECONDS}")
    return int(seconds)


def _converted(name: str, kind: str, given: Sequence[str]) -> Value:
    """A value as SendCommand carries it, a list of strings, as one of the parameter's type."""
    if kind == "StringList":
        return list(given)
    if len(given) != 1:
        raise InvalidParametersError(f"{name}: {kind} takes exactly one value")
    [text] = given
    if kind == "Integer":
        if not re.fullmatch(r"-?[0-9]+", text):
            raise InvalidParametersError(f"{name}: {text!r} is no whole number")
        return int(text)
    if kind == "Boolean":
        if text not in {"true", "false"}:
            raise InvalidParametersError(f"{name}: {text!r} is neither true nor false")
        return text == "true"
    return text


def _require_allowed(name: str, definition: Mapping[str, Any], value: Value) -> None:
    """Hold a value against the type and the limits that its definition sets."""
    expected: dict[str, Callable[[Any], bool]] = {
        "String": lambda it: isinstance(it, str),
        "StringList": lambda it: isinstance(it, list) and all(isinstance(one, str) for one in it),
        "Integer": lambda it: isinstance(it, int) and not isinstance(it, bool),
        "Boolean": lambda it: isinstance(it, bool),
    }
    kind = definition["type"]
    if not expected[kind](value):
        raise InvalidParametersError(f"{name}: {value!r} is no {kind}")
    for one in value if isinstance(value, list) else [value]:
        _require_fit(name, definition, one)
    if isinstance(value, list | str):
        _require_size(name, "Items" if isinstance(value, list) else "Chars", definition, len(value))


def _require_fit(name: str, definition: Mapping[str, Any], value: Value) -> None:
    allowed, pattern = definition.get("allowedValues"), definition.get("allowedPattern")
    if allowed is not None and str(value) not in [str(one) for one in allowed]:
        raise InvalidParametersError(f"{name}: {value!r} is not among the allowed values")
    # A pattern that forgets its anchors lets things pass here, as it might on AWS.
    if pattern is not None and not re.search(pattern, _as_text(value)):
        raise InvalidParametersError(f"{name}: {value!r} does not match {pattern}")


def _require_size(name: str, unit: str, definition: Mapping[str, Any], size: int) -> None:
    least, most = definition.get(f"min{unit}"), definition.get(f"max{unit}")
    if least is not None and size < int(least):
        raise InvalidParametersError(f"{name}: fewer than {least}")
    if most is not None and size > int(most):
        raise InvalidParametersError(f"{name}: more than {most}")
