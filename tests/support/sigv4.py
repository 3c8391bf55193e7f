"""AWS Signature Version 4 as the receiving side computes it, written from the documentation.

docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<scope>[^,]+), "
    r"SignedHeaders=(?P<headers>[^,]+), Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass(frozen=True)
class Received:
    """One request as it came in from the wire; ``target`` is path and query as sent."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    def header(self, name: str) -> str:
        return next(value for key, value in self.headers.items() if key.lower() == name.lower())


def signed_scope(request: Received) -> tuple[str, str, str]:
    claim = _claim(request)
    _, region, service, _ = claim["scope"].split("/")
    return claim["key"], region, service


def signature_is_right(request: Received, secret_key: str) -> bool:
    """Compute the signature of what came in and compare it with the one it carries."""
    claim = _claim(request)
    scope = claim["scope"]
    moment = request.header("X-Amz-Date")
    digest = hashlib.sha256(_canonical(request, claim["headers"].split(";")).encode())
    to_sign = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest.hexdigest()}"
    key = f"AWS4{secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    expected = hmac.new(key, to_sign.encode(), "sha256").hexdigest()
    return hmac.compare_digest(expected, claim["signature"])


def _claim(request: Received) -> dict[str, str]:
    match = _AUTHORIZATION.fullmatch(request.header("Authorization"))
    if match is None:
        raise AssertionError(f"not a signature: {request.header('Authorization')}")
    return match.groupdict()


def _canonical(request: Received, signed_headers: list[str]) -> str:
    path, _, query = request.target.partition("?")
    # A plus in a query stays a plus: the signature knows %20 only.
    pairs = sorted(
        (quote(unquote(name), safe="-_.~"), quote(unquote(value), safe="-_.~"))
        for name, value in _pairs(query)
    )
    headers = "".join(f"{name}:{request.header(name).strip()}\n" for name in signed_headers)
    return "\n".join(
        [
            request.method,
            quote(unquote(path), safe="/-_.~"),
            "&".join(f"{name}={value}" for name, value in pairs),
            headers,
            ";".join(signed_headers),
            hashlib.sha256(request.body).hexdigest(),
        ]
    )


def _pairs(query: str) -> list[tuple[str, str]]:
    assert parse_qsl(query, keep_blank_values=True), "a query was sent"
    return [(name, value) for name, _, value in (pair.partition("=") for pair in query.split("&"))]
