"""Settings: a wrong function says everything that is wrong with it, at once and without secrets."""

import itertools
import re
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers import evidence as evidence_module
from handlers import lifecycle as handler_module
from handlers import reconcile as reconcile_module
from lifecycle.errors import ConfigurationError
from lifecycle.settings import (
    AnySettings,
    BufferWaiterSettings,
    EvidenceSettings,
    FlushWaiterSettings,
    IdentifyBy,
    LifecycleHandlerSettings,
    OperationWaiterSettings,
    PrometheusAuth,
    PrometheusDialect,
    ReconcileMode,
    ReconcilerSettings,
    load_settings,
)
from lifecycle.telemetry import LogEvent
from tests.support import environments
from waiters import buffer as buffer_module
from waiters import flush as flush_module
from waiters import operation as operation_module

SECRET = "hunter2"
SECRET_ARN = "arn:aws:secretsmanager:ap-northeast-1:123456789012:secret:prometheus-AbCdEf"


def problem_of(model: type[AnySettings], environment: Mapping[str, str]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(model, environment)
    return str(caught.value)


def buffer_problem(**changes: str) -> str:
    return problem_of(BufferWaiterSettings, environments.buffer_waiter(**changes))


def evidence_problem(**changes: str) -> str:
    return problem_of(EvidenceSettings, environments.evidence(**changes))


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


def test_the_optional_settings_of_prometheus_have_the_documented_defaults() -> None:
    connection = load_settings(EvidenceSettings, environments.evidence())
    assert connection.prometheus_dialect is PrometheusDialect.PROMETHEUS
    assert connection.prometheus_auth is PrometheusAuth.NONE
    settings = load_settings(BufferWaiterSettings, environments.buffer_waiter())
    assert settings.prometheus_instance_label == "instance_id"
    assert settings.prometheus_identify_by is IdentifyBy.INSTANCE_ID
    assert settings.prometheus_metric_prefix == "fluentd_output_status_"
    assert settings.prometheus_expected_buffered_outputs is None
    assert settings.prometheus_heartbeat_plugin_id is None


# Each function in a fleet with and without Cloud Map, and what it needs there beside what it
# always needs. Of the stages that may come next, these have the buffer stage only.
NEEDS = [
    pytest.param(
        LifecycleHandlerSettings,
        environments.lifecycle_handler(),
        {"LAUNCH_HOOK_NAME", "CLOUD_MAP_PORT", "OPERATION_QUEUE_URL"},
        id="handler",
    ),
    pytest.param(
        LifecycleHandlerSettings,
        environments.without_cloud_map(
            environments.lifecycle_handler(), BUFFER_QUEUE_URL=environments.queue_url("buffer")
        ),
        {"BUFFER_QUEUE_URL"},
        id="handler-alone",
    ),
    pytest.param(
        ReconcilerSettings,
        {k: v for k, v in environments.reconciler().items() if k != "BUFFER_QUEUE_URL"},
        {
            "LAUNCH_HOOK_NAME",
            "CLOUD_MAP_PORT",
            "OPERATION_QUEUE_URL",
            "LAUNCH_HEARTBEAT_TIMEOUT_SECONDS",
        },
        id="reconciler",
    ),
    pytest.param(
        ReconcilerSettings,
        environments.without_cloud_map(environments.reconciler()),
        {"BUFFER_QUEUE_URL"},
        id="reconciler-alone",
    ),
    pytest.param(
        OperationWaiterSettings,
        environments.operation_waiter(),
        {"BUFFER_QUEUE_URL"},
        id="operation",
    ),
    pytest.param(
        FlushWaiterSettings,
        environments.flush_waiter(),
        {"OPERATION_QUEUE_URL", "CLOUD_MAP_PORT"},
        id="flush",
    ),
    pytest.param(
        FlushWaiterSettings,
        environments.without_cloud_map(environments.flush_waiter()),
        set(),
        id="flush-alone",
    ),
    pytest.param(
        BufferWaiterSettings,
        environments.buffer_waiter(),
        {"OPERATION_QUEUE_URL", "CLOUD_MAP_PORT"},
        id="buffer",
    ),
    pytest.param(
        BufferWaiterSettings,
        environments.without_cloud_map(environments.buffer_waiter()),
        set(),
        id="buffer-alone",
    ),
    pytest.param(EvidenceSettings, environments.evidence(), set(), id="evidence"),
]
FEWEST = {
    LifecycleHandlerSettings: 4,
    ReconcilerSettings: 7,
    OperationWaiterSettings: 10,
    FlushWaiterSettings: 12,
    BufferWaiterSettings: 15,
    EvidenceSettings: 5,
}


@pytest.mark.parametrize(("model", "environment", "needed_here"), NEEDS)
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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RECONCILE_MODE", "repair"),
        ("RECONCILE_GRACE_SECONDS", "-1"),
        ("RECONCILE_GRACE_SECONDS", "inf"),
        ("TERMINATE_HEARTBEAT_TIMEOUT_SECONDS", "0"),
        ("LAUNCH_HEARTBEAT_TIMEOUT_SECONDS", "0"),
    ],
)
def test_a_wrong_setting_of_the_reconciler_is_named_with_its_value(name: str, value: str) -> None:
    problem = problem_of(ReconcilerSettings, environments.reconciler(**{name: value}))
    assert problem.startswith(f"wrong settings: {name}: ")
    assert problem.endswith(f" (got {value!r})")


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
    """One mistake, one complaint: a person mends the first and would search for the second."""
    wrong = {name: ""}
    handler = environments.without_cloud_map(environments.lifecycle_handler(), **wrong)
    assert problem_of(LifecycleHandlerSettings, handler).count(";") == 0
    flush = environments.flush_waiter(**wrong)
    assert problem_of(FlushWaiterSettings, flush).count(";") == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FLUSH_QUEUE_URL", "flush"),
        ("FLUSH_DLQ_URL", "https://sqs/a b"),
        ("BUFFER_QUEUE_URL", ""),
        ("OPERATION_QUEUE_URL", ""),
        ("CLOUD_MAP_SERVICE_IDS", ""),
        ("TIMEOUT_SECONDS", "0"),
        ("POLL_INTERVAL_MAX_SECONDS", "14"),
        ("SETTLE_SECONDS", "-1"),
        ("SETTLE_SECONDS", "nan"),
        ("FLUSH_DOCUMENT_NAME", ""),
        ("FLUSH_COMMAND_TIMEOUT_SECONDS", "0"),
        ("FLUSH_COMMAND_TIMEOUT_SECONDS", "inf"),
        ("FLUSH_DELIVERY_TIMEOUT_SECONDS", "29"),
        ("FLUSH_DELIVERY_TIMEOUT_SECONDS", "30.5"),
        ("FLUSH_DELIVERY_TIMEOUT_SECONDS", "2592001"),
    ],
)
def test_a_wrong_setting_of_the_flush_waiter_is_named_with_its_value(name: str, value: str) -> None:
    problem = problem_of(FlushWaiterSettings, environments.flush_waiter(**{name: value}))
    assert problem.startswith(f"wrong settings: {name}: ")
    assert problem.endswith(f" (got {value!r})")


