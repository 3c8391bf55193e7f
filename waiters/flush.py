"""Entry point of the flush waiter: reads settings, builds clients, calls one flow."""

import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse

from lifecycle.adapters import clients
from lifecycle.adapters.autoscaling import AutoScaling
from lifecycle.adapters.queues import Queue
from lifecycle.adapters.run_command import RunCommand
from lifecycle.flows.batch import Stage
from lifecycle.flows.flush import FlushWaiter
from lifecycle.flows.stage import NextStage
from lifecycle.messages import BufferCheck, FlushCheck
from lifecycle.settings import FlushWaiterSettings
from lifecycle.telemetry import Runtime, begin_invocation, on_lambda
from lifecycle.wiring import exit_of, heartbeats_of, polls_of, scope_of, settings_of


def wire(environment: Mapping[str, str], runtime: Runtime | None = None) -> Stage[FlushCheck]:
    """Build the waiter's stage from environment variables; raises ConfigurationError."""
    runtime = runtime or on_lambda()
    settings = settings_of(FlushWaiterSettings, environment, runtime)
    sqs = clients.sqs()
    autoscaling = AutoScaling(clients.autoscaling())
    buffer_url = settings.buffer_queue_url
    next_stage = NextStage(BufferCheck, Queue(sqs, buffer_url), runtime) if buffer_url else None
    waiter = FlushWaiter(
        settings=settings,
        exit=exit_of(settings, autoscaling, next_stage, sqs, runtime),
        run_command=RunCommand(
            clients.ssm(), settings.flush_document_name, settings.flush_delivery_timeout_seconds
        ),
        polls=polls_of(settings),
        runtime=runtime,
    )
    return Stage(
        scope=scope_of(settings, autoscaling),
        model=FlushCheck,
        waiter=waiter,
        queue=Queue(sqs, settings.flush_queue_url),
        dead_letters=Queue(sqs, settings.flush_dlq_url),
        heartbeats=heartbeats_of(settings, autoscaling, runtime),
        polls=waiter.polls,
        runtime=runtime,
    )


@cache
def _wired() -> Stage[FlushCheck]:
    return wire(os.environ)


def handler(event: dict[str, Any], context: object) -> PartialItemFailureResponse:
    """Entry point of the function ``flush-waiter``."""
    begin_invocation(context)
    return _wired().handle(event)
