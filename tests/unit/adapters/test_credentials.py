"""Credentials for Prometheus: read where the ARN says, put where HTTP wants them, never printed."""

import json
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import boto3
import pytest
import requests
from aws_lambda_powertools.utilities.parameters import base as powertools_base
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.adapters import clients
from lifecycle.adapters.credentials import Authentication, CredentialsSource
from lifecycle.adapters.prometheus_session import SigV4
from lifecycle.errors import PrometheusFailed
from lifecycle.settings import EvidenceSettings, load_settings
from tests.support import environments
from tests.support.scripted import aws_error, scripted

SECRET = "hunter2-hunter2"
SECRET_ARN = "arn:aws:secretsmanager:ap-northeast-1:123456789012:secret:prometheus-AbCdEf"
PARAMETER_ARN = "arn:aws:ssm:ap-northeast-1:123456789012:parameter/prometheus"


def source(auth: str, arn: str = SECRET_ARN) -> CredentialsSource:
    environment = environments.evidence(
        PROMETHEUS_AUTH=auth, PROMETHEUS_CREDENTIALS_ARN=arn, PROMETHEUS_REGION="ap-northeast-1"
    )
    return CredentialsSource(load_settings(EvidenceSettings, environment))


def authorization(authentication: Authentication) -> str | None:
    """The header that a request ends up with."""
    request = requests.Request(
        "POST",
        "http://prometheus/api/v1/query",
        auth=authentication.auth,
        headers=dict(authentication.headers),
    ).prepare()
    return request.headers.get("Authorization")


