"""Entry point of the evidence function: reads settings, builds clients, calls one flow.

The only function that asks Prometheus, and the only one inside a VPC. Without credentials to read
it calls no AWS API, so the VPC needs neither endpoint nor NAT; with a secret it reads that one.
"""

import os
from collections.abc import Callable, Mapping
from functools import cache, partial

from lifecycle.adapters import prometheus
from lifecycle.adapters.credentials import CredentialsSource
from lifecycle.flows.evidence import Prover
from lifecycle.settings import EvidenceSettings
from lifecycle.telemetry import Runtime, on_lambda
from lifecycle.wiring import entry_point, settings_of

Querier = Callable[[], prometheus.Querier]


def wire(
    environment: Mapping[str, str],
    runtime: Runtime | None = None,
    querier: Querier | None = None,
) -> Prover:
    """Build the function from environment variables; raises ConfigurationError."""
    runtime = runtime or on_lambda()
    settings = settings_of(EvidenceSettings, environment, runtime)
    return Prover(querier or _querier(settings), runtime)


def _querier(settings: EvidenceSettings) -> Querier:
    credentials = CredentialsSource(settings)

    def querier() -> prometheus.Querier:
        authentication = credentials.authentication()
        return prometheus.connect(
            settings.prometheus_url,
            settings.prometheus_request_timeout_seconds,
            authentication.auth,
            authentication.headers,
            settings.prometheus_dialect,
        )

    return querier


_wired = cache(partial(wire, os.environ))
handler = entry_point(_wired)