def test_nobody_has_to_let_go_of_a_fleet_without_cloud_map() -> None:
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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AUTOSCALING_GROUP_NAME", ""),
        ("POWERTOOLS_METRICS_NAMESPACE", ""),
        ("CLOUD_MAP_SERVICE_IDS", ""),
        ("OPERATION_QUEUE_URL", "operation"),
        ("BUFFER_QUEUE_URL", "https://"),
        ("BUFFER_DLQ_URL", "https://sqs/a b"),
        ("POLL_INTERVAL_SECONDS", "0"),
        ("POLL_INTERVAL_SECONDS", "43201"),
        ("POLL_INTERVAL_SECONDS", "nan"),
        ("POLL_INTERVAL_SECONDS", "15s"),
        ("POLL_INTERVAL_MAX_SECONDS", "14"),
        ("POLL_INTERVAL_MAX_SECONDS", "inf"),
        ("TIMEOUT_SECONDS", "0"),
        ("TIMEOUT_SECONDS", "inf"),
        ("TIMEOUT_SECONDS", "-5"),
        ("VISIBILITY_TIMEOUT_SECONDS", "0"),
        ("VISIBILITY_TIMEOUT_SECONDS", "43201"),
        ("TERMINATE_HEARTBEAT_TIMEOUT_SECONDS", "0"),
        ("TERMINATE_HEARTBEAT_TIMEOUT_SECONDS", "inf"),
        ("TERMINATE_HEARTBEAT_TIMEOUT_SECONDS", "an hour"),
        ("EMPTY_FOR_SECONDS", "five minutes"),
        ("EMPTY_FOR_SECONDS", "nan"),
        ("SETTLE_SECONDS", "-1"),
        ("SETTLE_SECONDS", "inf"),
        ("EVIDENCE_FUNCTION_NAME", ""),
        ("EVIDENCE_TIMEOUT_SECONDS", "0"),
        ("EVIDENCE_TIMEOUT_SECONDS", "inf"),
        ("PROMETHEUS_SCRAPE_INTERVAL_SECONDS", "0"),
        ("PROMETHEUS_SCRAPE_INTERVAL_SECONDS", "101"),
        ("PROMETHEUS_INSTANCE_LABEL", "instance-id"),
        ("PROMETHEUS_INSTANCE_LABEL", 'a="b",c'),
        ("PROMETHEUS_INSTANCE_LABEL", "instance_id\n"),
        ("PROMETHEUS_IDENTIFY_BY", "hostname"),
        ("PROMETHEUS_METRIC_PREFIX", "fluentd-"),
        ("PROMETHEUS_METRIC_PREFIX", 'x"}'),
        ("PROMETHEUS_METRIC_PREFIX", ""),
        ("PROMETHEUS_EXPECTED_BUFFERED_OUTPUTS", "0"),
        ("PROMETHEUS_EXPECTED_BUFFERED_OUTPUTS", "2.5"),
        ("PROMETHEUS_HEARTBEAT_PLUGIN_ID", ""),
    ],
)
def test_a_wrong_setting_is_named_with_its_value(name: str, value: str) -> None:
    problem = buffer_problem(**{name: value})
    assert problem.startswith(f"wrong settings: {name}: ")
    assert problem.endswith(f" (got {value!r})")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PROMETHEUS_URL", "prometheus:9090"),
        ("PROMETHEUS_URL", "ftp://prometheus"),
        ("PROMETHEUS_URL", "http://"),
        ("PROMETHEUS_URL", "http://prometheus:port"),
        ("PROMETHEUS_URL", "http://prometheus:0"),
        ("PROMETHEUS_URL", "http://prometheus:65536"),
        ("PROMETHEUS_URL", "http://prometheus\n"),
        ("PROMETHEUS_URL", " http://prometheus"),
        ("PROMETHEUS_URL", "http://prome theus"),
        ("PROMETHEUS_REQUEST_TIMEOUT_SECONDS", "0"),
        ("PROMETHEUS_DIALECT", "Thanos"),
        ("PROMETHEUS_DIALECT", ""),
        ("PROMETHEUS_AUTH", "kerberos"),
        ("PROMETHEUS_CREDENTIALS_ARN", ""),
    ],
)
def test_a_wrong_setting_of_the_evidence_function_is_named_with_its_value(
    name: str, value: str
) -> None:
    problem = evidence_problem(**{name: value})
    assert problem.startswith(f"wrong settings: {name}: ")
    assert problem.endswith(f" (got {value!r})")


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


