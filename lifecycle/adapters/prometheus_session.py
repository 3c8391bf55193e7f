"""The session with Prometheus: signed, redacted, and believed only if an answer is whole.

``prometheus-api-client`` returns ``data.result`` alone, so the session that it is given reads each
answer first, and refuses one that says, or may say, that something is missing from it.
"""

import json
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from functools import cache
from http import HTTPStatus
from tempfile import NamedTemporaryFile
from types import MappingProxyType
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes, urlsplit

import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from prometheus_api_client import PrometheusConnect
from requests.auth import AuthBase
from urllib3.util.retry import Retry

from lifecycle.errors import PrometheusFailed
from lifecycle.settings import PrometheusDialect, PrometheusSettings

# One retry, for a connection that was cut; the queue does the rest. Terraform counts both
# attempts into the function's timeout.
ATTEMPTS = 2
CONNECT_SECONDS = 3.0
_LONGEST_ERROR = 400
_SHORTEST_SECRET = 8  # anything shorter is in every answer by chance
# Fields that take nothing away from the data: `infos` (Prometheus 3) is about the query, `stats`
# (VictoriaMetrics, Prometheus), `trace` (VictoriaMetrics), `analysis` and `explanation` (Thanos)
# are about its cost.
_ANSWER_FIELDS = {"status", "data", "infos", "stats", "trace"}
_DATA_FIELDS = {"resultType", "result", "stats", "analysis", "explanation"}
# M3 names a limit that cut the answer short, a proxy a warning (RFC 7234) or a part (RFC 7233).
_QUALIFYING_HEADERS = ("M3-Results-Limited", "Warning", "Content-Range")
_JSON_ESCAPES = re.compile(rb'(?:\\(?:u[0-9a-fA-F]{4}|["\\/bfnrt]))+')
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
        SigV4Auth(self._credentials().get_frozen_credentials(), "aps", self._region).add_auth(
            signed
        )
        request.headers.update(dict(signed.headers))
        return request


