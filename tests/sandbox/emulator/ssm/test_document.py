"""Command documents: what is valid, which parameters fit, what the script becomes."""

from typing import Any

import pytest

from sandbox.emulator.ssm.document import (
    CommandDocument,
    InvalidContentError,
    InvalidParametersError,
)


def content(
    lines: Any = ("echo {{ service }}",), parameters: Any = None, **inputs: Any
) -> dict[str, Any]:
    service = {"type": "String", "default": "fluentd", "allowedPattern": "^[a-z-]+$"}
    run = list(lines) if isinstance(lines, tuple) else lines
    step = {"action": "aws:runShellScript", "name": "flush"}
    return {
        "schemaVersion": "2.2",
        "parameters": {"service": service} if parameters is None else parameters,
        "mainSteps": [{**step, "inputs": {"runCommand": run, **inputs}}],
    }


def rendered(document: dict[str, Any], **given: list[str]) -> str:
    parsed = CommandDocument.parse(document)
    return parsed.render(parsed.resolve(given)).text


def test_placeholders_become_the_defaults_or_what_was_given() -> None:
    assert rendered(content()) == "echo fluentd\n"
    assert rendered(content(), service=["td-agent"]) == "echo td-agent\n"


def test_a_list_that_is_the_whole_script_becomes_its_lines() -> None:
    commands = {"commands": {"type": "StringList"}}
    document = content("{{ commands }}", commands)
    assert rendered(document, commands=["cd /tmp", "ls"]) == "cd /tmp\nls\n"


def test_other_values_inside_a_line_become_json() -> None:
    parameters = {
        "paths": {"type": "StringList", "default": ["/a", "/b"]},
        "required": {"type": "Boolean", "default": True},
        "port": {"type": "Integer", "default": 24220},
    }
    text = rendered(content(("look '{{paths}}' {{ required }} {{ port }}",), parameters))
    assert text == 'look \'["/a","/b"]\' true 24220\n'


def test_the_time_a_script_may_take_can_be_a_parameter() -> None:
    seconds = {"seconds": {"type": "String", "default": "45"}}
    parsed = CommandDocument.parse(content(("true",), seconds, timeoutSeconds="{{ seconds }}"))
    assert parsed.render(parsed.resolve({})).timeout_seconds == 45
    with pytest.raises(InvalidParametersError, match="timeoutSeconds"):
        parsed.render(parsed.resolve({"seconds": ["soon"]}))


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"service": ["x; rm -rf /"]}, "does not match"),
        ({"service": ["fluentd", "td-agent"]}, "exactly one value"),
        ({"unit": ["fluentd"]}, "unit: not defined"),
    ],
)
def test_parameters_that_the_document_does_not_allow_are_refused(
    given: dict[str, list[str]], complaint: str
) -> None:
    with pytest.raises(InvalidParametersError, match=complaint):
        CommandDocument.parse(content()).resolve(given)


@pytest.mark.parametrize(
    ("definition", "given", "complaint"),
    [
        ({"type": "String"}, None, "no default"),
        ({"type": "String", "allowedValues": ["signal", "rpc"]}, ["both"], "allowed values"),
        ({"type": "Integer"}, ["2.5"], "no whole number"),
        ({"type": "Boolean"}, ["yes"], "neither true nor false"),
        ({"type": "StringList", "minItems": 2}, ["one"], "fewer than 2"),
        ({"type": "String", "maxChars": 3}, ["four"], "more than 3"),
        ({"type": "StringList", "allowedPattern": "^/"}, ["/a", "b"], "does not match"),
    ],
)
def test_every_limit_of_a_parameter_is_heeded(
    definition: dict[str, Any], given: list[str] | None, complaint: str
) -> None:
    parsed = CommandDocument.parse(content(("true",), {"it": definition}))
    with pytest.raises(InvalidParametersError, match=complaint):
        parsed.resolve({} if given is None else {"it": given})


@pytest.mark.parametrize(
    "wrong",
    [
        "not even an object",
        {**content(), "schemaVersion": "1.2"},
        {**content(), "mainSteps": []},
        {**content(), "mainSteps": content()["mainSteps"] * 2},
        {**content(), "mainSteps": [{**content()["mainSteps"][0], "action": "aws:runPython"}]},
        content(("echo {{ unknown }}",)),
        content(None),
        content(("true",), {"it": {"type": "MapList"}}),
        content(("true",), {"it": {"type": "String", "interpolationType": "ENV_VAR"}}),
        content(("true",), {"it": {"type": "String", "default": "B", "allowedPattern": "^a$"}}),
    ],
)
def test_what_no_agent_could_run_is_no_document(wrong: Any) -> None:
    with pytest.raises(InvalidContentError):
        CommandDocument.parse(wrong)
