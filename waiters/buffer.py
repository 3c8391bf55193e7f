"""Entry point of the buffer waiter: reads settings, builds clients, calls one flow."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lifecycle.flows.batch import Stage
from lifecycle.flows.buffer import BufferWaiter
from lifecycle.messages import BufferCheck
from lifecycle.settings import BufferWaiterSettings
from lifecycle.telemetry import Runtime
from lifecycle.wiring import EntryPoint, StageParts, settings_of

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


def wire(
    environment: Mapping[str, str],
    runtime: Runtime,
    functions: "LambdaClient | None" = None,
) -> Stage[BufferCheck]:
    """Build the waiter's stage from environment variables; raises ConfigurationError."""
    settings = settings_of(BufferWaiterSettings, environment, runtime)
    parts = StageParts(settings, runtime, functions)
    proof = parts.proof(settings)
    waiter = BufferWaiter(
        instances=parts.instances, exit=parts.exit(None), proof=proof, runtime=runtime
    )
    return parts.stage(
        BufferCheck,
        waiter,
        settings.buffer_queue_url,
        settings.buffer_dlq_url,
        # Or a queue that was cleared meanwhile would lie before the next window.
        longest_pause_seconds=proof.rules.unbroken_seconds,
    )


handler = EntryPoint(wire)
