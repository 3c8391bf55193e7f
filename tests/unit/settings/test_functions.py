"""Settings: a wrong function says everything that is wrong with it, at once and without secrets."""

import json
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import ConfigurationError
from lifecycle.settings import (
    AnySettings,
    BufferWaiterSettings,
    EvidenceSettings,
    FlushWaiterSettings,
    LifecycleHandlerSettings,
    OperationWaiterSettings,
    ReconcileMode,
    ReconcilerSettings,
    load_settings,
)
from tests.support import environments
from tests.support.problems import evidence_problem, problem_of


def test_the_environment_that_terraform_sets_is_right_for_every_function() -> None:
    handler = load_settings(LifecycleHandlerSettings, environments.lifecycle_handler())
    operation = load_settings(OperationWaiterSettings, environments.operation_waiter())
    reconciler = load_settings(ReconcilerSettings, environments.reconciler())
    flush = load_settings(FlushWaiterSettings, environments.flush_waiter())
    buffer = load_settings(BufferWaiterSettings, environments.buffer_waiter())
    assert (handler.cloud_map_port, handler.launch_hook_name) == (24224, "pipeline-launch")
    assert reconciler.reconcile_mode is ReconcileMode.CORRECT
    assert reconciler.reconcile_grace_seconds == 60.0
    assert (operation.poll_interval_seconds, operation.timeout_seconds) == (5.0, 600.0)
    assert (flush.flush_command_timeout_seconds, flush.flush_delivery_timeout_seconds) == (55.0, 60)
    assert (buffer.empty_for_seconds, buffer.settle_seconds) == (300.0, 75.0)


# Each function in a fleet with and without Cloud Map, and what it needs there beside what it
# always needs. Of the stages that may come next, these have the buffer stage only.
IN_CLOUD_MAP = {"LAUNCH_HOOK_NAME", "CLOUD_MAP_PORT", "OPERATION_QUEUE_URL"}
DISCOVERED = {"OPERATION_QUEUE_URL", "CLOUD_MAP_PORT"}
NEXT_STAGE = {"BUFFER_QUEUE_URL"}
NEEDS = {
    "handler": (LifecycleHandlerSettings, environments.lifecycle_handler(), IN_CLOUD_MAP),
    "handler-alone": (
        LifecycleHandlerSettings,
        environments.without_cloud_map(
            environments.lifecycle_handler(), BUFFER_QUEUE_URL=environments.queue_url("buffer")
        ),
        NEXT_STAGE,
    ),
    "reconciler": (
        ReconcilerSettings,
        {k: v for k, v in environments.reconciler().items() if k != "BUFFER_QUEUE_URL"},
        IN_CLOUD_MAP | {"LAUNCH_HEARTBEAT_TIMEOUT_SECONDS"},
    ),
    "reconciler-alone": (
        ReconcilerSettings,
        environments.without_cloud_map(environments.reconciler()),
        NEXT_STAGE,
    ),
    "operation": (OperationWaiterSettings, environments.operation_waiter(), NEXT_STAGE),
    "flush": (FlushWaiterSettings, environments.flush_waiter(), DISCOVERED),
    "flush-alone": (
        FlushWaiterSettings,
        environments.without_cloud_map(environments.flush_waiter()),
        set(),
    ),
    "buffer": (BufferWaiterSettings, environments.buffer_waiter(), DISCOVERED),
    "buffer-alone": (
        BufferWaiterSettings,
        environments.without_cloud_map(environments.buffer_waiter()),
        set(),
    ),
    "evidence": (EvidenceSettings, environments.evidence(), set()),
}
FEWEST = {
    LifecycleHandlerSettings: 4,
    ReconcilerSettings: 7,
    OperationWaiterSettings: 10,
    FlushWaiterSettings: 12,
    BufferWaiterSettings: 15,
    EvidenceSettings: 5,
}