def test_what_two_settings_are_to_each_other_is_reported_beside_everything_else() -> None:
    problem = buffer_problem(
        TIMEOUT_SECONDS="soon",
        POLL_INTERVAL_MAX_SECONDS="10",
        EMPTY_FOR_SECONDS="44",
        PROMETHEUS_IDENTIFY_BY="luck",
    )
    for part in (
        "TIMEOUT_SECONDS: Input should be a valid number",
        "POLL_INTERVAL_MAX_SECONDS: must not be smaller than POLL_INTERVAL_SECONDS",
        "EMPTY_FOR_SECONDS must be at least 3 times as long",
        "PROMETHEUS_IDENTIFY_BY: Input should be 'instance_id' or 'private_ip_address'",
    ):
        assert part in problem
    assert problem.count(";") == 3


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_authentication_with_a_secret_needs_its_arn(auth: str) -> None:
    assert evidence_problem(PROMETHEUS_AUTH=auth) == (
        f"wrong settings: PROMETHEUS_CREDENTIALS_ARN: is missing; PROMETHEUS_AUTH={auth} "
        "needs the ARN of a secret or a parameter"
    )
    settings = load_settings(
        EvidenceSettings,
        environments.evidence(PROMETHEUS_AUTH=auth, PROMETHEUS_CREDENTIALS_ARN=SECRET_ARN),
    )
    assert settings.prometheus_credentials_arn == SECRET_ARN


