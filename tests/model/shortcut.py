"""Calls to moto without what happens on a wire: the model makes hundreds of thousands of them.

botocore still builds each request from its own model of the service and reads each answer with its
own parser, and moto still answers; left out are the signature, the headers and the connection, and
what was found out before (``tests.model.answers``). A call that the faults may be meant for takes
the whole way, retries included.
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
from urllib.parse import urlsplit

import moto.backends
from botocore.regions import EndpointRulesetResolver
from moto import backend_index, mock_aws
from moto.core.errors import ErrorLookupFactory
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.request import Request
from werkzeug.datastructures import ImmutableMultiDict
from werkzeug.exceptions import HTTPException

from sandbox.emulator import World
from tests.model.answers import Picker, get_value, read, unparse

# moto reads the region from it.
_AUTHORIZATION = "AWS4-HMAC-SHA256 Credential=model/20261122/ap-northeast-1/any/aws4_request"
_REQUEST_ID = "00000000-0000-0000-0000-000000000000"
_NUMBERS = itertools.count()
# moto reads all the errors of a service for each error that it answers; one factory remembers them.
_ERRORS = ErrorLookupFactory()
_construct_endpoint = EndpointRulesetResolver.construct_endpoint
_endpoints: dict[tuple[object, object], Any] = {}


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


def _endpoint(resolver: Any, operation_model: Any, call_args: Any, request_context: Any) -> Any:
    """Find an endpoint once, for operations whose parameters have no say in it."""
    if operation_model.context_parameters or operation_model.operation_context_parameters:
        return _construct_endpoint(resolver, operation_model, call_args, request_context)
    key = (resolver, operation_model)
    if key not in _endpoints:
        _endpoints[key] = _construct_endpoint(resolver, operation_model, call_args, request_context)
    return _endpoints[key]


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
            ("moto.core.responses.XFormedAttributePicker", Picker),
            ("moto.core.serialize.ResponseSerializer.get_value", get_value),
            ("moto.core.serialize.xmltodict.unparse", unparse),
            ("botocore.regions.EndpointRulesetResolver.construct_endpoint", _endpoint),
            ("moto.core.errors.ErrorLookupFactory", lambda: _ERRORS),
            # It would build each backend once more, which is thrown away the next moment.
            ("moto.core.base_backend.AccountSpecificBackend.reset", lambda _self: None),
            ("moto.sqs.models.generate_receipt_handle", lambda: f"receipt-{next(_NUMBERS)}"),
        ):
            stack.enter_context(patch(target, stand_in))
        stack.enter_context(patch.dict(os.environ, {"MOTO_ACCOUNT_ID": DEFAULT_ACCOUNT_ID}))
        yield
