"""Entry point of the buffer waiter: reads settings, builds clients, calls one flow."""

import os
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse

from lifecycle.adapters import clients
from lifecycle.adapters.autoscaling import AutoScaling
from lifecycle.adapters.queues import Queue
from lifecycle.flows.batch import Stage
from lifecycle.flows.buffer import BufferWaiter
from lifecycle.messages import BufferCheck
from lifecycle.settings import BufferWaiterSettings
from lifecycle.telemetry import Runtime, begin_invocation, on_lambda
from lifecycle.wiring import (
    exit_of,
    heartbeats_of,
    instances_of,
    polls_of,
    proof_of,
    scope_of,
    settings_of,
)

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


def wire(
    environment: Mapping[str, str],
    runtime: Runtime | None = None,
    functions: "LambdaClient | None" = None,
) -> Stage[BufferCheck]:
    """Build the waiter's stage from environment variables; raises ConfigurationError."""
    runtime = runtime or on_lambda()
    settings = settings_of(BufferWaiterSettings, environment, runtime)
    sqs = clients.sqs()
    autoscaling = AutoScaling(clients.autoscaling())
    instances = instances_of(settings, clients.ec2())
    waiter = BufferWaiter(
        instances=instances,
        exit=exit_of(settings, autoscaling, None, sqs, runtime),
        proof=proof_of(settings, instances, runtime, functions),
        polls=polls_of(settings),
        runtime=runtime,
    )
    return Stage(
        scope=scope_of(settings, autoscaling),
        model=BufferCheck,
        waiter=waiter,
        queue=Queue(sqs, settings.buffer_queue_url),
        dead_letters=Queue(sqs, settings.buffer_dlq_url),
        heartbeats=heartbeats_of(settings, autoscaling, runtime),
        polls=waiter.polls,
        runtime=runtime,
    )


@cache
def _wired() -> Stage[BufferCheck]:
    return wire(os.environ)


def handler(event: dict[str, Any], context: object) -> PartialItemFailureResponse:
    """Entry point of the function ``buffer-waiter``."""
    begin_invocation(context)
    return _wired().handle(event)
