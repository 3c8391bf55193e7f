"""Entry point of the flush waiter: reads settings, builds clients, calls one flow."""

from collections.abc import Mapping

from lifecycle.flows.batch import Stage
from lifecycle.flows.flush import FlushWaiter
from lifecycle.messages import FlushCheck
from lifecycle.settings import FlushWaiterSettings
from lifecycle.telemetry import Runtime
from lifecycle.wiring import EntryPoint, StageParts, settings_of


def wire(environment: Mapping[str, str], runtime: Runtime) -> Stage[FlushCheck]:
    """Build the waiter's stage from environment variables; raises ConfigurationError."""
    settings = settings_of(FlushWaiterSettings, environment, runtime)
    parts = StageParts(settings, runtime)
    run_command = parts.run_command(settings)
    assert run_command is not None  # settings require a document
    waiter = FlushWaiter(
        settings=settings,
        exit=parts.exit(parts.draining_stage(None, settings.buffer_queue_url)),
        run_command=run_command,
        runtime=runtime,
    )
    return parts.stage(FlushCheck, waiter, settings.flush_queue_url, settings.flush_dlq_url)


handler = EntryPoint(wire)
