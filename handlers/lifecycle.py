"""Entry point of the lifecycle handler: reads settings, builds clients, calls one flow."""

import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from lifecycle.adapters import clients
from lifecycle.adapters.autoscaling import AutoScaling
from lifecycle.flows.lifecycle import LifecycleHandler
from lifecycle.settings import LifecycleHandlerSettings
from lifecycle.telemetry import Runtime, begin_invocation, on_lambda
from lifecycle.wiring import entrance_of, instances_of, scope_of, settings_of


def wire(environment: Mapping[str, str], runtime: Runtime | None = None) -> LifecycleHandler:
    """Build the handler from environment variables; raises ConfigurationError."""
    runtime = runtime or on_lambda()
    settings = settings_of(LifecycleHandlerSettings, environment, runtime)
    autoscaling = AutoScaling(clients.autoscaling())
    instances = instances_of(settings, clients.ec2())
    return LifecycleHandler(
        settings=settings,
        scope=scope_of(settings, autoscaling),
        entrance=entrance_of(settings, autoscaling, instances, runtime),
        runtime=runtime,
    )


@cache
def _wired() -> LifecycleHandler:
    return wire(os.environ)


def handler(event: dict[str, Any], context: object) -> None:
    """Entry point of the function ``lifecycle``."""
    begin_invocation(context)
    _wired().handle(event)
