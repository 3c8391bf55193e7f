"""Entry point of the interruption handler: reads settings, builds clients, calls one flow."""

import os
from collections.abc import Mapping
from functools import cache, partial

from lifecycle.flows.interruption import InterruptionHandler
from lifecycle.flows.sudden_end import SuddenEnds
from lifecycle.settings import InterruptionSettings
from lifecycle.telemetry import Runtime, on_lambda
from lifecycle.wiring import Parts, entry_point, settings_of


def wire(environment: Mapping[str, str], runtime: Runtime | None = None) -> InterruptionHandler:
    """Build the handler from environment variables; raises ConfigurationError."""
    runtime = runtime or on_lambda()
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


_wired = cache(partial(wire, os.environ))
handler = entry_point(_wired)
