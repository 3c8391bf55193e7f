"""A function with wrong settings fails at each invocation, and says why in one log line."""

import itertools
from collections.abc import Callable

import pytest

from handlers import evidence as evidence_module
from handlers import lifecycle as handler_module
from handlers import reconcile as reconcile_module
from lifecycle.errors import ConfigurationError
from lifecycle.telemetry import LogEvent, on_lambda
from tests.support import environments
from waiters import buffer as buffer_module
from waiters import flush as flush_module
from waiters import operation as operation_module


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize(
    ("module", "broken"),
    [
        (
            handler_module,
            environments.lifecycle_handler(CLOUD_MAP_PORT="x", OPERATION_QUEUE_URL="y"),
        ),
        (
            reconcile_module,
            environments.reconciler(RECONCILE_MODE="x", RECONCILE_GRACE_SECONDS="y"),
        ),
        (operation_module, environments.operation_waiter(CLOUD_MAP_PORT="x", TIMEOUT_SECONDS="y")),
        (flush_module, environments.flush_waiter(SETTLE_SECONDS="x", TIMEOUT_SECONDS="y")),
        (buffer_module, environments.buffer_waiter(SETTLE_SECONDS="x", TIMEOUT_SECONDS="y")),
        (evidence_module, environments.evidence(PROMETHEUS_URL="x", PROMETHEUS_AUTH="y")),
    ],
)
def test_a_misconfigured_function_fails_at_once_with_all_problems_in_one_log_line(
    module: object, broken: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        vars(module)["wire"](broken, on_lambda())
    wrong = [name for name, value in broken.items() if value in {"x", "y"}]
    [line] = capsys.readouterr().out.splitlines()
    for name, text in itertools.product(wrong, (line, str(caught.value))):
        assert f"{name}: " in text
    assert f'"message":"{LogEvent.CONFIGURATION_INVALID}"' in line


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize(
    "module",
    [
        handler_module,
        reconcile_module,
        operation_module,
        flush_module,
        buffer_module,
        evidence_module,
    ],
)
def test_every_invocation_of_a_misconfigured_function_fails_alike(
    module: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("AUTOSCALING_GROUP_NAME", raising=False)
    entry_point: Callable[[dict[str, object], object], object] = vars(module)["handler"]
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="AUTOSCALING_GROUP_NAME: is missing"):
            entry_point({"Records": []}, None)
    assert capsys.readouterr().out.count(LogEvent.CONFIGURATION_INVALID) == 2


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize(
    ("module", "environment"),
    [
        (handler_module, environments.without_cloud_map(environments.lifecycle_handler())),
        (
            reconcile_module,
            {
                k: v
                for k, v in environments.without_cloud_map(environments.reconciler()).items()
                if k != "BUFFER_QUEUE_URL"
            },
        ),
        (
            operation_module,
            {k: v for k, v in environments.operation_waiter().items() if k != "BUFFER_QUEUE_URL"},
        ),
    ],
)
def test_a_fleet_without_a_stage_that_drains_is_refused_at_the_first_invocation(
    module: object,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("CLOUD_MAP_SERVICE_IDS", "FLUSH_QUEUE_URL", "BUFFER_QUEUE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        if name != "POWERTOOLS_SERVICE_NAME":
            monkeypatch.setenv(name, value)
    vars(module)["handler"].wired.cache_clear()
    with pytest.raises(ConfigurationError, match="FLUSH_QUEUE_URL"):
        vars(module)["handler"]({"Records": []}, None)
    assert capsys.readouterr().out.count(LogEvent.CONFIGURATION_INVALID) == 1
