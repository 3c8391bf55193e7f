"""Entry point of the buffer waiter: reads settings, builds clients, calls one flow."""

import os
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse

from lifecycle.adapters import clients, prometheus
from lifecycle.adapters.autoscaling import AutoScaling
from lifecycle.adapters.credentials import CredentialsSource
from lifecycle.adapters.instances import Instances
from lifecycle.adapters.queues import Queue
from lifecycle.flows.buffer import BufferWaiter
from lifecycle.flows.release import Exit
from lifecycle.settings import BufferWaiterSettings
from lifecycle.telemetry import PowertoolsTelemetry
from lifecycle.wiring import registration_of, settings_of


def wire(environment: Mapping[str, str]) -> BufferWaiter:
    """Build the waiter from environment variables; raises ConfigurationError."""
    telemetry = PowertoolsTelemetry()
    settings = settings_of(BufferWaiterSettings, environment, telemetry)
    sqs = clients.sqs()
    autoscaling = AutoScaling(clients.autoscaling())
    return BufferWaiter(
        settings=settings,
        autoscaling=autoscaling,
        instances=Instances(clients.ec2()),
        exit=Exit(
            autoscaling=autoscaling,
            instances=Instances(clients.ec2_briefly()),
            registration=registration_of(
                settings.cloud_map_service_ids,
                settings.operation_queue_url,
                clients.servicediscovery(),
                sqs,
            ),
            next_stage=None,
            telemetry=telemetry,
            clock=time.time,
        ),
        querier=_querier(settings),
        buffer_queue=Queue(sqs, settings.buffer_queue_url),
        buffer_dead_letters=Queue(sqs, settings.buffer_dlq_url),
        telemetry=telemetry,
        clock=time.time,
    )


def _querier(settings: BufferWaiterSettings) -> Callable[[], prometheus.Querier]:
    credentials = CredentialsSource(settings)

    def querier() -> prometheus.Querier:
        authentication = credentials.authentication()
        return prometheus.connect(
            settings.prometheus_url,
            settings.prometheus_request_timeout_seconds,
            authentication.auth,
            authentication.headers,
        )

    return querier


@cache
def _wired() -> BufferWaiter:
    return wire(os.environ)


def handler(event: dict[str, Any], context: object) -> PartialItemFailureResponse:  # noqa: ARG001 (Lambda's signature)
    """Entry point of the function ``buffer-waiter``."""
    return _wired().handle(event)
