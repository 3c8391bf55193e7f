"""What Terraform gives the functions is what they read: neither side drifts on its own."""

import importlib
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel

from lifecycle.prometheus import ATTEMPTS, CONNECT_SECONDS
from lifecycle.settings import (
    BufferWaiterSettings,
    LifecycleHandlerSettings,
    OperationWaiterSettings,
)
from tests.support import environments

TERRAFORM = Path(__file__).parents[2] / "terraform"
# Read by Powertools or by nobody but people who look at a function.
NOT_SETTINGS = {"POWERTOOLS_LOG_LEVEL", "LAUNCH_HOOK_NAME", "TERMINATE_HOOK_NAME"}
FUNCTIONS: dict[str, tuple[type[BaseModel], Callable[..., dict[str, str]]]] = {
    "lifecycle_handler.tf": (LifecycleHandlerSettings, environments.lifecycle_handler),
    "operation_stage.tf": (OperationWaiterSettings, environments.operation_waiter),
    "buffer_stage.tf": (BufferWaiterSettings, environments.buffer_waiter),
}


def names_in(block: str, file: str) -> set[str]:
    """The variables that a block of this name sets."""
    text = (TERRAFORM / file).read_text()
    match = re.search(rf"^( *){block} *= *\{{\n(.*?)\n\1\}}", text, re.MULTILINE | re.DOTALL)
    return set(re.findall(r"^\s+([A-Z][A-Z0-9_]+)\s*=", match[2], re.MULTILINE)) if match else set()


COMMON = names_in("common_environment", "functions.tf")


def fields(model: type[BaseModel]) -> tuple[set[str], set[str]]:
    """Required and optional settings of a function."""
    required = {name.upper() for name, one in model.model_fields.items() if one.is_required()}
    return required, {name.upper() for name in model.model_fields} - required


@pytest.mark.parametrize("file", FUNCTIONS)
def test_every_setting_that_a_function_needs_is_always_set(file: str) -> None:
    model, _ = FUNCTIONS[file]
    required, _optional = fields(model)
    assert required <= COMMON | names_in("environment", file)


@pytest.mark.parametrize("file", FUNCTIONS)
def test_nothing_is_set_that_a_function_does_not_read(file: str) -> None:
    model, _ = FUNCTIONS[file]
    required, optional = fields(model)
    given = COMMON | names_in("environment", file) | names_in("optional_environment", file)
    assert given - NOT_SETTINGS <= required | optional


def test_what_terraform_leaves_out_when_null_is_optional_for_the_function() -> None:
    left_out = names_in("optional_environment", "buffer_stage.tf")
    assert left_out
    assert left_out <= fields(BufferWaiterSettings)[1]


def test_the_test_environments_are_those_of_terraform() -> None:
    for file, (_, environment) in FUNCTIONS.items():
        given = COMMON | names_in("environment", file)
        assert {name for name in given if name not in environment()} <= {
            name for name in given if name.startswith("PROMETHEUS_")
        }


def test_every_handler_that_terraform_names_is_a_function() -> None:
    handlers = {
        name
        for file in FUNCTIONS
        for name in re.findall(r'handler *= *"([a-z_.]+)"', (TERRAFORM / file).read_text())
    }
    assert len(handlers) == 3
    for handler in handlers:
        module, _, name = handler.rpartition(".")
        assert callable(vars(importlib.import_module(module))[name])


def test_the_time_that_terraform_counts_for_prometheus_is_the_time_it_can_take() -> None:
    text = (TERRAFORM / "timing.tf").read_text()
    assert re.search(rf"prometheus_attempts *= *{ATTEMPTS}\n", text)
    assert re.search(rf"prometheus_connect_seconds *= *{CONNECT_SECONDS:g}\n", text)
