"""Entry point of the interruption handler: reads settings, builds clients, calls one flow."""

import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse

from lifecycle.adapters import clients
from lifecycle.adapters.autoscaling import AutoScaling
from lifecycle.adapters.queues import Queue
from lifecycle.adapters.run_command import RunCommand
from lifecycle.flows.interruption import InterruptionHandler
from lifecycle.flows.sudden_end import SuddenEnds
from lifecycle.settings import InterruptionSettings
from lifecycle.telemetry import Runtime, begin_invocation, on_lambda
from lifecycle.wiring import discovery_of, instances_of, module_of, settings_of


def wire(environment: Mapping[str, str], runtime: Runtime | None = None) -> InterruptionHandler:
    """Build the handler from environment variables; raises ConfigurationError."""
    runtime = runtime or on_lambda()
    settings = settings_of(InterruptionSettings, environment, runtime)
    autoscaling = AutoScaling(clients.autoscaling())
    instances = instances_of(settings, clients.ec2())
    sqs, document_name = clients.sqs(), settings.flush_document_name
    return InterruptionHandler(
        module=module_of(settings),
        autoscaling=autoscaling,
        instances=instances,
        ends=SuddenEnds(
            autoscaling_group_name=settings.autoscaling_group_name,
            instances=instances,
            discovery=discovery_of(settings, autoscaling, instances, sqs, runtime),
            run_command=RunCommand(
                clients.ssm(), document_name, settings.flush_delivery_timeout_seconds
            )
            if document_name
            else None,
            runtime=runtime,
        ),
        queue=Queue(sqs, settings.interruption_queue_url),
        dead_letters=Queue(sqs, settings.interruption_dlq_url),
        runtime=runtime,
    )


@cache
def _wired() -> InterruptionHandler:
    return wire(os.environ)


def handler(event: dict[str, Any], context: object) -> PartialItemFailureResponse | None:
    """Entry point of the function ``interruption``."""
    begin_invocation(context)
    return _wired().handle(event)
