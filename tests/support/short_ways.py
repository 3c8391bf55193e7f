"""Short ways through botocore and moto, on which nothing is left out that is looked at here.

What they would find out again for each call is remembered. Each patch reaches into a private part
and has to earn its place: the share is what it saves of the time of random histories, which are
nothing but calls (cProfile, moto 5.2, botocore 1.44). What saves less than 3 % is not here.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from unittest.mock import patch

from moto.core.errors import ErrorLookupFactory
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.utils import camelcase_to_underscores, method_names_from_class

from tests.support.answers import Picker, get_value, unparse

_ERRORS = ErrorLookupFactory()
_PATCHES = (
    # 8 %: under which names each member of an answer may stand, asked anew for each member.
    ("moto.core.serialize.ResponseSerializer.get_value", get_value),
    ("moto.core.responses.XFormedAttributePicker", Picker),
    # 6 %: XML for readers; the answers are for a parser.
    ("moto.core.serialize.xmltodict.unparse", unparse),
    # 6 %: all errors of a service, read anew for each error that is answered.
    ("moto.core.errors.ErrorLookupFactory", lambda: _ERRORS),
    # 3 %: what each request says of this machine.
    ("botocore.useragent.UserAgentString.to_string", lambda _self: "tests"),
    # 7 %: the Python name of each attribute of a queue, made anew by regular expressions.
    ("moto.sqs.models.camelcase_to_underscores", cache(camelcase_to_underscores)),
    # 10 %: all methods of a backend's class, listed anew for each call.
    ("moto.core.responses.method_names_from_class", cache(method_names_from_class)),
    # 8 %: a random id for each answer; without one, an answer that was read before is known.
    ("moto.core.responses.gen_amzn_requestid_long", lambda _headers: "request"),
    # Not for the time: the backends that it builds, to throw them away, draw ids in the first world
    # of a process only, and the same seed would not give the same history.
    ("moto.core.base_backend.AccountSpecificBackend.reset", lambda _self: None),
)


@contextmanager
def short_ways() -> Iterator[None]:
    """Take them as long as this is open."""
    with ExitStack() as stack:
        for target, stand_in in _PATCHES:
            stack.enter_context(patch(target, stand_in))
        stack.enter_context(patch.dict(os.environ, {"MOTO_ACCOUNT_ID": DEFAULT_ACCOUNT_ID}))
        yield