class Stores:
    """What Secrets Manager and Parameter Store answer, and what they were asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.secrets: Any = None
        self.parameters: Any = None

    def hold(self, secret: Any = None, parameter: Any = None) -> None:
        if not isinstance(secret, Exception):
            kind = "SecretBinary" if isinstance(secret, bytes) else "SecretString"
            secret = {kind: secret}
        self.secrets = scripted(get_secret_value=secret)
        self.parameters = scripted(get_parameter={"Parameter": {"Value": parameter}})
        self._monkeypatch.setattr(clients, "secretsmanager", lambda: self.secrets)
        self._monkeypatch.setattr(clients, "ssm", lambda: self.parameters)


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> Stores:
    return Stores(monkeypatch)


def failure(auth: str) -> str:
    with pytest.raises(PrometheusFailed) as caught:
        source(auth).authentication()
    # Whatever caused it must not print the secret either.
    assert caught.value.__cause__ is None or SECRET not in str(caught.value.__cause__)
    return str(caught.value)


def test_no_authentication_reads_no_secret_and_sends_no_header(stores: Stores) -> None:
    stores.hold(AssertionError("must not be asked"))
    assert authorization(source("none").authentication()) is None


def test_basic_authentication_sends_user_and_password(stores: Stores) -> None:
    stores.hold(json.dumps({"username": "Aladdin", "password": "open sesame", "more": 1}))
    # The example of RFC 7617.
    assert authorization(source("basic").authentication()) == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="


def test_a_password_of_any_script_is_sent_as_utf_8(stores: Stores) -> None:
    stores.hold(json.dumps({"username": "test", "password": "123\u00a3"}))
    # RFC 7617, section 2.1, for a server that asks for UTF-8.
    assert authorization(source("basic").authentication()) == "Basic dGVzdDoxMjPCow=="


@pytest.mark.parametrize("token", [SECRET, f"{SECRET}\n", f"  {SECRET}\r\n"])
def test_a_bearer_token_is_sent_without_the_blanks_around_it(stores: Stores, token: str) -> None:
    stores.hold(token)
    assert authorization(source("bearer").authentication()) == f"Bearer {SECRET}"


@pytest.mark.parametrize("name", ["token", "value", "hunter"])
def test_a_bearer_token_may_be_the_only_member_of_a_json_object(stores: Stores, name: str) -> None:
    stores.hold(json.dumps({name: f"{SECRET}=="}))
    assert authorization(source("bearer").authentication()) == f"Bearer {SECRET}=="


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
def test_the_arn_says_which_store_to_ask_in_every_partition(stores: Stores, partition: str) -> None:
    stores.hold("from-the-secret", "from-the-parameter")
    secret_arn = SECRET_ARN.replace("arn:aws:", f"arn:{partition}:")
    parameter_arn = PARAMETER_ARN.replace("arn:aws:", f"arn:{partition}:")
    assert authorization(source("bearer", secret_arn).authentication()) == "Bearer from-the-secret"
    assert (
        authorization(source("bearer", parameter_arn).authentication())
        == "Bearer from-the-parameter"
    )
    assert stores.secrets.calls == [("get_secret_value", {"SecretId": secret_arn})]
    assert stores.parameters.calls == [
        ("get_parameter", {"Name": parameter_arn, "WithDecryption": True})
    ]


def test_a_secret_is_read_once_in_five_minutes_not_once_a_batch(stores: Stores) -> None:
    stores.hold(SECRET, SECRET)
    for reader in (source("bearer", SECRET_ARN), source("bearer", PARAMETER_ARN)):
        for _ in range(3):
            reader.authentication()
    assert (len(stores.secrets.calls), len(stores.parameters.calls)) == (1, 1)


def test_a_rotated_secret_is_seen_after_five_minutes(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Later":
            return cls.fromtimestamp(datetime.now(tz).timestamp() + 301, tz)

    stores.hold("old", "old")
    readers = [source("bearer", arn) for arn in (SECRET_ARN, PARAMETER_ARN)]
    for reader in readers:
        reader.authentication()
    # The sources keep their clients, so that the rotation happens in these.
    stores.secrets._answers["get_secret_value"] = [{"SecretString": "new"}]
    stores.parameters._answers["get_parameter"] = [{"Parameter": {"Value": "new"}}]
    assert {authorization(reader.authentication()) for reader in readers} == {"Bearer old"}
    # Powertools asks no other clock, and takes none.
    monkeypatch.setattr(powertools_base, "datetime", Later)
    assert {authorization(reader.authentication()) for reader in readers} == {"Bearer new"}


ROLE_ARN = "arn:aws:iam::210987654321:role/query-prometheus"


def of_role() -> CredentialsSource:
    environment = environments.evidence(
        PROMETHEUS_AUTH="sigv4", PROMETHEUS_REGION="eu-west-1", PROMETHEUS_ROLE_ARN=ROLE_ARN
    )
    return CredentialsSource(load_settings(EvidenceSettings, environment))


def assumed(key: str, expires: datetime) -> dict[str, Any]:
    secrets = {"AccessKeyId": key, "SecretAccessKey": SECRET, "SessionToken": "token"}
    return {"Credentials": {**secrets, "Expiration": expires}}


def test_another_account_s_workspace_is_asked_as_its_role_which_is_assumed_again_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    soon, later = (datetime.now(UTC) + timedelta(minutes=n) for n in (5, 60))
    sts = scripted(assume_role=[assumed("FIRST", soon), assumed("SECOND", later)])
    monkeypatch.setattr(clients, "sts", lambda: sts)
    reader = of_role()
    assert sts.calls == []
    for key in ("FIRST", "SECOND", "SECOND"):
        assert f"Credential={key}/" in (authorization(reader.authentication()) or "")
    assert [asked["RoleArn"] for asked in sts.arguments_of("assume_role")] == [ROLE_ARN] * 2


def test_a_role_that_may_not_be_assumed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    sts = scripted(assume_role=aws_error("AccessDenied", "not authorized"))
    monkeypatch.setattr(clients, "sts", lambda: sts)
    with pytest.raises(PrometheusFailed, match=f"cannot assume {ROLE_ARN}: .*not authorized"):
        authorization(of_role().authentication())


def test_nothing_is_read_before_it_is_needed(stores: Stores) -> None:
    stores.hold(SECRET)
    source("bearer")
    assert stores.secrets.calls == []


def test_a_secret_that_cannot_be_read_is_named(stores: Stores) -> None:
    stores.hold(aws_error("AccessDeniedException", "not authorized"))
    assert failure("bearer").startswith(f"cannot read {SECRET_ARN}: ")


@pytest.mark.parametrize("auth", ["basic", "bearer"])
@pytest.mark.parametrize("nothing", ["", b""])
def test_an_empty_secret_is_named(stores: Stores, auth: str, nothing: str | bytes) -> None:
    stores.hold(nothing)
    assert SECRET_ARN in failure(auth)


@pytest.mark.parametrize(
    "secret",
    [
        SECRET,
        f'{{"username": "grafana", "password": "{SECRET}"',
        json.dumps([SECRET]),
        json.dumps(SECRET),
        json.dumps(None),
        json.dumps({"username": "grafana", "passwort": SECRET}),
        json.dumps({"user": "grafana", "password": SECRET}),
        json.dumps({"username": "grafana", "password": [SECRET]}),
        json.dumps({"username": None, "password": SECRET}),
        json.dumps({"username": "grafana", "password": 12345}),
        json.dumps({"username": "grafana", "password": f"{SECRET}\ud800"}),
        json.dumps({"username": "graf:ana", "password": SECRET}),
        json.dumps({"username": "grafana", "password": f"{SECRET}\n"}),
        SECRET.encode(),
        200_000 * "[" + SECRET,
    ],
)
def test_a_malformed_secret_is_named_and_never_printed(stores: Stores, secret: str | bytes) -> None:
    stores.hold(secret)
    problem = failure("basic")
    assert SECRET_ARN in problem
    assert isinstance(secret, bytes) or '"username"' in problem or '"password"' in problem
    assert SECRET not in problem


@pytest.mark.parametrize(
    "token",
    [
        f"{SECRET}\n{SECRET}",
        f"{SECRET} {SECRET}",
        f"Bearer {SECRET}",
        f"{SECRET}\x00",
        f"{SECRET}\u2026",
        f"\ufeff{SECRET}",
        SECRET.encode(),
        " \n ",
        f"={SECRET}",
        f"{SECRET}=x",
        f'"{SECRET}"',
        f"'{SECRET}'",
        f"token:{SECRET}",
        json.dumps({"token": SECRET, "expires": "never"}),
        json.dumps({"token": {"value": SECRET}}),
        json.dumps({"token": [SECRET]}),
        json.dumps({"token": f"Bearer {SECRET}"}),
        json.dumps([SECRET]),
        f'{{"token": "{SECRET}", "token": "{SECRET}2"}}',
        f'{{"token": "{SECRET}"',
        "{}",
        '{"token": null}',
    ],
)
def test_a_token_that_no_header_can_hold_is_named_and_never_printed(
    stores: Stores, token: str | bytes
) -> None:
    stores.hold(token)
    problem = failure("bearer")
    assert SECRET_ARN in problem
    assert SECRET not in problem


@given(st.text() | st.binary())
def test_no_secret_is_anything_but_a_header_or_a_failure(secret: str | bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        Stores(patch).hold(secret)
        for auth in ("basic", "bearer"):
            try:
                authentication = source(auth).authentication()
            except PrometheusFailed:
                continue
            value = authorization(authentication)
            assert value is not None
            assert value.isascii()
            assert value.isprintable()


def test_sigv4_signs_with_the_functions_own_credentials(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores.hold(AssertionError("must not be asked"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    authentication = source("sigv4").authentication()
    assert isinstance(authentication.auth, SigV4)
    value = authorization(authentication) or ""
    assert value.startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert "/ap-northeast-1/aps/aws4_request" in value


def test_a_function_without_credentials_cannot_sign_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class NoCredentials:
        def get_credentials(self) -> Credentials | None:
            return None

    monkeypatch.setattr(boto3, "Session", NoCredentials)
    with pytest.raises(PrometheusFailed, match="no AWS credentials"):
        authorization(source("sigv4").authentication())
