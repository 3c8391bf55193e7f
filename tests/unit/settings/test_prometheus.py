"""Settings for Prometheus: the evidence function's address and credentials, the waiter's window."""

import pytest

from lifecycle.settings import (
    BufferWaiterSettings,
    EvidenceSettings,
    IdentifyBy,
    PrometheusAuth,
    PrometheusDialect,
    load_settings,
)
from tests.support import environments
from tests.support.problems import buffer_problem, evidence_problem

SECRET = "hunter2"


SECRET_ARN = "arn:aws:secretsmanager:ap-northeast-1:123456789012:secret:prometheus-AbCdEf"


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
