"""What Terraform gives the functions is what they read: neither side drifts on its own.

`terraform/tests/contract.json` stands between the two: `terraform test` holds the module's plans
against it (`contract.tftest.hcl`), and here it is held against the code.
"""

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import certifi
import pytest

from lifecycle.adapters.prometheus_session import ATTEMPTS, CONNECT_SECONDS
from lifecycle.decisions.polling import LONGEST_PAUSE_SECONDS, POLLS_IN_A_HOOK
from lifecycle.decisions.reconcile import LONGEST_WAIT_IN_HEARTBEATS, LONGEST_WAIT_SECONDS
from lifecycle.settings import (
    BufferWaiterSettings,
    EvidenceSettings,
    FlushWaiterSettings,
    InterruptionSettings,
    LifecycleHandlerSettings,
    OperationWaiterSettings,
    ProofSettings,
    ReconcilerSettings,
    load_settings,
)
from lifecycle.telemetry import Metric
from tests.support import environments

CONTRACT: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "terraform" / "tests" / "contract.json").read_text()
)
# Read by Powertools, or by operators who look at a function.
NOT_SETTINGS = {
    *("MODULE_VERSION", "POWERTOOLS_LOG_LEVEL", "LAUNCH_HOOK_NAME", "TERMINATE_HOOK_NAME")
}
Model = type[
    LifecycleHandlerSettings
    | InterruptionSettings
    | ReconcilerSettings
    | OperationWaiterSettings
    | FlushWaiterSettings
    | BufferWaiterSettings
    | EvidenceSettings
    | ProofSettings
]
FUNCTIONS: dict[str, tuple[Model, Callable[..., dict[str, str]]]] = {
    "lifecycle": (LifecycleHandlerSettings, environments.lifecycle_handler),
    "reconcile": (ReconcilerSettings, environments.reconciler),
    "interruption": (InterruptionSettings, environments.interruption),
    "operation": (OperationWaiterSettings, environments.operation_waiter),
    "flush": (FlushWaiterSettings, environments.flush_waiter),
    "buffer": (BufferWaiterSettings, environments.buffer_waiter),
    "evidence": (EvidenceSettings, environments.evidence),
}
# The inputs that turn stages on, and the functions that there are then, besides the handlers.
FLEETS = {
    "flush": {"flush"},
    "prometheus": {"buffer", "evidence"},
    "flush, prometheus": {"flush", "buffer", "evidence"},
    "cloud_map, flush": {"operation", "flush"},
    "cloud_map, prometheus": {"operation", "buffer", "evidence"},
    "cloud_map, flush, prometheus": {"operation", "flush", "buffer", "evidence"},
    "cloud_map, prometheus with readiness": {"operation", "buffer", "evidence"},
    "prometheus with options": {"buffer", "evidence"},
    "prometheus with sigv4": {"buffer", "evidence"},
}
ASKING = {"reconcile", "operation"}  # if there is an evidence function
HANDLERS = {"lifecycle", "reconcile", "interruption"}
VALUES = environments.everything() | {
    "PROMETHEUS_CREDENTIALS_ARN": "arn:aws:ssm:eu-west-1:123456789012:parameter/token",
    "PROMETHEUS_REGION": "eu-west-1",
    "PROMETHEUS_ROLE_ARN": "arn:aws:iam::210987654321:role/reader",
    "PROMETHEUS_HEADERS": '{"X-Scope-OrgID":"logs"}',
    "PROMETHEUS_CA_CERTIFICATES": certifi.contents(),
    "PROMETHEUS_EXPECTED_BUFFERED_OUTPUTS": "2",
    "PROMETHEUS_HEARTBEAT_PLUGIN_ID": "heartbeat",
}
CASES = [
    pytest.param(function, set(names), id=f"{fleet}-{function}")
    for fleet, functions in CONTRACT["variables"].items()
    for function, names in functions.items()
]


def models(function: str) -> list[Model]:
    """What a function reads its settings with, those of its questions about evidence included."""
    return [FUNCTIONS[function][0], *([ProofSettings] if function in ASKING else [])]


def variables(function: str) -> set[str]:
    """All that a function reads."""
    return {name.upper() for model in models(function) for name in model.model_fields}


def test_the_contract_is_about_every_fleet_and_function() -> None:
    named = {fleet: set(functions) for fleet, functions in CONTRACT["variables"].items()}
    assert named == {fleet: HANDLERS | waiters for fleet, waiters in FLEETS.items()}


@pytest.mark.parametrize(("function", "names"), CASES)
def test_what_a_function_is_given_is_enough(function: str, names: set[str]) -> None:
    """Nothing that is required is missing, nor what is needed once something else is set."""
    given = {name: VALUES[name] for name in names}
    load_settings(FUNCTIONS[function][0], given)
    if function in ASKING and "EVIDENCE_FUNCTION_NAME" in given:
        load_settings(ProofSettings, given)


@pytest.mark.parametrize(("function", "names"), CASES)
def test_nothing_is_set_that_a_function_does_not_read(function: str, names: set[str]) -> None:
    assert names <= variables(function) | NOT_SETTINGS


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_setting_of_a_function_is_set_for_some_fleet(function: str) -> None:
    given = [set(case.get(function, ())) for case in CONTRACT["variables"].values()]
    assert variables(function) <= set().union(*given)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_test_environments_are_those_of_terraform(function: str) -> None:
    """For a fleet in Cloud Map with one stage that drains; defaults of Prometheus aside."""
    fleet = "cloud_map, flush" if function == "flush" else "cloud_map, prometheus"
    missing = set(CONTRACT["variables"][fleet][function]) - set(FUNCTIONS[function][1]())
    assert {name for name in missing if not name.startswith("PROMETHEUS_")} == set()


def test_every_handler_that_terraform_names_is_a_function() -> None:
    assert set(CONTRACT["handlers"]) == set(FUNCTIONS)
    for handler in CONTRACT["handlers"].values():
        module, _, name = handler.rpartition(".")
        assert callable(vars(importlib.import_module(module))[name])


def test_every_metric_that_terraform_alarms_on_exists() -> None:
    assert "FluentdLifecycle/LifecycleActionExpired" in CONTRACT["metrics"]
    reported = {f"FluentdLifecycle/{metric}" for metric in Metric}
    assert set(CONTRACT["metrics"]) <= reported


def test_the_time_that_terraform_counts_for_prometheus_is_the_time_it_can_take() -> None:
    counted = {"attempts": ATTEMPTS, "connect_seconds": CONNECT_SECONDS}
    assert CONTRACT["prometheus"] == counted


def test_the_limits_that_terraform_counts_with_are_those_of_the_functions() -> None:
    assert CONTRACT["limits"] == {
        "longest_lifecycle_action_seconds": LONGEST_WAIT_SECONDS,
        "longest_wait_in_heartbeats": LONGEST_WAIT_IN_HEARTBEATS,
        "longest_poll_pause_seconds": LONGEST_PAUSE_SECONDS,
        "polls_in_a_hook": POLLS_IN_A_HOOK,
    }
