"""Calls to moto without what happens on a wire: the model makes hundreds of thousands of them.

botocore still builds each request from its own model of the service and reads each answer with its
own parser, and moto still answers; left out are the signature, the headers and the connection, and
what was found out before (``tests.support.short_ways``). A call that the faults may be meant for
takes the whole way, retries included.
"""

import re
from collections.abc import Callable
from functools import cache
from io import BytesIO
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import moto.backends
from moto import backend_index, mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.request import Request
from werkzeug.datastructures import ImmutableMultiDict
from werkzeug.exceptions import HTTPException

from sandbox.emulator import World
from tests.support.answers import read

# moto reads the region from it.
_AUTHORIZATION = "AWS4-HMAC-SHA256 Credential=model/20261122/ap-northeast-1/any/aws4_request"


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
        raw = body if isinstance(body, bytes) else body.encode()
        answer = SimpleNamespace(status_code=status, headers=headers)
        return answer, read(model, status, headers, raw)


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
    """Build what werkzeug would, had it parsed the body that botocore would have had to write."""
    body, parts = params["body"], urlsplit(url)
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
        "HTTP_AUTHORIZATION": _AUTHORIZATION,
    }
    for name, value in params["headers"].items():
        key = name.upper().replace("-", "_")
        environ["CONTENT_TYPE" if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
    request = Request(environ)
    is_form = isinstance(body, dict)
    form = [(name, str(value)) for name, value in body.items()] if is_form else []
    data = b"" if is_form else body.encode() if isinstance(body, str) else body
    vars(request).update(
        form=ImmutableMultiDict(form),
        files=ImmutableMultiDict(),
        stream=BytesIO(),
        _cached_data=data,
    )
    return request


@cache
def keep_moto_patched() -> None:
    """Let moto patch botocore once a process; each world resets its backends all the same."""
    mock_aws().start()
