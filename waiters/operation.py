"""Entry point of the operation waiter: reads settings, builds clients, calls one flow."""

import os
import time
from collections.abc import Mapping
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse

from lifecycle.adapters import clients
from lifecycle.adapters.autoscaling import AutoScaling
from lifecycle.adapters.cloud_map import CloudMap
from lifecycle.adapters.instances import Instances
from lifecycle.adapters.queues import Queue
from lifecycle.flows.operation import OperationWaiter
from lifecycle.flows.placement import Placement
from lifecycle.settings import OperationWaiterSettings
from lifecycle.telemetry import PowertoolsTelemetry
from lifecycle.wiring import first_draining_stage, settings_of


def wire(environment: Mapping[str, str]) -> OperationWaiter:
    """Build the waiter from environment variables; raises ConfigurationError."""
    telemetry = PowertoolsTelemetry()
    settings = settings_of(OperationWaiterSettings, environment, telemetry)
    sqs = clients.sqs()
    autoscaling = AutoScaling(clients.autoscaling())
    instances = Instances(clients.ec2())
    cloud_map = CloudMap(clients.servicediscovery(), settings.cloud_map_service_ids)
    return OperationWaiter(
        settings=settings,
        autoscaling=autoscaling,
        instances=instances,
        cloud_map=cloud_map,
        placement=Placement(
            cloud_map, autoscaling, instances, settings.cloud_map_port, telemetry, time.time
        ),
        operation_queue=Queue(sqs, settings.operation_queue_url),
        operation_dead_letters=Queue(sqs, settings.operation_dlq_url),
        next_stage=first_draining_stage(
            settings.flush_queue_url, settings.buffer_queue_url, sqs, telemetry
        ),
        telemetry=telemetry,
        clock=time.time,
    )


@cache
def _wired() -> OperationWaiter:
    return wire(os.environ)


def handler(event: dict[str, Any], context: object) -> PartialItemFailureResponse:  # noqa: ARG001 (Lambda's signature)
    """Entry point of the function ``operation-waiter``."""
    return _wired().handle(event)
