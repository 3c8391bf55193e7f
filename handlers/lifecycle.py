"""Entry point of the lifecycle handler: reads settings, builds clients, calls one flow."""

import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from lifecycle.adapters import clients
from lifecycle.adapters.autoscaling import AutoScaling
from lifecycle.flows.lifecycle import LifecycleHandler
from lifecycle.settings import LifecycleHandlerSettings
from lifecycle.telemetry import PowertoolsTelemetry
from lifecycle.wiring import pipeline_of, settings_of


def wire(environment: Mapping[str, str]) -> LifecycleHandler:
    """Build the handler from environment variables; raises ConfigurationError."""
    telemetry = PowertoolsTelemetry()
    settings = settings_of(LifecycleHandlerSettings, environment, telemetry)
    autoscaling = AutoScaling(clients.autoscaling())
    return LifecycleHandler(
        settings=settings,
        pipeline=pipeline_of(settings, autoscaling, telemetry),
        telemetry=telemetry,
    )


@cache
def _wired() -> LifecycleHandler:
    return wire(os.environ)


def handler(event: dict[str, Any], context: object) -> None:  # noqa: ARG001 (Lambda's signature)
    """Entry point of the function ``lifecycle``."""
    _wired().handle(event)
