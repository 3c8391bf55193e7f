"""Entry point of the buffer waiter: reads settings, builds clients, calls one flow."""

import os
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse

from lifecycle.adapters import clients, prometheus
from lifecycle.adapters.autoscaling import AutoScaling
from lifecycle.adapters.credentials import CredentialsSource
from lifecycle.adapters.instances import Instances
from lifecycle.adapters.queues import Queue
from lifecycle.flows.batch import Stage
from lifecycle.flows.buffer import BufferWaiter
from lifecycle.messages import BufferCheck
from lifecycle.settings import BufferWaiterSettings
from lifecycle.telemetry import Runtime, begin_invocation, on_lambda
from lifecycle.wiring import exit_of, heartbeats_of, polls_of, settings_of

Querier = Callable[[], prometheus.Querier]


def wire(
    environment: Mapping[str, str],
    runtime: Runtime | None = None,
    querier: Querier | None = None,
) -> Stage[BufferCheck]:
    """Build the waiter's stage from environment variables; raises ConfigurationError."""
    runtime = runtime or on_lambda()
    settings = settings_of(BufferWaiterSettings, environment, runtime)
    sqs = clients.sqs()
    autoscaling = AutoScaling(clients.autoscaling())
    waiter = BufferWaiter(
        settings=settings,
        instances=Instances(clients.ec2()),
        exit=exit_of(settings, autoscaling, None, sqs, runtime),
        querier=querier or _querier(settings),
        polls=polls_of(settings),
        runtime=runtime,
    )
    return Stage(
        autoscaling_group_name=settings.autoscaling_group_name,
        model=BufferCheck,
        waiter=waiter,
        queue=Queue(sqs, settings.buffer_queue_url),
        dead_letters=Queue(sqs, settings.buffer_dlq_url),
        heartbeats=heartbeats_of(settings, autoscaling, runtime),
        polls=waiter.polls,
        runtime=runtime,
    )


def _querier(settings: BufferWaiterSettings) -> Querier:
    credentials = CredentialsSource(settings)

    def querier() -> prometheus.Querier:
        authentication = credentials.authentication()
        return prometheus.connect(
            settings.prometheus_url,
            settings.prometheus_request_timeout_seconds,
            authentication.auth,
            authentication.headers,
            settings.prometheus_dialect,
        )

    return querier


@cache
def _wired() -> Stage[BufferCheck]:
    return wire(os.environ)


def handler(event: dict[str, Any], context: object) -> PartialItemFailureResponse:
    """Entry point of the function ``buffer-waiter``."""
    begin_invocation(context)
    return _wired().handle(event)
