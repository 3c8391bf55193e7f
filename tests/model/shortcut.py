"""Calls to moto without what happens on a wire: the model makes hundreds of thousands of them.

botocore still builds each request from its own model of the service and reads each answer with its
own parser, and moto still answers; left out are the signature, the headers and the connection. A
call that the faults may be meant for takes the whole way, retries included.
"""

import itertools
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from io import BytesIO
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from urllib.parse import urlencode, urlsplit

import moto.backends
from botocore import parsers
from moto import backend_index, mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.request import Request
from werkzeug.exceptions import HTTPException

from sandbox.emulator import World

# moto reads the region from it.
_AUTHORIZATION = "AWS4-HMAC-SHA256 Credential=model/20261122/ap-northeast-1/any/aws4_request"
_REQUEST_ID = "00000000-0000-0000-0000-000000000000"
_NUMBERS = itertools.count()


class Shortcut:
    """A handler of botocore's ``before-call``: its answer takes the place of the request's."""

    def __init__(self) -> None:
        self.world: World | None = None

    def __call__(self, model: Any, params: Any, **_: Any) -> Any:
        """Answer the call, or None: let it take the whole way."""
        world = self.world
        if world is None or any(model.name == one.action for one in world.faults.call_failures):
            return None
        url, service = params["url"], model.service_model
        request = _request(url, params)
        try:
            status, headers, body = _door(service.service_name, url)(request, url, request.headers)
        except HTTPException as error:
            status, headers, body = error.code, error.get_headers(), error.get_body()
        raw = {
            "headers": headers,
            "status_code": status,
            "body": body if isinstance(body, bytes) else body.encode(),
        }
        return SimpleNamespace(status_code=status, headers=headers), _parsed(model, raw)


def _parsed(model: Any, raw: Any) -> Any:
    """Do what botocore.endpoint does with an answer: an error is read a second time."""
    service = model.service_model
    parser = _parser(service.resolved_protocol)
    parsed = parser.parse(raw, model.output_shape)
    if raw["status_code"] >= 300:
        error_shape = service.shape_for_error_code(parsed.get("Error", {}).get("Code"))
        if error_shape is not None:
            parsed.update(parser.parse(raw, error_shape))
    return parsed


@cache
def _parser(protocol: str) -> Any:
    return parsers.create_parser(protocol)


@cache
def _door(service: str, url: str) -> Callable[..., Any]:
    """What moto would find for this address, were it asked each time."""
    for name, pattern in backend_index.backend_url_patterns:
        if pattern.match(url):
            backends = moto.backends.get_backend(name)  # type: ignore[call-overload]
            urls = backends[DEFAULT_ACCOUNT_ID]["us-east-1"].urls
            door: Callable[..., Any] = next(d for path, d in urls.items() if re.match(path, url))
            return door
    raise LookupError(f"moto does not know {url} of {service}")


def _request(url: str, params: Any) -> Request:
    body = params["body"]
    if isinstance(body, dict):
        body = urlencode(body, doseq=True)
    data = body.encode() if isinstance(body, str) else body
    parts = urlsplit(url)
    environ = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": parts.path or "/",
        "QUERY_STRING": "",
        "SERVER_NAME": parts.hostname,
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": parts.netloc,
        "wsgi.url_scheme": "https",
        "wsgi.input": BytesIO(data),
        "CONTENT_LENGTH": str(len(data)),
        "HTTP_AUTHORIZATION": _AUTHORIZATION,
    }
    for name, value in params["headers"].items():
        key = name.upper().replace("-", "_")
        environ["CONTENT_TYPE" if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
    return Request(environ)


@cache
def keep_moto_patched() -> None:
    """Let moto patch botocore once a process; each world resets its backends all the same."""
    mock_aws().start()


@contextmanager
def short_ways() -> Iterator[None]:
    """Leave out what neither the product nor the emulator looks at: ids, dates and user agents."""
    with ExitStack() as stack:
        for target, stand_in in (
            ("botocore.useragent.UserAgentString.to_string", lambda _self: "model"),
            ("moto.iam.models.mark_account_as_visited", lambda **_: None),
            ("moto.core.responses.http_date", lambda _moment: "Thu, 01 Jan 1970 00:00:00 GMT"),
            ("moto.utilities.aws_headers.gen_amz_crc32", lambda *_, **__: "0"),
            ("moto.utilities.aws_headers.gen_amzn_requestid_long", lambda *_, **__: _REQUEST_ID),
            ("moto.core.responses.gen_amzn_requestid_long", lambda *_, **__: _REQUEST_ID),
            ("moto.sqs.models.generate_receipt_handle", lambda: f"receipt-{next(_NUMBERS)}"),
        ):
            stack.enter_context(patch(target, stand_in))
        stack.enter_context(patch.dict(os.environ, {"MOTO_ACCOUNT_ID": DEFAULT_ACCOUNT_ID}))
        yield
