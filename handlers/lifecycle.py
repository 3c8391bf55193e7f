"""Entry point of the lifecycle handler: reads settings, builds clients, calls one flow."""

from collections.abc import Mapping

from lifecycle.flows.lifecycle import LifecycleHandler
from lifecycle.settings import LifecycleHandlerSettings
from lifecycle.telemetry import Runtime
from lifecycle.wiring import EntryPoint, Parts, settings_of


def wire(environment: Mapping[str, str], runtime: Runtime) -> LifecycleHandler:
    """Build the handler from environment variables; raises ConfigurationError."""
    settings = settings_of(LifecycleHandlerSettings, environment, runtime)
    parts = Parts(settings, runtime)
    return LifecycleHandler(settings, parts.scope, parts.entrance(settings), runtime)


handler = EntryPoint(wire)