class _RedactingSession(requests.Session):
    """Neither hands on an answer nor follows a redirect that repeats what it was asked with.

    Answers get logged, and so does the address that a redirect names, if nothing listens there.
    Where a redirect leads the credentials do not go along, so they are remembered from request to
    request. An answer that is not whole is not handed on either.
    """

    def __init__(self) -> None:
        super().__init__()
        self._secrets: set[bytes] = set()
        self.hooks["response"].append(self._examine)

    def send(self, request: requests.PreparedRequest, **settings: Any) -> requests.Response:  # noqa: ANN401 (those of requests)
        """Send a request; raises PrometheusFailed for an answer that is refused."""
        self._secrets |= _secrets_of(request)
        return super().send(request, **settings)

    def _examine(self, response: requests.Response, **_settings: object) -> None:
        """Refuse an answer that says too much, or less than it was asked; a hook of requests.

        An answer with another status than 200 is the client's to refuse, or to ask for again.
        """
        if self._are_in(response.content):
            raise PrometheusFailed("the answer repeats the credentials: not shown, not believed")
        flaw = _flaw_of(response) if response.status_code == HTTPStatus.OK else None
        if flaw is not None:
            raise PrometheusFailed(shortened(flaw))

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return where an answer sends to, None if nowhere; asked by requests before it goes there.

        Raises PrometheusFailed if the address repeats the credentials, or has any of its own.
        """
        target = super().get_redirect_target(resp)
        if target and (self._are_in(target.encode()) or "@" in urlsplit(target).netloc):
            raise PrometheusFailed("the redirect has credentials in it: not shown, not followed")
        return target

    def _are_in(self, said: bytes) -> bool:
        """Tell whether the credentials are in there: as they are, as in a URL, as in JSON."""
        forms = (said, unquote_to_bytes(said), _JSON_ESCAPES.sub(_unescaped, said))
        return any(secret in form for secret in self._secrets for form in forms)


def _secrets_of(request: requests.PreparedRequest) -> set[bytes]:
    """Return the secrets of a request: its credentials, and the password in them."""
    scheme, _, credentials = str(request.headers.get("Authorization", "")).partition(" ")
    found = {credentials.encode()}
    if scheme == "Basic":
        found.add(b64decode(credentials).partition(b":")[2])
    return {secret for secret in found if len(secret) >= _SHORTEST_SECRET}


def _unescaped(escapes: re.Match[bytes]) -> bytes:
    return str(json.loads(b'"' + escapes[0] + b'"')).encode("utf-8", "surrogatepass")


def _flaw_of(response: requests.Response) -> str | None:
    """Say why an answer is not a whole one, None if it is."""
    for header in _QUALIFYING_HEADERS:
        if header in response.headers:
            return f"a partial answer, {header}: {response.headers[header]}"
    try:
        answer = response.json(object_pairs_hook=without_repeats)
    except (ValueError, RecursionError) as error:
        return f"not a Prometheus answer ({type(error).__name__})"
    if not isinstance(answer, dict):
        return f"not a Prometheus answer (a JSON {type(answer).__name__})"
    if not _is_successful(answer):
        said = [f"{name} {answer.get(name)}" for name in ("status", "errorType", "error")]
        return f"not a successful answer: {', '.join(said)}"
    data = answer.get("data")
    if not isinstance(data, dict):
        return f"not a Prometheus answer (data is a JSON {type(data).__name__})"
    qualified = _qualification(answer, _ANSWER_FIELDS) or _qualification(data, _DATA_FIELDS)
    if qualified is not None:
        return qualified
    if data.get("resultType") != "matrix" or not isinstance(data.get("result"), list):
        return f"not an answer to a range selector: the result is a {data.get('resultType')}"
    return None


def _is_successful(answer: Mapping[str, object]) -> bool:
    return answer.get("status") == "success"


def _qualification(fields: Mapping[str, object], harmless: set[str]) -> str | None:
    """Say which fields take something away from the data, or may: those that are not known."""
    said = {
        name: value
        for name, value in fields.items()
        if name not in harmless and _says_something(name, value)
    }
    if not said:
        return None
    is_partial = not said.keys().isdisjoint({"warnings", "isPartial"})
    what = "a partial answer" if is_partial else "an answer with a field not known"
    return f"{what}, {', '.join(f'{name}: {_words(value)}' for name, value in said.items())}"


def _says_something(name: str, value: object) -> bool:
    if name == "isPartial":
        return value is not None and value is not False
    return value is not None and value not in ("", [], {})


def _words(value: object) -> str:
    """Return the texts of a list as they are, and anything else as JSON."""
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return "; ".join(value)
    return json.dumps(value)


def without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return an object of JSON; ValueError if it says one thing twice, perhaps differently."""
    names = dict(pairs)
    if len(names) < len(pairs):
        raise ValueError("a field twice")
    return names


def connect(
    settings: PrometheusSettings,
    auth: AuthBase | None = None,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Querier:
    """Build a client; no request is made. ``headers`` are those of the authentication.

    One attempt takes at most CONNECT_SECONDS and the request timeout (the longest silence while
    the answer is read); there are ATTEMPTS of them. Thanos is asked to answer whole or not at all.
    """
    session = _RedactingSession()
    if settings.prometheus_dialect is PrometheusDialect.THANOS:
        session.params = {"partial_response": "false"}
    if settings.prometheus_ca_certificates is not None:
        session.verify = _bundle(settings.prometheus_ca_certificates)
    client: Querier = PrometheusConnect(
        url=settings.prometheus_url,
        auth=auth,
        headers={**settings.prometheus_headers, **headers},
        session=session,
        retry=_RETRY,
        timeout=(CONNECT_SECONDS, settings.prometheus_request_timeout_seconds),
        method=settings.prometheus_method,
    )
    return client


@cache
def _bundle(certificates: str) -> str:
    """Write certificates to a file, once a process: requests takes no others."""
    with NamedTemporaryFile("w", suffix=".pem", delete=False) as file:
        file.write(certificates)
    return file.name


def shortened(message: str) -> str:
    """Cut a long message in the middle: a URL with a whole query comes before what went wrong.

    Halves of characters, which JSON can hold and no log can, are written out.
    """
    message = message.encode("utf-8", "backslashreplace").decode()
    if len(message) <= _LONGEST_ERROR:
        return message
    half = _LONGEST_ERROR // 2 - 1
    return f"{message[:half]}…{message[-half:]}"
