"""Entry point of the reconcile handler: reads settings, builds clients, calls one flow."""

import os
import time
from collections.abc import Mapping
from functools import cache
from typing import Any

from lifecycle.adapters import clients
from lifecycle.adapters.autoscaling import AutoScaling
from lifecycle.flows.placement import Placement
from lifecycle.flows.reconcile import Reconciler
from lifecycle.flows.release import Registration
from lifecycle.settings import ReconcilerSettings
from lifecycle.telemetry import PowertoolsTelemetry
from lifecycle.wiring import pipeline_of, settings_of


def wire(environment: Mapping[str, str]) -> Reconciler:
    """Build the reconciler from environment variables; raises ConfigurationError."""
    telemetry = PowertoolsTelemetry()
    settings = settings_of(ReconcilerSettings, environment, telemetry)
    autoscaling = AutoScaling(clients.autoscaling())
    pipeline = pipeline_of(settings, autoscaling, telemetry)
    cloud_map = pipeline.start.cloud_map if isinstance(pipeline.start, Registration) else None
    return Reconciler(
        settings=settings,
        autoscaling=autoscaling,
        instances=pipeline.instances,
        cloud_map=cloud_map,
        placement=Placement(
            cloud_map, autoscaling, pipeline.instances, pipeline.port, telemetry, time.time
        )
        if cloud_map is not None and pipeline.port is not None
        else None,
        pipeline=pipeline,
        telemetry=telemetry,
        clock=time.time,
        sleep=time.sleep,
    )


@cache
def _wired() -> Reconciler:
    return wire(os.environ)


def handler(event: dict[str, Any], context: object) -> None:  # noqa: ARG001 (Lambda's signature)
    """Entry point of the function ``reconciler``."""
    _wired().handle()