@pytest.mark.parametrize(("model", "environment", "needed_here"), NEEDS.values(), ids=NEEDS)
def test_every_setting_that_is_missing_is_named_in_one_message(
    model: type[AnySettings], environment: dict[str, str], needed_here: set[str]
) -> None:
    always = {name.upper() for name, field in model.model_fields.items() if field.is_required()}
    assert len(always) >= FEWEST[model]
    load_settings(model, environment)
    needed = always | needed_here
    kept = {name: v for name, v in environment.items() if name == "CLOUD_MAP_SERVICE_IDS"}
    kept = {name: v for name, v in kept.items() if name not in always}
    problem = problem_of(model, kept)
    assert {name for name in needed if re.search(rf"\b{name}:? is missing", problem)} == needed
    assert problem.count("is missing") == len(needed)
    for name in needed:
        alone = problem_of(model, {k: v for k, v in environment.items() if k != name})
        assert re.match(rf"wrong settings: {name}:? is missing", alone)
        assert alone.count("is missing") == 1


@pytest.mark.parametrize(
    ("model", "environment"),
    [
        (LifecycleHandlerSettings, environments.lifecycle_handler()),
        (ReconcilerSettings, environments.reconciler()),
        (FlushWaiterSettings, environments.flush_waiter()),
        (BufferWaiterSettings, environments.buffer_waiter()),
    ],
)
def test_half_a_cloud_map_is_refused(model: type[AnySettings], environment: dict[str, str]) -> None:
    # To do without would be to release an instance that forwarders can still find.
    del environment["CLOUD_MAP_SERVICE_IDS"]
    problem = problem_of(model, {**environment, "FLUSH_QUEUE_URL": "https://sqs/flush"})
    assert "OPERATION_QUEUE_URL: means nothing without CLOUD_MAP_SERVICE_IDS" in problem
    if model is LifecycleHandlerSettings:
        assert "LAUNCH_HOOK_NAME: means nothing without CLOUD_MAP_SERVICE_IDS" in problem
        assert "CLOUD_MAP_PORT: means nothing without CLOUD_MAP_SERVICE_IDS" in problem
    if model is ReconcilerSettings:
        needless = "LAUNCH_HEARTBEAT_TIMEOUT_SECONDS: means nothing without CLOUD_MAP_SERVICE_IDS"
        assert needless in problem


