"""Entry point of the reconciler: reads settings, builds clients, calls one flow."""

import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from lifecycle.adapters import clients
from lifecycle.adapters.autoscaling import AutoScaling
from lifecycle.flows.reconcile import Reconciler
from lifecycle.settings import ReconcilerSettings
from lifecycle.telemetry import Runtime, begin_invocation, on_lambda
from lifecycle.wiring import entrance_of, instances_of, module_of, settings_of


def wire(environment: Mapping[str, str], runtime: Runtime | None = None) -> Reconciler:
    """Build the reconciler from environment variables; raises ConfigurationError."""
    runtime = runtime or on_lambda()
    settings = settings_of(ReconcilerSettings, environment, runtime)
    autoscaling = AutoScaling(clients.autoscaling())
    instances = instances_of(settings, clients.ec2())
    entrance = entrance_of(settings, autoscaling, instances, runtime)
    return Reconciler(
        settings=settings,
        module=module_of(settings),
        autoscaling=autoscaling,
        instances=instances,
        marker=entrance.marker,
        entrance=entrance,
        runtime=runtime,
    )


@cache
def _wired() -> Reconciler:
    return wire(os.environ)


def handler(event: dict[str, Any], context: object) -> None:  # noqa: ARG001 (Lambda's signature)
    """Entry point of the function ``reconciler``."""
    begin_invocation(context)
    _wired().handle()
