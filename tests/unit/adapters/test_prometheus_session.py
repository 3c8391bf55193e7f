"""The session with Prometheus: what it signs, and that no answer shows credentials."""

import io
import json
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import requests
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st
from requests.auth import HTTPBasicAuth

from lifecycle.adapters.prometheus import Selection, fetch
from lifecycle.adapters.prometheus_session import SigV4, connect
from lifecycle.errors import PrometheusFailed
from tests.support.environments import reaching
from tests.support.messages import INSTANCE_ID, NOW, OTHER_INSTANCE_ID
from tests.support.sigv4 import Received, signature_is_right, signed_scope

SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


def selection(*values: str) -> Selection:
    return Selection(values, label="instance_id", metric_prefix="f_", range_seconds=360)


def answer_with(
    monkeypatch: pytest.MonkeyPatch, body: bytes = b"", status: int = 200, location: str = ""
) -> list[str]:
    """Answer each request with this; the list returned fills with the URLs asked for."""
    asked: list[str] = []

    def send(_adapter: object, request: requests.PreparedRequest, **_: object) -> requests.Response:
        asked.append(request.url or "")
        if location and len(asked) > 1:
            raise requests.ConnectionError(f"Max retries exceeded with url: {request.path_url}")
        response = requests.Response()
        response.status_code, response.request = status, request
        response.url, response.raw = request.url or "", io.BytesIO(body)
        if location:
            response.headers["Location"] = location
        return response

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    return asked


class TestSigning:
    def prepare(self, token: str | None = None, **params: str) -> requests.PreparedRequest:
        credentials = Credentials("AKIDEXAMPLE", SECRET_KEY, token)
        return requests.Request(
            "POST",
            "https://aps-workspaces.ap-northeast-1.amazonaws.com/workspaces/ws-1/api/v1/query",
            params=params,
            auth=SigV4(lambda: credentials, "ap-northeast-1"),
        ).prepare()

    def received(self, request: requests.PreparedRequest) -> Received:
        parts = urlsplit(request.url or "")
        return Received(
            request.method or "",
            f"{parts.path}?{parts.query}",
            {**request.headers, "Host": parts.netloc},
        )

    @pytest.mark.parametrize(
        "query",
        [
            selection(INSTANCE_ID, OTHER_INSTANCE_ID).query,
            selection("10.0.0.1").query,
            "a b",
            "a+b",
            "a%20b",
            "a*b~c'd(e)!f",
            'sum(x) == 0 and y{z="ü"}',
        ],
    )
    def test_what_is_signed_is_what_is_sent(self, query: str) -> None:
        request = self.prepare(query=query, time="1700000000.124")
        assert signature_is_right(self.received(request), SECRET_KEY)
        assert "+" not in (request.url or "")

    @given(st.text(max_size=40))
    def test_any_query_is_signed_as_sent(self, query: str) -> None:
        assert signature_is_right(self.received(self.prepare(query=query, time="1")), SECRET_KEY)

    def test_the_check_itself_can_fail(self) -> None:
        received = self.received(self.prepare(query="up"))
        assert not signature_is_right(received, "another key")
        changed = Received(received.method, received.target + "x", received.headers)
        assert not signature_is_right(changed, SECRET_KEY)

    def test_it_signs_for_amazon_managed_prometheus_in_its_region(self) -> None:
        received = self.received(self.prepare(query="up"))
        assert signed_scope(received) == ("AKIDEXAMPLE", "ap-northeast-1", "aps")

    def test_the_session_token_of_a_role_goes_along_and_is_signed(self) -> None:
        request = self.prepare(token="session-token", query="up")
        assert request.headers["X-Amz-Security-Token"] == "session-token"
        assert "x-amz-security-token" in request.headers["Authorization"]
        assert signature_is_right(self.received(request), SECRET_KEY)

    def test_credentials_are_read_for_each_request_since_they_expire(self) -> None:
        keys = iter(["FIRST", "SECOND"])
        auth = SigV4(lambda: Credentials(next(keys), SECRET_KEY), "eu-west-1")
        for key in ("FIRST", "SECOND"):
            request = requests.Request("POST", "https://p/api/v1/query?query=up", auth=auth)
            assert f"Credential={key}/" in request.prepare().headers["Authorization"]


