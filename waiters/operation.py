"""Entry point of the operation waiter: reads settings, builds clients, calls one flow."""

import os
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse

from lifecycle.adapters import clients
from lifecycle.adapters.autoscaling import AutoScaling
from lifecycle.adapters.instances import Instances
from lifecycle.adapters.queues import Queue
from lifecycle.flows.batch import Stage
from lifecycle.flows.marking import Marker
from lifecycle.flows.operation import OperationWaiter
from lifecycle.flows.readiness import Readiness
from lifecycle.messages import OperationCheck
from lifecycle.settings import OperationWaiterSettings, ProofSettings, ReadinessBy
from lifecycle.telemetry import Runtime, begin_invocation, on_lambda
from lifecycle.wiring import (
    discovery_of,
    first_draining_stage,
    heartbeats_of,
    polls_of,
    proof_of,
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
    autoscaling, instances = AutoScaling(clients.autoscaling()), Instances(clients.ec2())
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
        readiness=_readiness(settings, environment, instances, runtime, functions),
    )
    return Stage(
        autoscaling_group_name=settings.autoscaling_group_name,
        model=OperationCheck,
        waiter=waiter,
        queue=discovery.operation_queue,
        dead_letters=Queue(sqs, settings.operation_dlq_url),
        heartbeats=heartbeats_of(settings, autoscaling, runtime),
        polls=waiter.polls,
        runtime=runtime,
    )


def _readiness(
    settings: OperationWaiterSettings,
    environment: Mapping[str, str],
    instances: Instances,
    runtime: Runtime,
    functions: "LambdaClient | None",
) -> Readiness | None:
    if settings.readiness is ReadinessBy.OFF:
        return None
    proof_settings = settings_of(ProofSettings, environment, runtime)
    proof = proof_of(proof_settings, instances, runtime, functions)
    return Readiness(proof, instances, settings.readiness_unknown_seconds, runtime)


@cache
def _wired() -> Stage[OperationCheck]:
    return wire(os.environ)


def handler(event: dict[str, Any], context: object) -> PartialItemFailureResponse:
    """Entry point of the function ``operation-waiter``."""
    begin_invocation(context)
    return _wired().handle(event)
