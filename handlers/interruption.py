"""Entry point of the interruption handler: reads settings, builds clients, calls one flow."""

import os
import time
from collections.abc import Mapping
from functools import cache
from typing import Any

from lifecycle.adapters import clients
from lifecycle.adapters.autoscaling import AutoScaling
from lifecycle.adapters.cloud_map import CloudMap
from lifecycle.adapters.instances import Instances
from lifecycle.adapters.run_command import RunCommand
from lifecycle.flows.interruption import InterruptionHandler
from lifecycle.settings import InterruptionSettings
from lifecycle.telemetry import PowertoolsTelemetry
from lifecycle.wiring import settings_of


def wire(environment: Mapping[str, str]) -> InterruptionHandler:
    """Build the handler from environment variables; raises ConfigurationError."""
    telemetry = PowertoolsTelemetry()
    settings = settings_of(InterruptionSettings, environment, telemetry)
    service_ids, document_name = settings.cloud_map_service_ids, settings.flush_document_name
    return InterruptionHandler(
        settings=settings,
        autoscaling=AutoScaling(clients.autoscaling()),
        instances=Instances(clients.ec2()),
        cloud_map=CloudMap(clients.servicediscovery(), service_ids) if service_ids else None,
        run_command=RunCommand(
            clients.ssm(), document_name, settings.flush_delivery_timeout_seconds
        )
        if document_name
        else None,
        telemetry=telemetry,
        clock=time.time,
        sleep=time.sleep,
    )


@cache
def _wired() -> InterruptionHandler:
    return wire(os.environ)


def handler(event: dict[str, Any], context: object) -> None:  # noqa: ARG001 (Lambda's signature)
    """Entry point of the function ``interruption``."""
    _wired().handle(event)
