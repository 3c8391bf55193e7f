"""Prometheus credentials: fetched when first needed, kept for five minutes, never logged."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import boto3
from aws_lambda_powertools.utilities.parameters import SecretsProvider, SSMProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.credentials import Credentials
from requests.auth import AuthBase, HTTPBasicAuth

from lifecycle.adapters import clients
from lifecycle.adapters.prometheus import SigV4
from lifecycle.errors import PrometheusFailed
from lifecycle.settings import BufferWaiterSettings, PrometheusAuth

_KEPT_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Authentication:
    """What goes into the HTTP client."""

    auth: AuthBase | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class CredentialsSource:
    """Reads the secret or parameter that the settings name; a rotation is seen in 5 minutes."""

    def __init__(self, settings: BufferWaiterSettings) -> None:
        self._settings = settings
        self._secrets: SecretsProvider | None = None
        self._parameters: SSMProvider | None = None

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
                auth=SigV4(_own_credentials, self._settings.prometheus_region or "")
            )
        return Authentication()

    def _basic(self) -> HTTPBasicAuth:
        try:
            secret = json.loads(self._secret())
            # As UTF-8 (RFC 7617), since requests would write text as Latin-1; a value that is no
            # text has no `encode`.
            return HTTPBasicAuth(secret["username"].encode(), secret["password"].encode())
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            # The cause would print the secret.
            raise PrometheusFailed(
                f"{self._settings.prometheus_credentials_arn} must hold JSON with the texts "
                '"username" and "password"'
            ) from None

    def _token(self) -> str:
        token = self._secret().strip()
        # An HTTP client that refuses a header prints it.
        if not re.fullmatch(r"[\x21-\x7e]+", token):
            raise PrometheusFailed(
                f"{self._settings.prometheus_credentials_arn} must hold one token, in visible ASCII"
            )
        return token

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


def _own_credentials() -> Credentials:
    credentials = boto3.Session().get_credentials()
    if credentials is None:
        raise PrometheusFailed("the function has no AWS credentials to sign with")
    return credentials
