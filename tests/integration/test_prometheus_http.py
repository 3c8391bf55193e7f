"""Prometheus over real HTTP: whatever it answers, no instance is released and no batch crashes."""

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from lifecycle.adapters.prometheus_session import ATTEMPTS
from lifecycle.telemetry import LogEvent
from tests.support.fleet import EMPTY
from tests.support.messages import buffer_check, record, sqs_event
from tests.support.pipeline import Pipeline
from tests.support.prometheus_server import (
    Answer,
    Exchange,
    PrometheusServer,
    matrix,
    prometheus_server,
    text,
)
from tests.support.queues import REGION
from tests.support.sigv4 import signature_is_right, signed_scope

INSTANCE_IDS = ["i-00000001", "i-00000002", "i-00000003"]
LOGIN_PAGE = "<!doctype html><html><body>Sign in to Grafana</body></html>"
SECRET = "hunter2-hunter2"


@pytest.fixture
def prometheus() -> Iterator[PrometheusServer]:
    with prometheus_server() as server:
        yield server


def check(pipeline: Pipeline, url: str, **settings: Any) -> list[str]:
    """Let the buffer waiter check a batch of three; returns the messages that come back."""
    pipeline.wire(PROMETHEUS_URL=url, **{"PROMETHEUS_REQUEST_TIMEOUT_SECONDS": "60", **settings})
    now = pipeline.clock()
    records = [
        record(buffer_check(instance_id=one, started_at=now), message_id=one, sent_at=now)
        for one in INSTANCE_IDS
    ]
    answer = pipeline.buffer.handle(sqs_event(*records))
    return [str(item["itemIdentifier"]) for item in answer["batchItemFailures"]]


def verdicts(pipeline: Pipeline) -> list[tuple[str, str]]:
    return [
        (str(line["verdict"]), str(line["reason"]))
        for line in pipeline.telemetry.of(LogEvent.BUFFER_VERDICT)
    ]


def truncated(exchange: Exchange) -> None:
    exchange.send_response(200)
    exchange.send_header("Content-Length", "1000")
    exchange.end_headers()
    exchange.wfile.write(b'{"status":"success","data":{"resultType":"matrix","result":[')


def hangs_up(exchange: Exchange) -> None:
    exchange.connection.shutdown(socket.SHUT_RDWR)
    exchange.close_connection = True


def login(exchange: Exchange) -> None:
    """Send everybody to a login page, which says 200."""
    if exchange.path.startswith("/login"):
        exchange.reply(200, LOGIN_PAGE.encode(), "text/html")
    else:
        exchange.reply(302, b"", Location="/login")


ONCE: dict[str, Answer] = {
    "404": text(404, "404 page not found", "text/plain"),
    "422 of a query that is too large": text(
        422, '{"status":"error","errorType":"execution","error":"too many samples"}'
    ),
    "200 with HTML": text(200, LOGIN_PAGE, "text/html"),
    "200 with half a JSON": text(200, '{"status":"success","data":{"result":['),
    "a part of an answer": text(
        206, '{"status":"success","data":{"resultType":"matrix","result":[]}}'
    ),
}
AGAIN = [408, 429, 500, 502, 503, 504]


@pytest.mark.parametrize("answer", ONCE)
def test_an_answer_that_is_none_is_unknown_for_the_whole_batch_after_one_request(
    pipeline: Pipeline, prometheus: PrometheusServer, answer: str
) -> None:
    prometheus.answers(ONCE[answer])
    assert check(pipeline, prometheus.url) == INSTANCE_IDS
    assert verdicts(pipeline) == 3 * [("UNKNOWN", "prometheus_failed")]
    assert len(prometheus.received) == 1
    line = pipeline.telemetry.the(LogEvent.PROMETHEUS_FAILED)
    assert (line.level, len(str(line["reason"])) < 600) == ("ERROR", True)


@pytest.mark.parametrize("status", AGAIN)
def test_an_error_that_may_pass_is_asked_about_once_more_at_once_and_no_more(
    pipeline: Pipeline, prometheus: PrometheusServer, status: int
) -> None:
    prometheus.answers(text(status, "not now", "text/plain", **{"Retry-After": "60"}))
    assert check(pipeline, prometheus.url) == INSTANCE_IDS
    assert verdicts(pipeline) == 3 * [("UNKNOWN", "prometheus_failed")]
    assert len(prometheus.received) == ATTEMPTS == 2


