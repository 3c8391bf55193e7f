"""What Terraform gives the functions is what they read: neither side drifts on its own."""

import importlib
import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lifecycle.adapters.prometheus import ATTEMPTS, CONNECT_SECONDS
from lifecycle.settings import (
    BufferWaiterSettings,
    FlushWaiterSettings,
    InterruptionSettings,
    LifecycleHandlerSettings,
    OperationWaiterSettings,
    ReconcilerSettings,
    load_settings,
)
from tests.support import environments

TERRAFORM = Path(__file__).parents[2] / "terraform"
# Read by Powertools or by nobody but people who look at a function.
NOT_SETTINGS = {"POWERTOOLS_LOG_LEVEL", "LAUNCH_HOOK_NAME", "TERMINATE_HOOK_NAME"}
Model = type[
    LifecycleHandlerSettings
    | InterruptionSettings
    | ReconcilerSettings
    | OperationWaiterSettings
    | FlushWaiterSettings
    | BufferWaiterSettings
]
# The file, and the stage without which there is no such function.
FUNCTIONS: dict[str, tuple[Model, Callable[..., dict[str, str]], str | None]] = {
    "function_lifecycle.tf": (LifecycleHandlerSettings, environments.lifecycle_handler, None),
    "function_reconcile.tf": (ReconcilerSettings, environments.reconciler, None),
    "function_interruption.tf": (InterruptionSettings, environments.interruption, None),
    "stage_operation.tf": (OperationWaiterSettings, environments.operation_waiter, "operation"),
    "stage_flush.tf": (FlushWaiterSettings, environments.flush_waiter, "flush"),
    "stage_buffer.tf": (BufferWaiterSettings, environments.buffer_waiter, "buffer"),
}
STAGES = ("operation", "flush", "buffer")
# What a fleet can use: Cloud Map or not, and at least one of the stages that drain.
USES = [
    frozenset(uses)
    for count in (1, 2, 3)
    for uses in itertools.combinations(STAGES, count)
    if {"flush", "buffer"} & set(uses)
]
_ASSIGNED = re.compile(r"^\s*([A-Z][A-Z0-9_]+)\s*=", re.MULTILINE)
_FOR = re.compile(
    r"\{\s*for\s+(?P<names>[\w, ]+?)\s+in\s+(?P<over>.*?)\s*:\s*(?P<key>\"[^\"]+\"|\w+)\s*=>"
    r"(?P<rest>.*)\}\s*$",
    re.DOTALL,
)


def expression(name: str, file: str | None = None) -> str:
    """What a local value is set to, as it is written."""
    files = [TERRAFORM / file] if file else sorted(TERRAFORM.glob("*.tf"))
    for path in files:
        found = re.search(rf"^ +{name} *= *(?=[a-z{{])", path.read_text(), re.MULTILINE)
        if found:
            return _balanced(path.read_text()[found.end() :])
    raise AssertionError(f"no local value {name}")


def _balanced(text: str) -> str:
    """The text up to where its first bracket is closed."""
    depth = 0
    for position, character in enumerate(text):
        depth += (character in "({[") - (character in ")}]")
        if depth == 0 and character in ")}]":
            return text[: position + 1]
    raise AssertionError(f"not closed: {text[:60]}")


def names(text: str, uses: frozenset[str]) -> set[str]:
    """The names in a map of variables, for a fleet that uses these stages."""
    text = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE).strip()
    if text.startswith("merge("):
        return {name for part in _arguments(text) for name in names(part, uses)}
    if text.startswith("local."):
        return names(expression(text.removeprefix("local.")), uses)
    loop = _FOR.match(text)
    if loop:
        return set(_looped(loop, uses))
    assert text.startswith("{"), text
    return set(_ASSIGNED.findall(text))


def _arguments(call: str) -> Iterator[str]:
    inside, depth, start = call[call.index("(") + 1 : -1], 0, 0
    for position, character in enumerate(inside + ","):
        depth += (character in "({[") - (character in ")}]")
        if character == "," and depth == 0:
            if inside[start:position].strip():
                yield inside[start:position]
            start = position + 1


def _looped(loop: re.Match[str], uses: frozenset[str]) -> Iterator[str]:
    condition = re.search(r"\bif local\.uses(?:\.(\w+)|\[(\w+)\])\s*$", loop["rest"])
    assert condition or " if " not in loop["rest"], loop[0]
    for item in _items(loop["over"], uses):
        if condition and (condition[1] or item) not in uses:
            continue
        key = loop["key"]
        if key.startswith('"'):
            yield re.sub(r"\$\{upper\(\w+\)\}", item.upper(), key.strip('"'))
        else:
            yield item


