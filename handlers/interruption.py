"""Entry point of the interruption handler: reads settings, builds clients, calls one flow."""

from collections.abc import Mapping

from lifecycle.flows.interruption import InterruptionHandler
from lifecycle.flows.sudden_end import SuddenEnds
from lifecycle.settings import InterruptionSettings
from lifecycle.telemetry import Runtime
from lifecycle.wiring import EntryPoint, Parts, settings_of


def wire(environment: Mapping[str, str], runtime: Runtime) -> InterruptionHandler:
    """Build the handler from environment variables; raises ConfigurationError."""
    settings = settings_of(InterruptionSettings, environment, runtime)
    parts = Parts(settings, runtime)
    return InterruptionHandler(
        module=parts.module,
        autoscaling=parts.autoscaling,
        instances=parts.instances,
        ends=SuddenEnds(
            autoscaling_group_name=settings.autoscaling_group_name,
            instances=parts.instances,
            marker=parts.marker,
            discovery=parts.discovery,
            run_command=parts.run_command(settings),
            runtime=runtime,
        ),
        queue=parts.queue(settings.interruption_queue_url),
        dead_letters=parts.queue(settings.interruption_dlq_url),
        runtime=runtime,
    )


handler = EntryPoint(wire)