RECONCILER = (ReconcilerSettings, environments.reconciler)
FLUSH = (FlushWaiterSettings, environments.flush_waiter)
BUFFER = (BufferWaiterSettings, environments.buffer_waiter)
EVIDENCE = (EvidenceSettings, environments.evidence)
WRONG = [
    (*function, name, value)
    for function, settings in [
        (
            RECONCILER,
            {
                "RECONCILE_MODE": ["repair"],
                "RECONCILE_GRACE_SECONDS": ["-1", "inf"],
                "TERMINATE_HEARTBEAT_TIMEOUT_SECONDS": ["0"],
                "LAUNCH_HEARTBEAT_TIMEOUT_SECONDS": ["0"],
            },
        ),
        (
            FLUSH,
            {
                "FLUSH_QUEUE_URL": ["flush"],
                "FLUSH_DLQ_URL": ["https://sqs/a b"],
                "BUFFER_QUEUE_URL": [""],
                "OPERATION_QUEUE_URL": [""],
                "CLOUD_MAP_SERVICE_IDS": [""],
                "TIMEOUT_SECONDS": ["0"],
                "POLL_INTERVAL_MAX_SECONDS": ["14"],
                "SETTLE_SECONDS": ["-1", "nan"],
                "FLUSH_DOCUMENT_NAME": [""],
                "FLUSH_COMMAND_TIMEOUT_SECONDS": ["0", "inf"],
                "FLUSH_DELIVERY_TIMEOUT_SECONDS": ["29", "30.5", "2592001"],
            },
        ),
        (
            BUFFER,
            {
                "AUTOSCALING_GROUP_NAME": [""],
                "POWERTOOLS_METRICS_NAMESPACE": [""],
                "CLOUD_MAP_SERVICE_IDS": [""],
                "OPERATION_QUEUE_URL": ["operation"],
                "BUFFER_QUEUE_URL": ["https://"],
                "BUFFER_DLQ_URL": ["https://sqs/a b"],
                "POLL_INTERVAL_SECONDS": ["0", "43201", "nan", "15s"],
                "POLL_INTERVAL_MAX_SECONDS": ["14", "inf"],
                "TIMEOUT_SECONDS": ["0", "inf", "-5"],
                "VISIBILITY_TIMEOUT_SECONDS": ["0", "43201"],
                "TERMINATE_HEARTBEAT_TIMEOUT_SECONDS": ["0", "inf", "an hour"],
                "EMPTY_FOR_SECONDS": ["five minutes", "nan"],
                "SETTLE_SECONDS": ["-1", "inf"],
                "EVIDENCE_FUNCTION_NAME": [""],
                "EVIDENCE_TIMEOUT_SECONDS": ["0", "inf"],
                "PROMETHEUS_SCRAPE_INTERVAL_SECONDS": ["0", "101"],
                "PROMETHEUS_INSTANCE_LABEL": ["instance-id", 'a="b",c', "instance_id\n"],
                "PROMETHEUS_IDENTIFY_BY": ["hostname"],
                "PROMETHEUS_METRIC_PREFIX": ["fluentd-", 'x"}', ""],
                "PROMETHEUS_EXPECTED_BUFFERED_OUTPUTS": ["0", "2.5"],
                "PROMETHEUS_HEARTBEAT_PLUGIN_ID": [""],
            },
        ),
        (
            EVIDENCE,
            {
                "PROMETHEUS_URL": [
                    "prometheus:9090",
                    "ftp://prometheus",
                    "http://",
                    "http://prometheus:port",
                    "http://prometheus:0",
                    "http://prometheus:65536",
                    "http://prometheus\n",
                    " http://prometheus",
                    "http://prome theus",
                ],
                "PROMETHEUS_REQUEST_TIMEOUT_SECONDS": ["0"],
                "PROMETHEUS_DIALECT": ["Thanos", ""],
                "PROMETHEUS_METHOD": ["get", "PUT"],
                "PROMETHEUS_HEADERS": ["X-Scope-OrgID: logs"],
                "PROMETHEUS_CA_CERTIFICATES": ["", "ca.pem", "-----BEGIN CERTIFICATE-----"],
                "PROMETHEUS_AUTH": ["kerberos"],
                "PROMETHEUS_CREDENTIALS_ARN": [""],
            },
        ),
    ]
    for name, values in settings.items()
    for value in values
]


@pytest.mark.parametrize(("model", "environment", "name", "value"), WRONG)
def test_a_wrong_setting_is_named_with_its_value(
    model: type[AnySettings], environment: Callable[..., dict[str, str]], name: str, value: str
) -> None:
    problem = problem_of(model, environment(**{name: value}))
    assert problem.startswith(f"wrong settings: {name}: ")
    assert problem.endswith(f" (got {value!r})")


@pytest.mark.parametrize(
    ("headers", "wrong"),
    [
        ([], "[]"),
        ({"X-Scope-OrgID": 7}, "7"),
        ({"X Scope": "logs"}, "'X Scope'"),
        ({"X-Scope-OrgID": "a\r\nHost: b"}, repr("a\r\nHost: b")),
        ({"X-Scope-OrgID": " logs"}, "' logs'"),
        ({"authorization": "Bearer x"}, "'authorization'"),
        ({"X-Amz-Date": "now"}, "'X-Amz-Date'"),
    ],
)
def test_a_header_that_is_none_or_would_authenticate_is_named(headers: object, wrong: str) -> None:
    problem = evidence_problem(PROMETHEUS_HEADERS=json.dumps(headers))
    assert problem.startswith("wrong settings: PROMETHEUS_HEADERS: ")
    assert problem.endswith(f" (got {wrong})")


