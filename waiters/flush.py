"""Entry point of the flush waiter: reads settings, builds clients, calls one flow."""

import os
import time
from collections.abc import Mapping
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse

from lifecycle.adapters import clients
from lifecycle.adapters.autoscaling import AutoScaling
from lifecycle.adapters.instances import Instances
from lifecycle.adapters.queues import Queue
from lifecycle.adapters.run_command import RunCommand
from lifecycle.events import BufferCheck
from lifecycle.flows.flush import FlushWaiter
from lifecycle.flows.release import Exit, NextStage
from lifecycle.settings import FlushWaiterSettings
from lifecycle.telemetry import PowertoolsTelemetry
from lifecycle.wiring import registration_of, settings_of


def wire(environment: Mapping[str, str]) -> FlushWaiter:
    """Build the waiter from environment variables; raises ConfigurationError."""
    telemetry = PowertoolsTelemetry()
    settings = settings_of(FlushWaiterSettings, environment, telemetry)
    sqs = clients.sqs()
    autoscaling = AutoScaling(clients.autoscaling())
    buffer_queue_url = settings.buffer_queue_url
    return FlushWaiter(
        settings=settings,
        autoscaling=autoscaling,
        exit=Exit(
            autoscaling=autoscaling,
            instances=Instances(clients.ec2_briefly()),
            registration=registration_of(
                settings.cloud_map_service_ids,
                settings.operation_queue_url,
                clients.servicediscovery(),
                sqs,
            ),
            next_stage=NextStage(BufferCheck, Queue(sqs, buffer_queue_url), telemetry)
            if buffer_queue_url
            else None,
            telemetry=telemetry,
            clock=time.time,
        ),
        run_command=RunCommand(
            clients.ssm(), settings.flush_document_name, settings.flush_delivery_timeout_seconds
        ),
        flush_queue=Queue(sqs, settings.flush_queue_url),
        flush_dead_letters=Queue(sqs, settings.flush_dlq_url),
        telemetry=telemetry,
        clock=time.time,
        sleep=time.sleep,
    )


@cache
def _wired() -> FlushWaiter:
    return wire(os.environ)


def handler(event: dict[str, Any], context: object) -> PartialItemFailureResponse:  # noqa: ARG001 (Lambda's signature)
    """Entry point of the function ``flush-waiter``."""
    return _wired().handle(event)
