"""How to reach Prometheus, and in which words it is asked."""

import ssl
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Json, StringConstraints

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class PrometheusDialect(StrEnum):
    """Whose API answers, where it differs from that of Prometheus itself."""

    PROMETHEUS = "prometheus"
    THANOS = "thanos"


class PrometheusMethod(StrEnum):
    """How to ask: some proxies let nothing but GET pass, and a long GET not at all."""

    GET = "GET"
    POST = "POST"


def _fit_for_trust(certificates: str) -> str:
    try:
        ssl.create_default_context(cadata=certificates or "none")
    except (ssl.SSLError, ValueError) as error:
        raise ValueError(f"must be certificates in PEM form: {error}") from None
    return certificates


_RESERVED_HEADERS = {"authorization", "connection", "content-length", "host", "transfer-encoding"}


def _not_reserved(name: str) -> str:
    if name.lower() in _RESERVED_HEADERS or name.lower().startswith("x-amz-"):
        raise ValueError("must not name a header that authenticates or frames the request")
    return name


# RFC 9110: a token, and visible text.
_HeaderName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"),
    AfterValidator(_not_reserved),
]
_HeaderValue = Annotated[str, StringConstraints(pattern=r"^[!-~]([ !-~]*[!-~])?$")]


def _url_without_credentials(url: str) -> str:
    parts = urlsplit(url)
    port_is_wrong = parts.port == 0  # any other wrong one raises
    if parts.scheme not in {"http", "https"} or not parts.hostname or port_is_wrong:
        raise ValueError("must be an http:// or https:// address")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold credentials: set PROMETHEUS_AUTH and its secret instead")
    if set(url) & set("?#") or any(c <= " " for c in url):
        raise ValueError("must not hold a query, a fragment or blanks")
    return url.rstrip("/")


_PrometheusUrl = Annotated[str, AfterValidator(_url_without_credentials)]


class PrometheusSettings(BaseModel):
    """How to reach Prometheus."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    prometheus_url: _PrometheusUrl
    prometheus_request_timeout_seconds: Seconds
    prometheus_dialect: PrometheusDialect = PrometheusDialect.PROMETHEUS
    prometheus_method: PrometheusMethod = PrometheusMethod.POST
    prometheus_headers: Json[dict[_HeaderName, _HeaderValue]] = Field(default_factory=dict)
    prometheus_ca_certificates: Annotated[str, AfterValidator(_fit_for_trust)] | None = None
