"""Prometheus: one request a batch, for raw samples; ``decisions.buffer`` judges them.

An instant query of a range selector returns the samples as stored, so staleness look-back, gaps
and dead exporters cannot hide behind a function's result. Works with Prometheus, Thanos, Mimir,
VictoriaMetrics and Amazon Managed Service for Prometheus.

An answer counts only if it is whole. ``prometheus-api-client`` returns ``data.result`` alone, so
the session that it is given reads each answer first, and refuses one that says, or may say, that
something is missing from it.
"""

import json
import math
import re
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
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

from lifecycle.decisions.evidence import METRICS, UP, Series
from lifecycle.errors import PrometheusFailed
from lifecycle.settings import PrometheusDialect

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
        SigV4Auth(self._credentials(), "aps", self._region).add_auth(signed)
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
            raise PrometheusFailed(_short(flaw))

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
    url: str,
    timeout_seconds: float,
    auth: AuthBase | None,
    headers: Mapping[str, str],
    dialect: PrometheusDialect = PrometheusDialect.PROMETHEUS,
) -> Querier:
    """Build a client; no request is made.

    One attempt takes at most CONNECT_SECONDS and ``timeout_seconds`` (the longest silence while
    the answer is read); there are ATTEMPTS of them. Thanos is asked to answer whole or not at all.
    """
    session = _RedactingSession()
    if dialect is PrometheusDialect.THANOS:
        session.params = {"partial_response": "false"}
    client: Querier = PrometheusConnect(
        url=url,
        auth=auth,
        headers=dict(headers),
        session=session,
        retry=_RETRY,
        timeout=(CONNECT_SECONDS, timeout_seconds),
        method="POST",
    )
    return client


@dataclass(frozen=True, slots=True)
class Selection:
    """Which series to fetch: those whose ``label`` holds one of ``values``.

    A value also matches with a port behind it, as Prometheus's own ``instance`` label has one; an
    IPv6 address has brackets then.
    """

    values: Sequence[str]
    label: str
    metric_prefix: str
    range_seconds: float

    @property
    def query(self) -> str:
        """The range selector, in PromQL."""
        names = "|".join([*(self.metric_prefix + metric for metric in METRICS), UP])
        instances = "|".join(_quote(_spelled(value)) for value in self.values)
        window = math.ceil(self.range_seconds)
        return f'{{__name__=~"{names}",{self.label}=~"({instances})(:[0-9]+)?"}}[{window}s]'


def fetch(querier: Querier, selection: Selection, now: float) -> dict[str, list[Series]]:
    """Fetch the samples up to ``now`` (epoch seconds) and group the series by label value.

    A value without series is left out. Raises PrometheusFailed for anything but a whole answer.
    """
    try:
        result = querier.custom_query(selection.query, params={"time": f"{now:.3f}"})
        series = _all_series(result)
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
        value = _without_port(one.labels.get(selection.label, ""))
        if value in selection.values:
            grouped.setdefault(value, []).append(one)
    return grouped


def _spelled(value: str) -> str:
    """Return a regular expression for a value; an IPv6 address may have brackets."""
    pattern = re.escape(value)
    return rf"\[?{pattern}\]?" if ":" in value else pattern


def _without_port(label: str) -> str:
    """Return a label's value as it is asked for: the last group of an IPv6 address is no port."""
    bracketed = re.fullmatch(r"\[(.+)\](?::[0-9]+)?", label)
    if bracketed:
        return bracketed[1]
    return label if label.count(":") > 1 else re.sub(r":[0-9]+$", "", label)


def _all_series(result: Any) -> list[Series]:  # noqa: ANN401 (whatever the JSON holds)
    if not isinstance(result, list):
        raise PrometheusFailed(f"a result that is no list: {str(result)[:200]}")
    series = [_series(item) for item in result]
    known: set[frozenset[tuple[str, str]]] = set()
    for one in series:
        labels = frozenset(one.labels.items())
        if labels in known:
            raise PrometheusFailed(f"one series twice: {one}")
        known.add(labels)
    return series


def _series(item: Any) -> Series:  # noqa: ANN401 (whatever the JSON holds)
    labels, values = item["metric"], item["values"]
    if (
        item.keys() != {"metric", "values"}  # histograms, say
        or not isinstance(labels, dict)
        or not all(isinstance(value, str) for value in labels.values())
        or not isinstance(values, list)
    ):
        raise PrometheusFailed(f"a series of an unexpected form: {str(item)[:200]}")
    "".join([*labels, *labels.values()]).encode()  # no halves of characters: they get logged
    samples = sorted((float(time), float(value)) for time, value in values)
    if not all(math.isfinite(time) for time, _ in samples):
        raise PrometheusFailed(f"a series with a time that is none: {str(item)[:200]}")
    return Series(labels=labels, samples=samples)


def _short(message: str) -> str:
    """Cut a long message in the middle: a URL with a whole query comes before what went wrong.

    Halves of characters, which JSON can hold and no log can, are written out.
    """
    message = message.encode("utf-8", "backslashreplace").decode()
    if len(message) <= _LONGEST_ERROR:
        return message
    half = _LONGEST_ERROR // 2 - 1
    return f"{message[:half]}…{message[-half:]}"


def _quote(pattern: str) -> str:
    """Escape a regular expression for a double-quoted PromQL string."""
    return pattern.replace("\\", "\\\\").replace('"', '\\"')
