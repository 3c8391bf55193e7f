"""Entry point of the reconciler: reads settings, builds clients, calls one flow."""

import os
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from lifecycle.adapters import clients
from lifecycle.adapters.autoscaling import AutoScaling
from lifecycle.adapters.run_command import RunCommand
from lifecycle.flows.reconcile import Reconciler
from lifecycle.flows.standing import StandingCheck
from lifecycle.settings import ProofSettings, ReconcilerSettings
from lifecycle.telemetry import Runtime, begin_invocation, on_lambda
from lifecycle.wiring import entrance_of, instances_of, module_of, proof_of, settings_of

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


def wire(
    environment: Mapping[str, str],
    runtime: Runtime | None = None,
    functions: "LambdaClient | None" = None,
) -> Reconciler:
    """Build the reconciler from environment variables; raises ConfigurationError."""
    runtime = runtime or on_lambda()
    settings = settings_of(ReconcilerSettings, environment, runtime)
    uses_prometheus = "EVIDENCE_FUNCTION_NAME" in environment
    proof_settings = settings_of(ProofSettings, environment, runtime) if uses_prometheus else None
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
        standing=StandingCheck(
            settings.autoscaling_group_name,
            instances,
            proof_of(proof_settings, instances, runtime, functions) if proof_settings else None,
            _look(settings),
            runtime,
        ),
        runtime=runtime,
    )


def _look(settings: ReconcilerSettings) -> RunCommand | None:
    name, seconds = settings.flush_document_name, settings.flush_delivery_timeout_seconds
    return RunCommand(clients.ssm(), name, seconds, signals=False) if name else None


@cache
def _wired() -> Reconciler:
    return wire(os.environ)


def handler(event: dict[str, Any], context: object) -> None:  # noqa: ARG001 (Lambda's signature)
    """Entry point of the function ``reconciler``."""
    begin_invocation(context)
    _wired().handle()
