"""Entry point of the reconciler: reads settings, builds clients, calls one flow."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lifecycle.flows.reconcile import Reconciler
from lifecycle.flows.standing import StandingCheck
from lifecycle.flows.survey import Survey
from lifecycle.settings import ProofSettings, ReconcilerSettings
from lifecycle.telemetry import Runtime
from lifecycle.wiring import EntryPoint, Parts, settings_of

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


def wire(
    environment: Mapping[str, str],
    runtime: Runtime,
    functions: "LambdaClient | None" = None,
) -> Reconciler:
    """Build the reconciler from environment variables; raises ConfigurationError."""
    settings = settings_of(ReconcilerSettings, environment, runtime)
    uses_prometheus = "EVIDENCE_FUNCTION_NAME" in environment
    proof_settings = settings_of(ProofSettings, environment, runtime) if uses_prometheus else None
    parts = Parts(settings, runtime, functions)
    return Reconciler(
        settings=settings,
        survey=Survey(
            settings=settings,
            module=parts.module,
            autoscaling=parts.autoscaling,
            instances=parts.instances,
            cloud_map=parts.discovery.cloud_map if parts.discovery else None,
            runtime=runtime,
        ),
        autoscaling=parts.autoscaling,
        instances=parts.instances,
        marker=parts.marker,
        entrance=parts.entrance(settings),
        standing=StandingCheck(
            settings.autoscaling_group_name,
            parts.instances,
            parts.proof(proof_settings) if proof_settings else None,
            parts.run_command(settings, signals=False),
            runtime,
        ),
        runtime=runtime,
    )


handler = EntryPoint(wire)