def test_connecting_makes_no_request() -> None:
    # Sockets are off here, so an attempt would fail.
    client = connect(reaching("http://prometheus.internal:9090"))
    assert hasattr(client, "custom_query")


class TestCredentials:
    """Answers get logged, so none may carry what it was asked with (found by fuzzing)."""

    TOKEN = "a-secret-token"

    def ask(self, auth: HTTPBasicAuth | None = None, token: str = TOKEN) -> Any:
        headers = {} if auth else {"Authorization": f"Bearer {token}"}
        querier = connect(reaching("http://prometheus:9090"), auth, headers)
        return fetch(querier, selection(INSTANCE_ID), NOW)

    @pytest.mark.parametrize("status", [200, 403])
    def test_an_answer_that_repeats_them_is_neither_believed_nor_shown(
        self, monkeypatch: pytest.MonkeyPatch, status: int
    ) -> None:
        body = json.dumps({"data": {"result": [{"metric": {"a": self.TOKEN}, "values": 1}]}})
        answer_with(monkeypatch, body.encode(), status)
        with pytest.raises(PrometheusFailed, match="repeats the credentials") as caught:
            self.ask()
        assert self.TOKEN not in str(caught.value)

    @pytest.mark.parametrize("told", ['a-token/with"odd&parts', "a-token-with-an-\U0001f511"])
    def test_a_warning_that_repeats_them_as_json_writes_them_is_not_shown_either(
        self, monkeypatch: pytest.MonkeyPatch, told: str
    ) -> None:
        escaped = json.dumps(told).replace("/", "\\/").replace("&", "\\u0026")
        auth = HTTPBasicAuth("user", told.encode())
        answer_with(
            monkeypatch,
            f'{{"status":"success","warnings":["asked with {escaped[1:-1]}"]}}'.encode(),
        )
        with pytest.raises(PrometheusFailed, match="repeats the credentials"):
            self.ask(auth)

    def redirected(
        self, monkeypatch: pytest.MonkeyPatch, location: str, auth: HTTPBasicAuth | None = None
    ) -> tuple[str, list[str]]:
        """A redirect to a port where nothing listens: the error, and which server was asked."""
        asked = answer_with(monkeypatch, status=302, location=location)
        with pytest.raises(PrometheusFailed) as caught:
            self.ask(auth)
        return str(caught.value), asked

    @pytest.mark.parametrize(
        "location",
        [
            f"http://elsewhere/?token={TOKEN}",
            f"/login/{TOKEN}",
            f"http://user:{TOKEN}@elsewhere/",
            f"http://elsewhere/?token={TOKEN.replace('-', '%2d')}",
            "http://user:short@elsewhere/",
        ],
    )
    def test_a_redirect_that_repeats_them_is_neither_followed_nor_shown(
        self, monkeypatch: pytest.MonkeyPatch, location: str
    ) -> None:
        complaint, asked = self.redirected(monkeypatch, location)
        assert complaint == "the redirect has credentials in it: not shown, not followed"
        assert len(asked) == 1

    def test_a_password_is_known_in_plain_text_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        password = "a secret/pass: word"
        auth = HTTPBasicAuth("user", password)
        location = f"/login?password={quote(password, safe='')}"
        complaint, asked = self.redirected(monkeypatch, location, auth)
        assert "has credentials in it" in complaint
        assert len(asked) == 1

    def test_any_other_redirect_is_followed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        complaint, asked = self.redirected(monkeypatch, "https://elsewhere/login@home")
        assert "/login@home" in complaint
        assert asked[1:] == ["https://elsewhere/login@home"]

    def test_a_token_that_is_in_every_answer_by_chance_does_no_harm(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        body = b'{"status":"success","data":{"resultType":"matrix","result":[]}}'
        answer_with(monkeypatch, body)
        assert self.ask(token="data") == {}
