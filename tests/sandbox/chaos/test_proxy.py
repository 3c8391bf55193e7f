"""What functions meet on their way to an emulator is what AWS would answer."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError
from werkzeug.wrappers import Request, Response

from sandbox.chaos.plan import Fault, rules
from sandbox.chaos.proxy import FaultProxy
from sandbox.host.http import HttpService
from sandbox.host.processes import Processes

ATTEMPTS = 3


class Upstream:
    """Answers every call of SQS, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.service = HttpService("127.0.0.1", 0, Request.application(self._answer))
        self.address = f"http://127.0.0.1:{self.service.port}"

    def _answer(self, request: Request) -> Response:
        self.asked.append({name.lower(): value for name, value in request.headers.items()})
        body = json.dumps({"QueueUrls": ["http://127.0.0.1/1/queue"]})
        return Response(body, mimetype="application/x-amz-json-1.0")


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    server = Upstream()
    server.service.start()
    yield server
    server.service.stop()


@pytest.fixture(scope="module")
def started(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultProxy]:
    folder: Path = tmp_path_factory.mktemp("proxy")
    with Processes(folder) as processes:
        yield FaultProxy.start(processes, "test", upstream.address, "1")


@pytest.fixture
def proxy(started: FaultProxy, upstream: Upstream) -> FaultProxy:
    started.inject([])
    upstream.asked.clear()
    return started


def sqs(proxy: FaultProxy) -> Any:
    # As lifecycle/adapters/clients.py: the SDK tries three times.
    retries: Any = {"mode": "standard", "total_max_attempts": ATTEMPTS}
    return boto3.Session("key", "secret", region_name="eu-west-1").client(
        "sqs", endpoint_url=proxy.address, config=Config(retries=retries, proxies={})
    )


def test_a_quiet_proxy_hands_on_what_the_caller_signed(
    proxy: FaultProxy, upstream: Upstream
) -> None:
    assert sqs(proxy).list_queues()["QueueUrls"]
    [asked] = upstream.asked
    assert asked["host"] == proxy.address.removeprefix("http://")
    assert "Credential=key/" in asked["authorization"]


def test_a_throttled_call_is_tried_again_by_the_sdk_and_never_reaches_the_service(
    proxy: FaultProxy, upstream: Upstream
) -> None:
    proxy.inject(rules({Fault.THROTTLED: 1.0}))
    before = proxy.counted().faults["sqs", Fault.THROTTLED]
    with pytest.raises(ClientError) as refused:
        sqs(proxy).list_queues()
    assert refused.value.response["Error"]["Code"] == "RequestThrottled"
    assert proxy.counted().faults["sqs", Fault.THROTTLED] - before == ATTEMPTS
    assert upstream.asked == []


def test_a_server_error_is_one_of_awss_own(proxy: FaultProxy) -> None:
    proxy.inject(rules({Fault.SERVER_ERROR: 1.0}))
    with pytest.raises(ClientError) as refused:
        sqs(proxy).list_queues()
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] in {500, 503}


def test_a_reset_call_has_not_been_done_and_a_lost_answer_has(
    proxy: FaultProxy, upstream: Upstream
) -> None:
    proxy.inject(rules({Fault.RESET: 1.0}))
    with pytest.raises(ConnectionClosedError):
        sqs(proxy).list_queues()
    assert upstream.asked == []
    proxy.inject(rules({Fault.ANSWER_LOST: 1.0}))
    with pytest.raises(Exception, match=r"(?i)connection"):
        sqs(proxy).list_queues()
    assert len(upstream.asked) == ATTEMPTS
