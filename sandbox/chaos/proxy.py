"""microburst, a proxy that fails calls in AWS's own wire format, before an emulator."""

import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.chaos.plan import Fault, kind_of
from sandbox.host.http import request
from sandbox.host.ports import LOOPBACK, free_port
from sandbox.host.processes import Processes, clean_environment

PROJECT = Path(__file__).parents[2]
READY_SECONDS = 60.0
ASK_SECONDS = 10.0
_METRIC = re.compile(r'microburst_faults_total\{service="([^"]*)",.*action="([^"]*)"\} (\d+)')

Faults = Counter[tuple[str, Fault]]
"""How often each fault hit each service."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What went through a proxy so far: calls by service, and the faults among them."""

    calls: Counter[str]
    faults: Faults


@dataclass(frozen=True, slots=True)
class FaultProxy:
    """One proxy; without rules it forwards everything."""

    address: str

    @classmethod
    def start(cls, processes: Processes, name: str, upstream: str, seed: str) -> "FaultProxy":
        """Start one before an emulator, which may come up later, and wait until it answers."""
        port = free_port()
        process = processes.start(
            f"microburst-{name}",
            [
                *(sys.executable, "-m", "sandbox.chaos.seeded_microburst", seed),
                *("--host", LOOPBACK, "--port", str(port)),
                *("--upstream", upstream, "--no-resign"),
            ],
            environment={**clean_environment(), "PYTHONPATH": str(PROJECT)},
        )
        proxy = cls(f"http://{LOOPBACK}:{port}")
        process.wait_until(proxy._is_ready, seconds=READY_SECONDS)
        return proxy

    def inject(self, rules: Sequence[dict[str, Any]]) -> None:
        """Fail calls by these rules, and no others, from now on."""
        self._ask("rules", list(rules))

    def counted(self) -> Counted:
        services = self._ask("stats")["by_service"]
        calls = Counter({one["service"]: int(one["requests"]) for one in services})
        return Counted(calls, faults_in(self._ask("metrics")))

    def _is_ready(self) -> bool:
        try:
            self._ask("health")
        except OSError:
            return False
        return True

    def _ask(self, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON or text
        method = "GET" if body is None else "POST"
        return request(method, f"{self.address}/_microburst/{path}", body, ASK_SECONDS)


def faults_in(metrics: str) -> Faults:
    """The faults that microburst's metrics count, latencies of whatever length as one."""
    found: Faults = Counter()
    for service, action, count in _METRIC.findall(metrics):
        kind = kind_of(action)
        if kind is not None:
            found[service, kind] += int(count)
    return found