@pytest.mark.parametrize("flush", [True, False])
@pytest.mark.parametrize("prometheus", [True, False])
@pytest.mark.parametrize("cloud_map", [True, False])
def test_a_fleet_needs_a_stage_that_drains(
    *, cloud_map: bool, flush: bool, prometheus: bool
) -> None:
    """Terraform refuses the neither; a function that is deployed by hand does, too."""
    model: type[LifecycleHandlerSettings | OperationWaiterSettings] = OperationWaiterSettings
    environment = environments.operation_waiter()
    if not cloud_map:
        model = LifecycleHandlerSettings
        environment = environments.without_cloud_map(environments.lifecycle_handler())
    environment.pop("BUFFER_QUEUE_URL", None)
    if flush:
        environment["FLUSH_QUEUE_URL"] = environments.queue_url("flush")
    if prometheus:
        environment["BUFFER_QUEUE_URL"] = environments.queue_url("buffer")
    if flush or prometheus:
        settings = load_settings(model, environment)
        assert (settings.flush_queue_url is not None) == flush
        assert (settings.buffer_queue_url is not None) == prometheus
    else:
        problem = problem_of(model, environment)
        assert problem.startswith("wrong settings: BUFFER_QUEUE_URL: is missing; ")
        assert "FLUSH_QUEUE_URL is needed" in problem


@pytest.mark.parametrize("name", ["CLOUD_MAP_SERVICE_IDS", "FLUSH_QUEUE_URL"])
def test_what_hangs_on_a_wrong_setting_is_not_reported_with_it(name: str) -> None:
    """One mistake, one complaint: the user would search for a second mistake."""
    wrong = {name: ""}
    handler = environments.without_cloud_map(environments.lifecycle_handler(), **wrong)
    assert problem_of(LifecycleHandlerSettings, handler).count(";") == 0
    flush = environments.flush_waiter(**wrong)
    assert problem_of(FlushWaiterSettings, flush).count(";") == 0


def test_a_fleet_without_cloud_map_need_not_settle() -> None:
    alone = environments.without_cloud_map(environments.flush_waiter(SETTLE_SECONDS="0"))
    settings = load_settings(FlushWaiterSettings, alone)
    assert (settings.settle_seconds, settings.cloud_map_service_ids) == (0.0, None)


def test_a_fleet_can_be_in_several_services() -> None:
    environment = environments.lifecycle_handler(CLOUD_MAP_SERVICE_IDS="srv-1,srv-2, srv-3")
    settings = load_settings(LifecycleHandlerSettings, environment)
    assert settings.cloud_map_service_ids == ("srv-1", "srv-2", "srv-3")
    one = load_settings(LifecycleHandlerSettings, environments.lifecycle_handler())
    assert one.cloud_map_service_ids == ("srv-0123456789abcdef",)


@pytest.mark.parametrize("ids", ["srv-1,", ",srv-1", "srv-1,,srv-2", "srv-1 srv-2", "srv-1,srv-1"])
def test_services_must_be_separated_by_commas_and_differ(ids: str) -> None:
    environment = environments.lifecycle_handler(CLOUD_MAP_SERVICE_IDS=ids)
    problem = problem_of(LifecycleHandlerSettings, environment)
    assert problem.startswith("wrong settings: CLOUD_MAP_SERVICE_IDS: ")


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http", "", "24224.5"])
@pytest.mark.parametrize(
    ("model", "environment"),
    [
        (LifecycleHandlerSettings, environments.lifecycle_handler),
        (OperationWaiterSettings, environments.operation_waiter),
    ],
)
def test_a_port_that_is_none_is_refused_by_both_functions_that_register(
    model: type[AnySettings], environment: Callable[..., dict[str, str]], port: str
) -> None:
    assert "CLOUD_MAP_PORT: " in problem_of(model, environment(CLOUD_MAP_PORT=port))


def test_variables_of_other_programs_are_no_problem() -> None:
    environment = environments.buffer_waiter(PATH="/usr/bin", LANG="C.UTF-8", _HANDLER="x")
    load_settings(BufferWaiterSettings, environment)


@given(
    st.dictionaries(st.sampled_from(sorted(environments.buffer_waiter())), st.text(), max_size=4)
)
def test_no_environment_raises_anything_but_a_configuration_error(changes: dict[str, str]) -> None:
    environment = environments.buffer_waiter(**changes)
    try:
        settings = load_settings(BufferWaiterSettings, environment)
    except ConfigurationError:
        return
    assert settings.poll_interval_seconds <= settings.poll_interval_max_seconds
    assert settings.empty_for_seconds >= 3 * settings.prometheus_scrape_interval_seconds