def test_signing_requests_needs_a_region() -> None:
    assert evidence_problem(PROMETHEUS_AUTH="sigv4") == (
        "wrong settings: PROMETHEUS_REGION: is missing; PROMETHEUS_AUTH=sigv4 needs it"
    )
    settings = load_settings(
        EvidenceSettings,
        environments.evidence(PROMETHEUS_AUTH="sigv4", PROMETHEUS_REGION="eu-west-1"),
    )
    assert settings.prometheus_region == "eu-west-1"


def test_three_scrapes_are_the_shortest_window() -> None:
    shortest = environments.buffer_waiter(EMPTY_FOR_SECONDS="45")
    assert load_settings(BufferWaiterSettings, shortest).empty_for_seconds == 45


@pytest.mark.parametrize(
    "url",
    [
        f"http://grafana:{SECRET}@prometheus:9090",
        f"ftp://grafana:{SECRET}@prometheus:9090",
        f"http://grafana:{SECRET}@[::1",
        f"http://grafana:{SECRET}@",
        f"http://grafana:{SECRET}@prometheus:nine",
        f"http://{SECRET}@prometheus",
        f"http://:{SECRET}@prometheus",
        f"grafana:{SECRET}@prometheus",
        f"http://prometheus/?token={SECRET}",
        f"http://prometheus/#{SECRET}",
        f"http://prometheus:nine/?token={SECRET}",
    ],
)
def test_a_password_in_a_url_is_refused_and_not_printed(url: str) -> None:
    problem = evidence_problem(PROMETHEUS_URL=url)
    assert "PROMETHEUS_URL: " in problem
    assert SECRET not in problem


@pytest.mark.parametrize("user", ["http://@prometheus", "http://:@prometheus"])
def test_even_an_empty_user_in_a_url_is_refused(user: str) -> None:
    assert "must not hold credentials" in evidence_problem(PROMETHEUS_URL=user)


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("http://prometheus:9090/", "http://prometheus:9090"),
        ("https://prometheus.example/team/", "https://prometheus.example/team"),
        ("http://[fd00::1]:9090", "http://[fd00::1]:9090"),
        (
            "https://aps-workspaces.ap-northeast-1.amazonaws.com/workspaces/ws-0a1b",
            "https://aps-workspaces.ap-northeast-1.amazonaws.com/workspaces/ws-0a1b",
        ),
    ],
)
def test_the_address_of_prometheus_may_have_a_port_and_a_path(url: str, kept: str) -> None:
    environment = environments.evidence(PROMETHEUS_URL=url)
    assert load_settings(EvidenceSettings, environment).prometheus_url == kept


def test_variables_of_others_are_nobodys_problem() -> None:
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


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize(
    ("wire", "broken"),
    [
        (
            handler_module.wire,
            environments.lifecycle_handler(CLOUD_MAP_PORT="x", OPERATION_QUEUE_URL="y"),
        ),
        (
            reconcile_module.wire,
            environments.reconciler(RECONCILE_MODE="x", RECONCILE_GRACE_SECONDS="y"),
        ),
        (
            operation_module.wire,
            environments.operation_waiter(CLOUD_MAP_PORT="x", TIMEOUT_SECONDS="y"),
        ),
        (
            flush_module.wire,
            environments.flush_waiter(FLUSH_DELIVERY_TIMEOUT_SECONDS="x", TIMEOUT_SECONDS="y"),
        ),
        (
            buffer_module.wire,
            environments.buffer_waiter(EVIDENCE_TIMEOUT_SECONDS="x", TIMEOUT_SECONDS="y"),
        ),
        (
            evidence_module.wire,
            environments.evidence(PROMETHEUS_URL="x", PROMETHEUS_REQUEST_TIMEOUT_SECONDS="y"),
        ),
    ],
)
def test_a_misconfigured_function_fails_at_once_with_all_problems_in_one_log_line(
    wire: Callable[[Mapping[str, str]], object],
    broken: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        wire(broken)
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
    vars(module)["_wired"].cache_clear()
    with pytest.raises(ConfigurationError, match="FLUSH_QUEUE_URL"):
        vars(module)["handler"]({"Records": []}, None)
    assert capsys.readouterr().out.count(LogEvent.CONFIGURATION_INVALID) == 1
