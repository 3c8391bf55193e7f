"""Prometheus credentials: fetched when first needed, kept for five minutes, never logged."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeGuard

import boto3
from aws_lambda_powertools.utilities.parameters import SecretsProvider, SSMProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.credentials import Credentials, DeferredRefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError
from requests.auth import AuthBase, HTTPBasicAuth

from lifecycle.adapters import clients
from lifecycle.adapters.prometheus_session import SigV4, without_repeats
from lifecycle.errors import PrometheusFailed
from lifecycle.settings import EvidenceSettings, PrometheusAuth

_KEPT_SECONDS = 300
_B64TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")


@dataclass(frozen=True, slots=True)
class Authentication:
    """What goes into the HTTP client."""

    auth: AuthBase | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class CredentialsSource:
    """Reads the secret or parameter that the settings name; a rotation is seen in 5 minutes."""

    def __init__(self, settings: EvidenceSettings) -> None:
        self._settings = settings
        self._secrets: SecretsProvider | None = None
        self._parameters: SSMProvider | None = None
        role_arn = settings.prometheus_role_arn
        self._role = None if role_arn is None else _credentials_of(role_arn)

    def authentication(self) -> Authentication:
        """Return what authenticates the next request.

        Raises PrometheusFailed if the secret cannot be read or has another form.
        """
        kind = self._settings.prometheus_auth
        if kind is PrometheusAuth.BASIC:
            return Authentication(auth=self._basic())
        if kind is PrometheusAuth.BEARER:
            return Authentication(headers={"Authorization": f"Bearer {self._token()}"})
        if kind is PrometheusAuth.SIGV4:
            return Authentication(
                auth=SigV4(self._signing_credentials, self._settings.prometheus_region or "")
            )
        return Authentication()

    def _signing_credentials(self) -> Credentials:
        return _own_credentials() if self._role is None else self._role

    def _basic(self) -> HTTPBasicAuth:
        members = _members(self._secret())
        username, password = members.get("username"), members.get("password")
        # RFC 7617: a colon ends the user name, and neither has control characters.
        if not (_is_printable(username) and ":" not in username):
            raise self._malformed('"username" must be text of printable characters, no colon')
        if not _is_printable(password):
            raise self._malformed('"password" must be text of printable characters')
        # As UTF-8 (RFC 7617), since requests would write text as Latin-1.
        return HTTPBasicAuth(username.encode(), password.encode())

    def _token(self) -> str:
        secret = self._secret()
        members = _members(secret)
        token = next(iter(members.values())) if len(members) == 1 else secret
        token = token.strip() if isinstance(token, str) else ""
        # An HTTP client that refuses a header prints it.
        if not _is_token(token):
            raise self._malformed(
                "it must hold one token (letters, digits and -._~+/, then =, as RFC 6750 has it): "
                "the token itself, or a JSON object with it as the only member"
            )
        return token

    def _malformed(self, problem: str) -> PrometheusFailed:
        """Say what is wrong; the value is never shown, nor an error that would show it."""
        return PrometheusFailed(f"{self._settings.prometheus_credentials_arn}: {problem}")

    def _secret(self) -> str:
        arn = self._settings.prometheus_credentials_arn or ""
        try:
            value = self._parameter(arn) if ":ssm:" in arn else self._secret_manager_value(arn)
        except GetParameterError as error:
            raise PrometheusFailed(f"cannot read {arn}: {error}") from error
        if not isinstance(value, str) or not value:
            raise PrometheusFailed(f"{arn} must hold text")
        return value

    def _parameter(self, arn: str) -> object:
        if self._parameters is None:
            self._parameters = SSMProvider(boto3_client=clients.ssm())
        return self._parameters.get(arn, max_age=_KEPT_SECONDS, decrypt=True)

    def _secret_manager_value(self, arn: str) -> object:
        if self._secrets is None:
            self._secrets = SecretsProvider(boto3_client=clients.secretsmanager())
        return self._secrets.get(arn, max_age=_KEPT_SECONDS)


def _members(secret: str) -> dict[str, object]:
    """Return the members of a JSON object, none if it is none, or names one of them twice."""
    try:
        members = json.loads(secret, object_pairs_hook=without_repeats)
    except (ValueError, RecursionError):
        return {}
    return members if isinstance(members, dict) else {}


def _is_token(text: str) -> bool:
    return _B64TOKEN.fullmatch(text) is not None


def _is_printable(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value.isprintable()


def _own_credentials() -> Credentials:
    credentials = boto3.Session().get_credentials()
    if credentials is None:
        raise PrometheusFailed("the function has no AWS credentials to sign with")
    return credentials


def _credentials_of(role_arn: str) -> Credentials:
    """Return the credentials of another role, assumed when first needed and before they expire."""

    def assume() -> dict[str, object]:
        try:
            answer = clients.sts().assume_role(
                RoleArn=role_arn, RoleSessionName="fluentd-lifecycle"
            )
        except (BotoCoreError, ClientError) as error:
            raise PrometheusFailed(f"cannot assume {role_arn}: {error}") from error
        assumed = answer["Credentials"]
        return {
            "access_key": assumed["AccessKeyId"],
            "secret_key": assumed["SecretAccessKey"],
            "token": assumed["SessionToken"],
            "expiry_time": assumed["Expiration"].isoformat(),
        }

    return DeferredRefreshableCredentials(assume, "assume-role")
