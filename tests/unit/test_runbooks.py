"""The runbooks are complete, in order, and type nothing that does not exist."""

import json
import re
import subprocess
from collections.abc import Iterator
from functools import cache

import jmespath  # type: ignore[import-untyped]  # it ships no types
import pytest
from botocore import xform_name
from botocore.model import OperationModel, ServiceModel
from botocore.session import Session

from lifecycle.decisions.buffer import Reason, State
from lifecycle.decisions.flush import FlushReason, FlushState
from lifecycle.telemetry import LogEvent
from sandbox.emulator.faults import OPERATION_ERROR_CODES
from tests.support import runbooks
from tests.support.runbooks import ON_INSTANCE, PROJECT, Command

HEADINGS = [
    "Severity and deadline",
    "Meaning",
    "Impact",
    "First five minutes",
    "Diagnosis",
    "Mitigation",
    "Redrive or discard",
    "Verify",
    "Escalate",
]
NAMES = runbooks.names()
BLOCKS = runbooks.all_blocks()
COMMANDS = [command for block in BLOCKS for command in runbooks.commands(block)]
# What the CLI adds to every operation, and what the shell alone knows.
CLI_OPTIONS = {"query", "output"}
S3_OPTIONS = {"cp": {"recursive", "exclude", "include"}, "ls": {"recursive"}}
# What a search may name beside events: an instance, a verdict, Lambda's own words.
NOT_EVENTS = {
    "$INSTANCE",
    str(State.DRAINED),
    str(FlushState.FLUSHED),
    "ERROR",
    "Task timed out",
    "Runtime.",
}
POWERTOOLS_KEYS = {"level", "message", "timestamp", "service"}
GIVEN_BY_THE_SHELL = {"PATH"}


def commands_of(name: str) -> list[Command]:
    return [command for command in COMMANDS if command.block.runbook == name]


def alarm_suffixes() -> set[str]:
    """As `terraform test` finds them in a plan with everything in use."""
    contract = PROJECT / "terraform" / "tests" / "contract.json"
    return set(json.loads(contract.read_text())["alarms"])


def test_every_alarm_has_a_runbook_and_every_runbook_an_alarm() -> None:
    assert len(alarm_suffixes()) >= 6
    assert set(NAMES) == alarm_suffixes()


