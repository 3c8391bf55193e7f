"""An empty account with the pipeline in it, on the extended moto."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import SimpleNamespace
from typing import Any, TypeVar
from unittest.mock import patch

import boto3
from botocore.config import Config

from sandbox.emulator import extended_aws
from tests.support import environments, queues
from tests.support.fleet import Fleet
from tests.support.machines import DOCUMENT, Machines
from tests.support.network import create_network, create_service
from tests.support.pipeline import (
    DRAIN_TIMEOUT,
    EMPTY_FOR,
    HEARTBEAT_TIMEOUT,
    PORT,
    SETTLE,
    Clock,
    Pipeline,
)
from tests.support.recording import RecordingTelemetry
from tests.support.short_ways import short_ways

Kind = TypeVar("Kind", bound=Pipeline)
_build_client: Any = boto3.client


@cache
def _client(service: str, config: Config | None = None) -> Any:
    """Build a client once a process: that takes longer than a whole test. moto gets its calls."""
    return _build_client(service, config=config)


@contextmanager
def running(kind: type[Kind]) -> Iterator[Kind]:
    """An empty account with a pipeline of this kind in it."""
    clock = Clock()
    with (
        short_ways(),
        patch("boto3.client", _client),
        # Without these SQS would run by another clock than the test, and a retry would really wait.
        patch("moto.sqs.models.unix_time", clock),
        patch("moto.sqs.models.unix_time_millis", lambda: clock() * 1000),
        patch("botocore.endpoint.time", SimpleNamespace(sleep=lambda _seconds: None)),
        extended_aws(clock=clock) as world,
    ):
        clients = SimpleNamespace(
            autoscaling=boto3.client("autoscaling"),
            ec2=boto3.client("ec2"),
            servicediscovery=boto3.client("servicediscovery"),
            sqs=boto3.client("sqs"),
            ssm=boto3.client("ssm"),
        )
        urls = {queue: queues.create(queue) for queue in queues.QUEUES}
        vpc_id, subnet_id = create_network(clients.ec2, "10.0.0.0/24")
        service_id = create_service(clients.servicediscovery, vpc_id)["Id"]
        clients.ssm.create_document(
            Name="pipeline-flush", DocumentType="Command", Content=json.dumps(DOCUMENT)
        )
        fleet, machines = Fleet(clock), Machines(clock)
        world.agent = machines
        environment = {
            **environments.reconciler(),
            **environments.operation_waiter(),
            **environments.flush_waiter(),
            **environments.evidence(),
            **environments.buffer_waiter(
                EMPTY_FOR_SECONDS=str(EMPTY_FOR),
                SETTLE_SECONDS=str(SETTLE),
                TIMEOUT_SECONDS=str(DRAIN_TIMEOUT),
            ),
            "TERMINATE_HEARTBEAT_TIMEOUT_SECONDS": str(HEARTBEAT_TIMEOUT),
            "LAUNCH_HEARTBEAT_TIMEOUT_SECONDS": str(HEARTBEAT_TIMEOUT),
            "VISIBILITY_TIMEOUT_SECONDS": str(queues.VISIBILITY_TIMEOUT_SECONDS),
            "CLOUD_MAP_SERVICE_IDS": service_id,
            # Most tests are about one instance, and its last one: test_last_aggregator.py is not.
            "ALLOW_EMPTY_SERVICE": "true",
            "CLOUD_MAP_PORT": str(PORT),
            "INTERRUPTION_QUEUE_URL": urls["interruption"],
            "INTERRUPTION_DLQ_URL": urls["interruption-dlq"],
            "OPERATION_QUEUE_URL": urls["operation"],
            "OPERATION_DLQ_URL": urls["operation-dlq"],
            "FLUSH_QUEUE_URL": urls["flush"],
            "FLUSH_DLQ_URL": urls["flush-dlq"],
            "BUFFER_QUEUE_URL": urls["buffer"],
            "BUFFER_DLQ_URL": urls["buffer-dlq"],
        }
        pipeline = kind(
            world,
            clock,
            fleet,
            machines,
            RecordingTelemetry(clock=clock),
            clients,
            urls,
            service_id,
            subnet_id,
            environment,
        )
        world.subscribe(pipeline.receive_event)
        pipeline.wire(lambda: fleet)
        yield pipeline