def test_an_error_that_passed_is_forgotten(
    pipeline: Pipeline, prometheus: PrometheusServer
) -> None:
    def once(exchange: Exchange) -> None:
        prometheus.answers(matrix([]))
        exchange.reply(503, b"starting")

    prometheus.answers(once)
    assert check(pipeline, prometheus.url) == INSTANCE_IDS
    assert verdicts(pipeline) == 3 * [("UNKNOWN", "no_series")]


def test_thanos_is_asked_for_a_whole_answer_or_none(
    pipeline: Pipeline, prometheus: PrometheusServer
) -> None:
    check(pipeline, prometheus.url)
    check(pipeline, prometheus.url, PROMETHEUS_DIALECT="thanos")
    asked = ["partial_response=false" in request.target for request in prometheus.received]
    assert asked == [False, True]


def test_a_redirect_to_another_host_does_not_take_the_credentials_along(
    pipeline: Pipeline, prometheus: PrometheusServer
) -> None:
    with prometheus_server() as stranger:
        elsewhere = stranger.url.replace("127.0.0.1", "localhost")
        prometheus.answers(text(302, "", Location=f"{elsewhere}/login"))
        check(
            pipeline,
            prometheus.url,
            PROMETHEUS_AUTH="bearer",
            PROMETHEUS_CREDENTIALS_ARN=pipeline.secret("prometheus", SECRET),
        )
        assert prometheus.received[0].header("Authorization") == f"Bearer {SECRET}"
        assert all(SECRET not in str(request.headers) for request in stranger.received)


def test_a_prometheus_that_does_not_answer_costs_no_more_than_its_timeouts(
    pipeline: Pipeline, prometheus: PrometheusServer
) -> None:
    prometheus.answers(prometheus.never)
    brief = {"PROMETHEUS_REQUEST_TIMEOUT_SECONDS": "0.3"}
    assert check(pipeline, prometheus.url, **brief) == INSTANCE_IDS
    assert verdicts(pipeline) == 3 * [("UNKNOWN", "prometheus_failed")]
    assert "timed out" in str(pipeline.telemetry.the(LogEvent.PROMETHEUS_FAILED)["reason"])
    assert len(prometheus.received) == ATTEMPTS


@pytest.mark.parametrize("answer", [truncated, hangs_up, login])
def test_a_connection_that_breaks_or_leads_to_a_login_page_is_unknown_for_everybody(
    pipeline: Pipeline, prometheus: PrometheusServer, answer: Answer
) -> None:
    prometheus.answers(answer)
    assert check(pipeline, prometheus.url) == INSTANCE_IDS
    assert verdicts(pipeline) == 3 * [("UNKNOWN", "prometheus_failed")]


def test_a_prometheus_that_is_down_is_unknown_for_everybody(pipeline: Pipeline) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        assert check(pipeline, f"http://127.0.0.1:{port}") == INSTANCE_IDS
    assert verdicts(pipeline) == 3 * [("UNKNOWN", "prometheus_failed")]


def test_a_whole_drain_works_over_http_with_one_request_a_batch(
    pipeline: Pipeline, prometheus: PrometheusServer
) -> None:
    def answer(exchange: Exchange) -> None:
        matrix(ask_fleet(pipeline, prometheus))(exchange)

    prometheus.answers(answer)
    pipeline.wire(PROMETHEUS_URL=prometheus.url + "/team/")
    instance_ids = pipeline.start_fleet(3)
    for instance_id in instance_ids:
        pipeline.fleet.shows(instance_id, EMPTY)
    pipeline.scale_to(0)
    pipeline.until(lambda: not pipeline.states())
    assert len(prometheus.received) == len(pipeline.batches)
    assert {request.method for request in prometheus.received} == {"POST"}
    paths = {request.target.partition("?")[0] for request in prometheus.received}
    assert paths == {"/team/api/v1/query"}
    assert all(instance_id[2:] in prometheus.queries()[0] for instance_id in instance_ids)


