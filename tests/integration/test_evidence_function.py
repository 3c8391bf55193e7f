"""The evidence function beside AWS: what it calls there, and what becomes of a drain without it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from handlers import evidence
from lifecycle.telemetry import LogEvent
from tests.support import environments
from tests.support.fleet import EMPTY
from tests.support.functions import Invoking
from tests.support.messages import INSTANCE_ID
from tests.support.pipeline import Pipeline
from tests.support.prometheus_server import Exchange, PrometheusServer, prometheus_server

SECRET = "hunter2-hunter2"
SECRET_ARN = "arn:aws:secretsmanager:ap-northeast-1:123456789012:secret:prometheus-AbCdEf"
PARAMETER_ARN = "arn:aws:ssm:ap-northeast-1:123456789012:parameter/prometheus"
QUESTION = {
    "version": 1,
    "instances": {INSTANCE_ID: {"label_value": INSTANCE_ID, "deregistered_at": 1}},
    "instance_label": "instance_id",
    "rules": {"empty_for_seconds": 300, "settle_seconds": 75, "scrape_interval_seconds": 15},
}
TOKEN = json.dumps({"token": SECRET})
USER = json.dumps({"username": "lambda", "password": SECRET})


class Recorder:
    """In place of AWS: every call of any service arrives here."""

    def __init__(self, server: PrometheusServer) -> None:
        self._server = server
        server.answers(self._answer)

    def _answer(self, exchange: Exchange) -> None:
        said = {"SecretString": TOKEN, "Parameter": {"Value": USER}}
        exchange.reply(200, json.dumps(said).encode())

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def calls(self) -> list[str | None]:
        return [request.header("X-Amz-Target") for request in self._server.received]


@pytest.fixture
def aws() -> Iterator[Recorder]:
    with prometheus_server() as server:
        yield Recorder(server)


@pytest.fixture
def prometheus() -> Iterator[PrometheusServer]:
    with prometheus_server() as server:
        yield server


@pytest.mark.parametrize(
    ("settings", "calls"),
    [
        ({}, []),
        ({"PROMETHEUS_AUTH": "sigv4", "PROMETHEUS_REGION": "eu-west-1"}, []),
        (
            {"PROMETHEUS_AUTH": "bearer", "PROMETHEUS_CREDENTIALS_ARN": SECRET_ARN},
            ["secretsmanager.GetSecretValue"],
        ),
        (
            {"PROMETHEUS_AUTH": "basic", "PROMETHEUS_CREDENTIALS_ARN": PARAMETER_ARN},
            ["AmazonSSM.GetParameter"],
        ),
    ],
    ids=["none", "sigv4", "a secret", "a parameter"],
)
def test_it_reads_its_one_secret_and_calls_nothing_else_of_aws(
    aws: Recorder,
    prometheus: PrometheusServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    settings: dict[str, str],
    calls: list[str],
) -> None:
    environment = environments.evidence(PROMETHEUS_URL=prometheus.url, **settings)
    credentials = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": SECRET}
    region = {"AWS_DEFAULT_REGION": "ap-northeast-1", "NO_PROXY": "127.0.0.1"}
    for name, value in {**environment, **credentials, **region}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
    evidence.handler.wired.cache_clear()
    answers = [evidence.handler(QUESTION, None) for _ in range(2)]
    evidence.handler.wired.cache_clear()
    reasons = [answer["verdicts"][INSTANCE_ID]["reason"] for answer in answers]
    assert reasons == 2 * ["no_series"]
    assert len(prometheus.received) == 2
    assert aws.calls == calls
    assert SECRET not in json.dumps(answers) + capsys.readouterr().out


@pytest.mark.parametrize("invoking", [one for one in Invoking if one is not Invoking.SOUND])
def test_without_its_answer_heartbeats_go_on_and_the_instance_stays(
    pipeline: Pipeline, invoking: Invoking
) -> None:
    [instance_id] = pipeline.start_fleet(1)
    pipeline.fleet.shows(instance_id, EMPTY)
    pipeline.evidence.invoking = invoking
    pipeline.scale_to(0)
    pipeline.advance(700)  # more than twice the hook's heartbeat timeout
    assert pipeline.states() == {instance_id: "Terminating:Wait"}
    reasons: set[Any] = {line["reason"] for line in pipeline.telemetry.of(LogEvent.BUFFER_VERDICT)}
    assert reasons == {"evidence_failed"}
    pipeline.evidence.invoking = Invoking.SOUND
    pipeline.until(lambda: not pipeline.states())
