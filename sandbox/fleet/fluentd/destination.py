"""S3 as `out_s3` uses it: one gzip object of JSON lines for each chunk.

The faults come from where AWS would send them: a refusal is an HTTP answer of S3 that botocore
itself parses into its error, so everything behind it is the real path.
"""

import gzip
import io
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from enum import Enum
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol

import boto3
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.client import Config
from botocore.compat import HTTPHeaders
from botocore.exceptions import BotoCoreError, ClientError

from sandbox.fleet.fluentd.protocol import format_lines

COMPRESSION_LEVEL = 1
REFUSAL = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code>'
    b"<Message>Please reduce your request rate.</Message></Error>"
)


class DestinationMode(Enum):
    """What the destination does with writes."""

    OK = "ok"
    REFUSING = "refusing"
    """Every write is answered 503: it is worth trying again."""
    REJECTING = "rejecting"
    """Every write fails with an unrecoverable error of Fluentd: the chunk is backed up."""
    SLOW = "slow"
    """Writes succeed after a delay: the chunk is in flight meanwhile."""


class WriteFailedError(Exception):
    """The destination does not take the chunk now."""


class UnrecoverableError(Exception):
    """The destination will never take the chunk."""


class Destination(Protocol):
    """Where an output writes its chunks."""

    def write(self, chunk_id: str, entries: bytes) -> None:
        """Return when the destination has the entries."""


class S3Destination:
    """Writes chunks to one bucket, under a prefix of its own."""

    def __init__(
        self,
        client: Any,  # noqa: ANN401 - boto3 makes its clients at run time
        bucket: str,
        prefix: str,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self._sleep = sleep
        self._lock = threading.Lock()
        self._mode = DestinationMode.OK
        self._delay_seconds = 0.0
        client.meta.events.register("before-send.s3.PutObject", self._intercept)

    @classmethod
    def connect(cls, bucket: str, prefix: str) -> "S3Destination":
        """A destination with a client that makes one attempt a write: the output retries.

        Where S3 is and who asks is in the environment, as for any AWS client.
        """
        config = Config(
            connect_timeout=3,
            read_timeout=20,
            retries={"total_max_attempts": 1},
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
        )
        return cls(boto3.client("s3", config=config), bucket, prefix)

    def behave(self, mode: DestinationMode, delay_seconds: float = 0.0) -> None:
        """From now on, treat writes so."""
        with self._lock:
            self._mode, self._delay_seconds = mode, delay_seconds

    def write(self, chunk_id: str, entries: bytes) -> None:
        """Put the chunk's lines as one object; its key is the chunk's, so that a retry replaces."""
        with self._lock:
            mode, delay_seconds = self._mode, self._delay_seconds
        if mode is DestinationMode.REJECTING:
            raise UnrecoverableError("the destination rejects the chunk")
        if mode is DestinationMode.SLOW:
            self._sleep(delay_seconds)
        try:
            self._client.put_object(
                Bucket=self._bucket,
                Key=f"{self._prefix}{chunk_id}.gz",
                Body=_compressed_lines(entries),
                ContentType="application/x-gzip",
            )
        except (ClientError, BotoCoreError) as error:
            raise WriteFailedError(str(error)) from error

    def _intercept(self, request: AWSRequest, **_event: object) -> AWSResponse | None:
        """Answer in S3's place while it is to refuse."""
        with self._lock:
            if self._mode is not DestinationMode.REFUSING:
                return None
        headers = HTTPHeaders.from_dict({"content-type": "application/xml"})
        status = HTTPStatus.SERVICE_UNAVAILABLE
        return AWSResponse(str(request.url), status, headers, _RawBody(REFUSAL))


class _RawBody(io.BytesIO):
    """The part of urllib3's response that botocore reads."""

    def stream(self, **_options: object) -> list[bytes]:
        return [self.read()]


def _compressed_lines(entries: bytes) -> bytes:
    return gzip.compress(b"".join(format_lines(entries)), COMPRESSION_LEVEL)


class HttpDestination:
    """`out_http`: one POST of JSON lines for each chunk."""

    def __init__(self, endpoint: str, retryable: str) -> None:
        self._endpoint = endpoint
        self._retryable = [int(code) for code in retryable.split(",")]

    def write(self, chunk_id: str, entries: bytes) -> None:
        """Post them; any refusal that is not worth trying again is unrecoverable."""
        del chunk_id
        body = b"".join(format_lines(entries))
        headers = {"Content-Type": "application/x-ndjson"}
        post = urllib.request.Request(self._endpoint, body, headers, method="POST")  # noqa: S310 - http only
        try:
            with urllib.request.urlopen(post, timeout=60):  # noqa: S310 - http only
                pass
        except urllib.error.HTTPError as error:
            if error.code in self._retryable:
                raise WriteFailedError(str(error)) from error
            raise UnrecoverableError(str(error)) from error
        except OSError as error:
            raise WriteFailedError(str(error)) from error


class SecondaryFile:
    """`@type secondary_file`: a file for each chunk, on the instance's own disk."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def write(self, chunk_id: str, entries: bytes) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        (self._directory / f"{chunk_id}.0.log").write_bytes(entries)
