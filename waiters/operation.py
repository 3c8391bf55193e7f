"""Entry point of the operation waiter: reads settings, builds clients, calls one flow."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lifecycle.flows.batch import Stage
from lifecycle.flows.operation import OperationWaiter
from lifecycle.messages import OperationCheck
from lifecycle.settings import OperationWaiterSettings
from lifecycle.telemetry import Runtime
from lifecycle.wiring import EntryPoint, StageParts, settings_of

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


def wire(
    environment: Mapping[str, str],
    runtime: Runtime,
    functions: "LambdaClient | None" = None,
) -> Stage[OperationCheck]:
    """Build the waiter's stage from environment variables; raises ConfigurationError."""
    settings = settings_of(OperationWaiterSettings, environment, runtime)
    parts = StageParts(settings, runtime, functions)
    next_stage = parts.draining_stage(settings.flush_queue_url, settings.buffer_queue_url)
    assert parts.discovery is not None  # settings require a fleet in Cloud Map
    assert next_stage is not None  # and a stage that drains
    waiter = OperationWaiter(
        autoscaling=parts.autoscaling,
        instances=parts.instances,
        marker=parts.marker,
        discovery=parts.discovery,
        next_stage=next_stage,
        polls=parts.polls,
        runtime=runtime,
        readiness=parts.readiness(settings, environment),
    )
    return parts.stage(
        OperationCheck, waiter, settings.operation_queue_url, settings.operation_dlq_url
    )


handler = EntryPoint(wire)
