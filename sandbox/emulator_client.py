"""A client of the emulator's control API; its routes are in `sandbox.emulator.control`."""

import threading
from collections.abc import Iterable
from typing import Any

from sandbox.host.http import request

SECONDS = 30.0


class EmulatorControl:
    """Reads what AWS has no API for (the journal), and sets faults."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._journal: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def journal(self) -> list[dict[str, Any]]:
        """Everything that happened so far; only what is new is fetched."""
        with self._lock:
            self._journal += self._ask(f"journal?after={len(self._journal)}")["entries"]
            return list(self._journal)

    def events(self, after: int) -> list[dict[str, Any]]:
        """The events for EventBridge from number `after` on."""
        events: list[dict[str, Any]] = self._ask(f"events?after={after}")["events"]
        return events

    def faults(self) -> dict[str, Any]:
        return self._ask("faults")

    def set_faults(self, **settings: object) -> None:
        """Set faults: `operation_seconds`, `proceed_seconds`, `operation_failures`, ..."""
        self._ask("faults", settings)

    def clear_faults(self) -> None:
        """Remove all faults."""
        self._ask("faults/clear", {})

    def tick(self) -> None:
        self._ask("tick", {})

    def retain_on_abandon(self, autoscaling_group_name: str) -> None:
        """Give a group the instance lifecycle policy that keeps abandoned instances."""
        wanted = {
            "autoscaling_group_name": autoscaling_group_name,
            "terminate_hook_abandon": "retain",
        }
        self._ask("retention", wanted)

    def warn_of_spot_interruption(self, instance_id: str) -> None:
        """Have EC2 reclaim an instance: a warning now, the termination two minutes later."""
        wanted = {"instance_id": instance_id, "signal": "spot_interruption_warning"}
        self._ask("interruptions", wanted)

    def fetch_commands(self, instance_ids: Iterable[str]) -> list[dict[str, Any]]:
        """What SSM has for the agents of these instances; it counts as begun from now on."""
        answer = self._ask("commands/fetch", {"instance_ids": list(instance_ids)})
        assignments: list[dict[str, Any]] = answer["assignments"]
        return assignments

    def report_command(self, command_id: str, instance_id: str, report: dict[str, Any]) -> bool:
        """Report the result of a command; False: it had already ended."""
        body = {"command_id": command_id, "instance_id": instance_id, "report": report}
        return bool(self._ask("commands/report", body)["taken"])

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        method = "GET" if body is None else "POST"
        answer: dict[str, Any] = request(method, f"{self._address}/_sandbox/{path}", body, SECONDS)
        return answer