def test_the_index_names_every_runbook() -> None:
    index = (runbooks.FOLDER / "README.md").read_text()
    rows = re.findall(r"^\| \[([a-z-]+)\]\(([a-z-]+)\.md\) \|", index, re.MULTILINE)
    assert sorted(rows) == [(name, name) for name in NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_every_runbook_has_the_same_headings_in_the_same_order(name: str) -> None:
    markdown = runbooks.text(name)
    assert runbooks.headings(markdown, 1) == [name]
    assert runbooks.headings(markdown, 2) == HEADINGS


@pytest.mark.parametrize("name", NAMES)
def test_every_runbook_opens_with_severity_and_deadline(name: str) -> None:
    opening = runbooks.text(name).split("```", 1)[0]
    assert "**Page" in opening
    assert "**Deadline" in opening


@pytest.mark.parametrize("name", [*NAMES, "README"])
def test_no_runbook_is_unfinished(name: str) -> None:
    text = runbooks.text(name)
    assert not re.search(r"\b(TODO|FIXME|TBD|XXX)\b|@@", text)
    # A placeholder inside a command is a command that cannot be pasted.
    for block in runbooks.blocks(name):
        assert not re.search(r"<[a-z][a-z -]*>|\.\.\.|YOUR_", block.text), block


@pytest.mark.parametrize("shared", ["set-up", "deadline", "keep", "insure", "suspend"])
def test_what_several_runbooks_begin_with_is_the_same_everywhere(shared: str) -> None:
    texts = {block.text for block in BLOCKS if block.name == shared}
    assert len(texts) == 1


@pytest.mark.parametrize("name", NAMES)
def test_every_runbook_sets_its_variables_first_and_then_stops_the_clock(name: str) -> None:
    order = [block.name for block in runbooks.blocks(name)]
    assert order[:4] == ["set-up", "deadline", "keep", "insure"]
    assert len(order) == len(set(order)), "a block's name is its identity"


@pytest.mark.parametrize("name", NAMES)
def test_no_variable_is_used_before_it_is_set(name: str) -> None:
    known = {"": set(GIVEN_BY_THE_SHELL), ON_INSTANCE: set(GIVEN_BY_THE_SHELL)}
    for block in runbooks.blocks(name):
        here = known[block.place]
        here |= set(assigned(block.text))
        assert set(used(block.text)) <= here, block


def assigned(shell: str) -> Iterator[str]:
    yield from re.findall(r"\b([A-Z_]+)=", shell)
    for names in re.findall(r"\bread -r ([A-Z_ ]+)", shell):
        yield from names.split()
    yield from re.findall(r"\bfor ([A-Z_]+) in ", shell)


def used(shell: str) -> Iterator[str]:
    yield from re.findall(r"\$\{?([A-Z_]+)", shell)


@pytest.mark.parametrize("name", NAMES)
def test_every_block_is_sound_shell(name: str) -> None:
    for block in runbooks.blocks(name):
        checked = subprocess.run(
            ["bash", "-n"], input=block.text, capture_output=True, text=True, check=False
        )
        assert (checked.returncode, checked.stderr) == (0, ""), block


@cache
def service(name: str) -> ServiceModel:
    return Session().get_service_model(name)


def operation(command: Command) -> OperationModel:
    by_cli_name = {xform_name(one, "-"): one for one in service(command.service).operation_names}
    assert command.operation in by_cli_name, f"{command.service} has no {command.operation}"
    return service(command.service).operation_model(by_cli_name[command.operation])


def cli_options(command: Command) -> dict[str, str]:
    """The options of an operation, and the member that each sets."""
    shape = operation(command).input_shape
    assert shape is not None
    options = {xform_name(member, "-"): member for member in shape.members}
    booleans = {
        f"no-{option}": member
        for option, member in options.items()
        if shape.members[member].type_name == "boolean"
    }
    return options | booleans


@pytest.mark.parametrize("name", NAMES)
def test_every_aws_command_exists_with_its_options(name: str) -> None:
    for command in commands_of(name):
        where = f"{command.block}: {command.operation}"
        if command.service == "s3":
            assert set(command.options) <= S3_OPTIONS[command.operation], where
            continue
        options = cli_options(command)
        given = set(command.options) - CLI_OPTIONS
        assert given <= set(options), where
        shape = operation(command).input_shape
        assert shape is not None
        assert set(shape.required_members) <= {options[option] for option in given}, where


@pytest.mark.parametrize("name", NAMES)
def test_every_query_is_sound_and_asks_for_what_is_in_the_answer(name: str) -> None:
    for command in commands_of(name):
        for query in command.options.get("query", []):
            shape = operation(command).output_shape
            assert shape is not None
            root = first_field(jmespath.compile(re.sub(r"\$\w+", "x", query)).parsed)
            assert root in shape.members, f"{command.block}: {query}"


def first_field(node: dict[str, object]) -> str:
    while node["type"] != "field":
        children = node["children"]
        assert isinstance(children, list)
        node = children[0]
    return str(node["value"])


def test_reading_the_commands_misses_none() -> None:
    written = sum(len(re.findall(r"\baws [a-z0-9]+ [a-z]", block.text)) for block in BLOCKS)
    assert len(COMMANDS) == written
    assert written > 100


def searches() -> list[Command]:
    return [one for one in COMMANDS if one.operation == "filter-log-events"]


def patterns(command: Command) -> list[str]:
    [pattern] = command.options["filter-pattern"]
    if pattern != "$PATTERN":
        return [pattern]
    loop = re.search(r"for PATTERN in (.*); do", command.block.text)
    assert loop
    return list(runbooks.split(loop[1]))


def words(pattern: str) -> set[str]:
    quoted = re.findall(r'"([^"]*)"', pattern)
    assert quoted, f"{pattern}: CloudWatch Logs takes these terms only in quotes"
    return set(quoted)


def events(command: Command) -> set[LogEvent]:
    found = {word for pattern in patterns(command) for word in words(pattern)}
    return {event for event in LogEvent if event in found}


@pytest.mark.parametrize("name", NAMES)
def test_every_search_of_a_log_is_for_an_event_that_there_is(name: str) -> None:
    found = [one for one in searches() if one.block.runbook == name]
    assert found
    for command in found:
        for pattern in patterns(command):
            assert words(pattern) - NOT_EVENTS <= set(LogEvent), f"{command.block}: {pattern}"


@pytest.mark.parametrize("name", NAMES)
def test_every_key_that_is_picked_out_of_log_lines_is_in_them(name: str) -> None:
    for block in runbooks.blocks(name):
        looked_for = {event for one in searches() if one.block == block for event in events(one)}
        if not looked_for:
            continue
        known = POWERTOOLS_KEYS.union(*(one.required | one.optional for one in looked_for))
        picked = re.findall(r"grep -oE '\"\(([a-z_|]+)\)\"", block.text)
        assert {key for keys in picked for key in keys.split("|")} <= known, block


@pytest.mark.parametrize(
    ("name", "reasons"), [("buffer-dlq", list(Reason)), ("flush-dlq", list(FlushReason))]
)
def test_every_reason_of_a_verdict_has_its_line_in_the_runbook(
    name: str, reasons: list[str]
) -> None:
    rows = re.findall(r"^\| ((?:`[a-z_]+`(?:, )?)+) \|", runbooks.text(name), re.MULTILINE)
    assert sorted(re.findall(r"[a-z_]+", " ".join(rows))) == sorted(reasons)


def test_every_error_code_of_cloud_map_has_its_section() -> None:
    sections = " ".join(runbooks.headings(runbooks.text("operation-dlq"), 3))
    assert {code for code in OPERATION_ERROR_CODES if code not in sections} == set()


def test_the_index_lists_exactly_the_permissions_that_the_commands_need() -> None:
    index = (runbooks.FOLDER / "README.md").read_text()
    listed = set(re.findall(r"`([a-z0-9]+:[A-Z]\w+)`", index))
    typed = [one for one in COMMANDS if one.block.place != ON_INSTANCE]
    needed = {f"{one.service}:{operation(one).name}" for one in typed}
    renamed = {"lambda:Invoke": "lambda:InvokeFunction"}
    # A message move task sends, and Cloud Map changes DNS, with the caller's permissions.
    implied = {"sqs:SendMessage", "route53:ChangeResourceRecordSets"}
    assert listed == {renamed.get(one, one) for one in needed} | implied
