"""Short ways through botocore and moto, on which nothing is left out that is looked at here.

What they would find out again for each call is remembered; ids, dates and checksums that neither
the product nor the emulator looks at are always the same.
"""

import itertools
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from botocore.regions import EndpointRulesetResolver
from moto.core.errors import ErrorLookupFactory
from moto.core.models import DEFAULT_ACCOUNT_ID

from tests.support.answers import Picker, get_value, unparse

_REQUEST_ID = "00000000-0000-0000-0000-000000000000"
_NUMBERS = itertools.count()
# moto reads all the errors of a service for each error that it answers; one factory remembers them.
_ERRORS = ErrorLookupFactory()
_construct_endpoint = EndpointRulesetResolver.construct_endpoint
_endpoints: dict[tuple[object, object], Any] = {}


def _endpoint(resolver: Any, operation_model: Any, call_args: Any, request_context: Any) -> Any:
    """Find an endpoint once, for operations whose parameters have no say in it."""
    if operation_model.context_parameters or operation_model.operation_context_parameters:
        return _construct_endpoint(resolver, operation_model, call_args, request_context)
    key = (resolver, operation_model)
    if key not in _endpoints:
        _endpoints[key] = _construct_endpoint(resolver, operation_model, call_args, request_context)
    return _endpoints[key]


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
