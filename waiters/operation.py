"""Entry point of the operation waiter: reads settings, builds clients, calls one flow."""

import os
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse

from lifecycle.adapters import clients
from lifecycle.adapters.autoscaling import AutoScaling
from lifecycle.adapters.queues import Queue
from lifecycle.flows.batch import Stage
from lifecycle.flows.marking import Marker
from lifecycle.flows.operation import OperationWaiter
from lifecycle.messages import OperationCheck
from lifecycle.settings import OperationWaiterSettings
from lifecycle.telemetry import Runtime, begin_invocation, on_lambda
from lifecycle.wiring import (
    discovery_of,
    first_draining_stage,
    heartbeats_of,
    instances_of,
    polls_of,
    readiness_of,
    scope_of,
    settings_of,
)

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


def wire(
    environment: Mapping[str, str],
    runtime: Runtime | None = None,
    functions: "LambdaClient | None" = None,
) -> Stage[OperationCheck]:
    """Build the waiter's stage from environment variables; raises ConfigurationError."""
    runtime = runtime or on_lambda()
    settings = settings_of(OperationWaiterSettings, environment, runtime)
    sqs = clients.sqs()
    autoscaling = AutoScaling(clients.autoscaling())
    instances = instances_of(settings, clients.ec2())
    discovery = discovery_of(settings, autoscaling, instances, sqs, runtime)
    assert discovery is not None  # settings require a fleet in Cloud Map
    waiter = OperationWaiter(
        autoscaling=autoscaling,
        instances=instances,
        marker=Marker(instances, runtime),
        discovery=discovery,
        next_stage=first_draining_stage(
            settings.flush_queue_url, settings.buffer_queue_url, sqs, runtime
        ),
        polls=polls_of(settings),
        runtime=runtime,
        readiness=readiness_of(settings, environment, instances, runtime, functions),
    )
    return Stage(
        scope=scope_of(settings, autoscaling),
        model=OperationCheck,
        waiter=waiter,
        queue=discovery.operation_queue,
        dead_letters=Queue(sqs, settings.operation_dlq_url),
        heartbeats=heartbeats_of(settings, autoscaling, runtime),
        polls=waiter.polls,
        runtime=runtime,
    )


@cache
def _wired() -> Stage[OperationCheck]:
    return wire(os.environ)


def handler(event: dict[str, Any], context: object) -> PartialItemFailureResponse:
    """Entry point of the function ``operation-waiter``."""
    begin_invocation(context)
    return _wired().handle(event)
