"""Entry point of the lifecycle handler: reads settings, builds clients, calls one flow."""

import os
from collections.abc import Mapping
from functools import cache, partial

from lifecycle.flows.lifecycle import LifecycleHandler
from lifecycle.settings import LifecycleHandlerSettings
from lifecycle.telemetry import Runtime, on_lambda
from lifecycle.wiring import Parts, entry_point, settings_of


def wire(environment: Mapping[str, str], runtime: Runtime | None = None) -> LifecycleHandler:
    """Build the handler from environment variables; raises ConfigurationError."""
    runtime = runtime or on_lambda()
    settings = settings_of(LifecycleHandlerSettings, environment, runtime)
    parts = Parts(settings, runtime)
    return LifecycleHandler(settings, parts.scope, parts.entrance(settings), runtime)


_wired = cache(partial(wire, os.environ))
handler = entry_point(_wired)