def ask_fleet(pipeline: Pipeline, prometheus: PrometheusServer) -> list[Any]:
    result: list[Any] = pipeline.fleet.custom_query(
        prometheus.queries()[-1], {"time": str(pipeline.clock())}
    )
    return result


class TestAuthentication:
    def test_a_bearer_token_comes_from_parameter_store(
        self, pipeline: Pipeline, prometheus: PrometheusServer
    ) -> None:
        arn = pipeline.parameter("prometheus", SECRET)
        check(pipeline, prometheus.url, PROMETHEUS_AUTH="bearer", PROMETHEUS_CREDENTIALS_ARN=arn)
        assert prometheus.received[0].header("Authorization") == f"Bearer {SECRET}"

    def test_signed_requests_arrive_as_they_were_signed(
        self, pipeline: Pipeline, prometheus: PrometheusServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        monkeypatch.setenv("AWS_SESSION_TOKEN", "session-token")
        check(
            pipeline,
            prometheus.url + "/workspaces/ws-1",
            PROMETHEUS_AUTH="sigv4",
            PROMETHEUS_REGION="eu-west-1",
        )
        [request] = prometheus.received
        assert signed_scope(request) == ("AKIDEXAMPLE", "eu-west-1", "aps")
        assert signature_is_right(request, SECRET)
        assert request.header("X-Amz-Security-Token") == "session-token"
        assert verdicts(pipeline) == 3 * [("UNKNOWN", "no_series")]

    @pytest.mark.parametrize("auth", ["basic", "bearer"])
    def test_without_its_secret_nothing_is_asked_and_none_released(
        self, pipeline: Pipeline, prometheus: PrometheusServer, auth: str
    ) -> None:
        arn = f"arn:aws:secretsmanager:{REGION}:123456789012:secret:no-such-secret"
        returned = check(
            pipeline, prometheus.url, PROMETHEUS_AUTH=auth, PROMETHEUS_CREDENTIALS_ARN=arn
        )
        assert returned == INSTANCE_IDS
        assert prometheus.received == []
        assert verdicts(pipeline) == 3 * [("UNKNOWN", "prometheus_failed")]
        assert arn in str(pipeline.telemetry.the(LogEvent.PROMETHEUS_FAILED)["reason"])


def test_a_tenant_s_header_and_the_method_are_those_of_the_settings(
    pipeline: Pipeline, prometheus: PrometheusServer
) -> None:
    headers = json.dumps({"X-Scope-OrgID": "logs"})
    check(pipeline, prometheus.url, PROMETHEUS_METHOD="GET", PROMETHEUS_HEADERS=headers)
    check(pipeline, prometheus.url)
    asked = [(one.method, one.headers.get("X-Scope-OrgID")) for one in prometheus.received]
    assert asked == [("GET", "logs"), ("POST", None)]


def test_a_server_of_a_private_authority_is_asked_if_that_is_trusted_and_not_otherwise(
    pipeline: Pipeline, prometheus: PrometheusServer, tmp_path: Path
) -> None:
    own, others = (self_signed(tmp_path / name) for name in ("own.pem", "others.pem"))
    prometheus.serve_https(tmp_path / "own.pem")
    for trusted in ({"PROMETHEUS_CA_CERTIFICATES": others}, {}):
        assert check(pipeline, prometheus.url, **trusted) == INSTANCE_IDS
        failed = str(pipeline.telemetry.of(LogEvent.PROMETHEUS_FAILED)[-1]["reason"])
        assert "certificate verify failed" in failed
    assert prometheus.received == []
    for certificates in (own, others + own):
        check(pipeline, prometheus.url, PROMETHEUS_CA_CERTIFICATES=certificates)
    assert len(prometheus.received) == 2
    assert verdicts(pipeline)[-1] == ("UNKNOWN", "no_series")


def self_signed(path: Path) -> str:
    """Write a key and a certificate for 127.0.0.1; returns the certificate, which is its own CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, path.stem)])
    now = datetime.now(UTC)
    address = x509.IPAddress(ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + certificate)
    return certificate.decode()