def _items(over: str, uses: frozenset[str]) -> list[str]:
    draining: list[str] = [stage for stage in ("flush", "buffer") if stage in uses]
    known: dict[str, list[str]] = {
        "local.hooks": [*(["launch"] if "operation" in uses else []), "terminate"],
        "local.draining_stages": draining,
        "[local.first_stage]": ["operation"] if "operation" in uses else draining[:1],
    }
    if over in known:
        return known[over]
    if over.startswith("["):
        return [found[1] for found in re.finditer(r'"(\w+)"', over)]
    return [found[1] for found in re.finditer(r"([A-Z][A-Z0-9_]+) *=", over)]


def given(file: str, uses: frozenset[str]) -> set[str]:
    """The variables that a function has in any case."""
    return names(expression("common_environment", "functions.tf"), uses) | names(
        expression("environment", file), uses
    )


def given_sometimes(file: str) -> set[str]:
    """The variables that are left out when they are null."""
    return set(re.findall(r"([A-Z][A-Z0-9_]+) *=", expression("optional_environment", file)))


def deployed(uses: frozenset[str]) -> list[str]:
    """The files of the functions that there are."""
    return [file for file, (_, _, stage) in FUNCTIONS.items() if stage is None or stage in uses]


CASES = [
    pytest.param(file, uses, id=f"{file}-{'+'.join(sorted(uses))}")
    for uses in USES
    for file in deployed(uses)
]


def fields(model: Model) -> tuple[set[str], set[str]]:
    """Required and optional settings of a function."""
    required = {name.upper() for name, one in model.model_fields.items() if one.is_required()}
    return required, {name.upper() for name in model.model_fields} - required


def test_what_terraform_does_with_the_names_is_understood() -> None:
    """The other tests lean on it, and Terraform's own tests look at the values."""
    text = (TERRAFORM / "features.tf").read_text()
    assert 'draining_stages = [for stage in ["flush", "buffer"] : stage if local.uses' in text
    assert 'local.uses.operation ? "operation" : local.draining_stages[0]' in text
    hooks = (TERRAFORM / "hooks.tf").read_text()
    assert 'if key != "launch" || local.uses.operation }' in hooks
    handler = given("function_lifecycle.tf", frozenset({"flush", "buffer"}))
    assert {"FLUSH_QUEUE_URL", "TERMINATE_HOOK_NAME"} <= handler
    assert not {"BUFFER_QUEUE_URL", "CLOUD_MAP_SERVICE_IDS", "LAUNCH_HOOK_NAME"} & handler
    assert len(CASES) == 3 * 3 * 2 + 3 + 2 * 2 + 2 * 2


@pytest.mark.parametrize(("file", "uses"), CASES)
def test_every_setting_that_a_function_needs_is_always_set(file: str, uses: frozenset[str]) -> None:
    model = FUNCTIONS[file][0]
    required, _optional = fields(model)
    set_here = given(file, uses)
    if "operation" in uses:
        set_here |= given_sometimes(file) & {"CLOUD_MAP_PORT"}
    assert required <= set_here
    # What is needed only if something else is set cannot hide either.
    values = environments.everything()
    load_settings(model, {name: values[name] for name in set_here})


@pytest.mark.parametrize(("file", "uses"), CASES)
def test_nothing_is_set_that_a_function_does_not_read(file: str, uses: frozenset[str]) -> None:
    required, optional = fields(FUNCTIONS[file][0])
    assert given(file, uses) | given_sometimes(file) <= required | optional | NOT_SETTINGS


def test_what_terraform_leaves_out_when_null_is_optional_for_the_function() -> None:
    assert given_sometimes("stage_buffer.tf")
    for file, (model, _, _) in FUNCTIONS.items():
        assert given_sometimes(file) <= fields(model)[1]


@pytest.mark.parametrize("file", FUNCTIONS)
def test_the_test_environments_are_those_of_terraform(file: str) -> None:
    """For a fleet in Cloud Map with one stage that drains; defaults of Prometheus aside."""
    _, environment, stage = FUNCTIONS[file]
    uses = frozenset({"operation", "flush" if stage == "flush" else "buffer"})
    missing = given(file, uses) - set(environment())
    assert {name for name in missing if not name.startswith("PROMETHEUS_")} == set()


def test_every_handler_that_terraform_names_is_a_function() -> None:
    handlers = {
        name
        for file in FUNCTIONS
        for name in re.findall(r'handler *= *"([a-z_.]+)"', (TERRAFORM / file).read_text())
    }
    assert len(handlers) == 6
    for handler in handlers:
        module, _, name = handler.rpartition(".")
        assert callable(vars(importlib.import_module(module))[name])


def test_the_time_that_terraform_counts_for_prometheus_is_the_time_it_can_take() -> None:
    text = (TERRAFORM / "timing.tf").read_text()
    assert re.search(rf"prometheus_attempts *= *{ATTEMPTS}\n", text)
    assert re.search(rf"prometheus_connect_seconds *= *{CONNECT_SECONDS:g}\n", text)
