"""Entry point of the buffer waiter: reads settings, builds clients, calls one flow."""

import os
from collections.abc import Mapping
from functools import cache, partial
from typing import TYPE_CHECKING

from lifecycle.flows.batch import Stage
from lifecycle.flows.buffer import BufferWaiter
from lifecycle.messages import BufferCheck
from lifecycle.settings import BufferWaiterSettings
from lifecycle.telemetry import Runtime, on_lambda
from lifecycle.wiring import StageParts, entry_point, settings_of

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


def wire(
    environment: Mapping[str, str],
    runtime: Runtime | None = None,
    functions: "LambdaClient | None" = None,
) -> Stage[BufferCheck]:
    """Build the waiter's stage from environment variables; raises ConfigurationError."""
    runtime = runtime or on_lambda()
    settings = settings_of(BufferWaiterSettings, environment, runtime)
    parts = StageParts(settings, runtime, functions)
    waiter = BufferWaiter(
        instances=parts.instances,
        exit=parts.exit(None),
        proof=parts.proof(settings),
        polls=parts.polls,
        runtime=runtime,
    )
    return parts.stage(BufferCheck, waiter, settings.buffer_queue_url, settings.buffer_dlq_url)


_wired = cache(partial(wire, os.environ))
handler = entry_point(_wired)
