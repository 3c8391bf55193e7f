"""Prometheus: one request a batch, for raw samples; ``buffers`` judges them.

An instant query of a range selector returns the samples as stored, so staleness look-back, gaps
and dead exporters cannot hide behind a function's result. Works with Prometheus, Thanos, Mimir
and Amazon Managed Service for Prometheus.
"""

import math
import re
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes, urlsplit

import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from requests.auth import AuthBase
from urllib3.util.retry import Retry

from lifecycle.decisions.evidence import BUFFER_METRICS, EMIT_RECORDS, NUM_ERRORS, UP, Series
from lifecycle.errors import PrometheusFailed

# One retry, for a connection that was cut; the queue does the rest. Terraform counts both
# attempts into the function's timeout.
ATTEMPTS = 2
CONNECT_SECONDS = 3.0
_LONGEST_ERROR = 400
_SHORTEST_SECRET = 8  # anything shorter is in every answer by chance
_RETRY = Retry(
    total=ATTEMPTS - 1,
    backoff_factor=0.5,
    status_forcelist=[408, 429, 500, 502, 503, 504],
    allowed_methods=None,
    respect_retry_after_header=False,
)


class Querier(Protocol):
    """What is needed of ``PrometheusConnect``: the seam where tests put their own answers."""

    def custom_query(self, query: str, params: dict[str, Any] | None = None) -> Any:  # noqa: ANN401 (whatever the JSON holds)
        """Run an instant query and return ``data.result`` of the answer."""


class SigV4(AuthBase):
    """Signs requests to Amazon Managed Service for Prometheus (service name ``aps``)."""

    def __init__(self, credentials: Callable[[], Credentials], region: str) -> None:
        self._credentials = credentials
        self._region = region

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the signature headers; called by requests for each request."""
        # SigV4 knows %20 only, requests writes a space in a query as +.
        request.url = (request.url or "").replace("+", "%20")
        signed = AWSRequest(
            method=request.method or "POST", url=request.url, data=request.body or b""
        )
        SigV4Auth(self._credentials(), "aps", self._region).add_auth(signed)
        request.headers.update(dict(signed.headers))
        return request


class _Discreet(requests.Session):
    """Neither hands on an answer nor follows a redirect that repeats what it was asked with.

    Answers get logged, and so does the address that a redirect names, if nobody is there. Where a
    redirect leads the credentials do not go along, so they are remembered from request to request.
    """

    def __init__(self) -> None:
        super().__init__()
        self._secrets: set[bytes] = set()

    def send(self, request: requests.PreparedRequest, **settings: Any) -> requests.Response:  # noqa: ANN401 (those of requests)
        """Send a request; raises PrometheusFailed for an answer that says too much."""
        self._secrets |= _secrets_of(request)
        response = super().send(request, **settings)
        if self._are_in(response.content):
            raise PrometheusFailed("the answer repeats the credentials: not shown, not believed")
        return response

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return where an answer sends to, None if nowhere; asked by requests before it goes there.

        Raises PrometheusFailed if the address repeats the credentials, or has any of its own.
        """
        target = super().get_redirect_target(resp)
        if target and (self._are_in(target.encode()) or "@" in urlsplit(target).netloc):
            raise PrometheusFailed("the redirect has credentials in it: not shown, not followed")
        return target

    def _are_in(self, said: bytes) -> bool:
        """Tell whether the credentials are in there, as they are or as a URL writes them."""
        forms = (said, unquote_to_bytes(said))
        return any(secret in form for secret in self._secrets for form in forms)


def _secrets_of(request: requests.PreparedRequest) -> set[bytes]:
    """Return what nobody may read of a request: its credentials, and the password in them."""
    scheme, _, credentials = str(request.headers.get("Authorization", "")).partition(" ")
    found = {credentials.encode()}
    if scheme == "Basic":
        found.add(b64decode(credentials).partition(b":")[2])
    return {secret for secret in found if len(secret) >= _SHORTEST_SECRET}


def connect(
    url: str, timeout_seconds: float, auth: AuthBase | None, headers: Mapping[str, str]
) -> Querier:
    """Build a client; no request is made.

    One attempt takes at most CONNECT_SECONDS and ``timeout_seconds`` (the longest silence while
    the answer is read); there are ATTEMPTS of them.
    """
    client: Querier = PrometheusConnect(
        url=url,
        auth=auth,
        headers=dict(headers),
        session=_Discreet(),
        retry=_RETRY,
        timeout=(CONNECT_SECONDS, timeout_seconds),
        method="POST",
    )
    return client


@dataclass(frozen=True, slots=True)
class Selection:
    """Which series to fetch: those whose ``label`` holds one of ``values``.

    A value also matches with a port behind it, as Prometheus's own ``instance`` label has one.
    """

    values: Sequence[str]
    label: str
    metric_prefix: str
    range_seconds: float

    @property
    def query(self) -> str:
        """The range selector, in PromQL."""
        metrics = (*BUFFER_METRICS, EMIT_RECORDS, NUM_ERRORS)
        names = "|".join([*(self.metric_prefix + metric for metric in metrics), UP])
        instances = "|".join(_quote(re.escape(value)) for value in self.values)
        window = math.ceil(self.range_seconds)
        return f'{{__name__=~"{names}",{self.label}=~"({instances})(:[0-9]+)?"}}[{window}s]'


def fetch(querier: Querier, selection: Selection, now: float) -> dict[str, list[Series]]:
    """Fetch the samples up to ``now`` (epoch seconds) and group the series by label value.

    A value without series is left out. Raises PrometheusFailed for anything but a whole answer.
    """
    try:
        result = querier.custom_query(selection.query, params={"time": f"{now:.3f}"})
        series = [_series(item) for item in result]
    except PrometheusFailed:
        raise
    except (requests.RequestException, PrometheusApiClientException) as error:
        raise PrometheusFailed(_short(f"{type(error).__name__}: {error}")) from error
    except Exception as error:
        # The client raises whatever json or a look-up raises for a body that is no answer
        # (HTML of a login page, say).
        raise PrometheusFailed(f"not a Prometheus answer ({type(error).__name__})") from error
    return _grouped(series, selection)


def _grouped(series: Sequence[Series], selection: Selection) -> dict[str, list[Series]]:
    grouped: dict[str, list[Series]] = {}
    for one in series:
        value = re.sub(r":[0-9]+$", "", one.labels.get(selection.label, ""))
        if value in selection.values:
            grouped.setdefault(value, []).append(one)
    return grouped


def _series(item: Any) -> Series:  # noqa: ANN401 (whatever the JSON holds)
    labels, values = item["metric"], item["values"]
    if not isinstance(labels, dict) or not isinstance(values, list):
        raise PrometheusFailed(f"a series of an unexpected form: {str(item)[:200]}")
    samples = sorted((float(time), float(value)) for time, value in values)
    if not all(math.isfinite(time) for time, _ in samples):
        raise PrometheusFailed(f"a series with a time that is none: {str(item)[:200]}")
    return Series(labels={str(k): str(v) for k, v in labels.items()}, samples=samples)


def _short(message: str) -> str:
    """Cut a long message in the middle: a URL with a whole query comes before what went wrong."""
    if len(message) <= _LONGEST_ERROR:
        return message
    half = _LONGEST_ERROR // 2 - 1
    return f"{message[:half]}…{message[-half:]}"


def _quote(pattern: str) -> str:
    """Escape a regular expression for a double-quoted PromQL string."""
    return pattern.replace("\\", "\\\\").replace('"', '\\"')
