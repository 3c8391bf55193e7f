"""The product's own Prometheus client, with a Prometheus of the tests at the other end."""

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
from requests.adapters import BaseAdapter

from lifecycle.adapters.prometheus_session import Querier, connect
from lifecycle.settings import PrometheusDialect
from tests.support.environments import reaching

_URL = "http://prometheus.tests:9090"
# What is answered to a query at a time: a document, or text that is none.
Answer = Callable[[str, float], Any]


class _Wire(BaseAdapter):
    def __init__(self, answer: Answer, headers: Mapping[str, str], urls: list[str]) -> None:
        super().__init__()
        self._answer = answer
        self._headers = headers
        self._urls = urls

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        """Answer a request; whatever the tests raise comes out of the connection."""
        self._urls.append(str(request.url))
        asked = parse_qs(urlsplit(str(request.url)).query)
        said = self._answer(asked["query"][0], float(asked["time"][0]))
        response = requests.Response()
        response.status_code, response.request, response.url = 200, request, str(request.url)
        response.headers.update(self._headers)
        response._content = (said if isinstance(said, str) else json.dumps(said)).encode()
        response._content_consumed = True  # type: ignore[attr-defined]
        return response

    def close(self) -> None:
        """There is nothing to close."""


def querier(
    answer: Answer,
    *,
    dialect: PrometheusDialect = PrometheusDialect.PROMETHEUS,
    headers: Mapping[str, str] | None = None,
    urls: list[str] | None = None,
) -> Querier:
    """Build a client whose every request is answered so; ``urls`` collects what was asked."""
    client: Any = connect(reaching(_URL, prometheus_dialect=dialect))
    client._session.mount(_URL, _Wire(answer, headers or {}, [] if urls is None else urls))
    made: Querier = client
    return made
