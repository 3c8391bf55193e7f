"""Entry point of the evidence function: reads settings, builds clients, calls one flow.

The only function that asks Prometheus, and the only one inside a VPC. Without credentials to read
it calls no AWS API, so the VPC needs neither endpoint nor NAT; with a secret it reads that one.
"""

from collections.abc import Callable, Mapping

from lifecycle.adapters.credentials import CredentialsSource
from lifecycle.adapters.prometheus_session import Querier, connect
from lifecycle.flows.evidence import Prover
from lifecycle.settings import EvidenceSettings
from lifecycle.telemetry import Runtime
from lifecycle.wiring import EntryPoint, settings_of


def wire(
    environment: Mapping[str, str],
    runtime: Runtime,
    querier: Callable[[], Querier] | None = None,
) -> Prover:
    """Build the function from environment variables; raises ConfigurationError."""
    settings = settings_of(EvidenceSettings, environment, runtime)
    return Prover(querier or _querier(settings), runtime)


def _querier(settings: EvidenceSettings) -> Callable[[], Querier]:
    credentials = CredentialsSource(settings)

    def querier() -> Querier:
        authentication = credentials.authentication()
        return connect(settings, authentication.auth, authentication.headers)

    return querier


handler = EntryPoint(wire)
