"""One command on one instance, from SendCommand to its end.

    Pending -> InProgress -> Success | Failed | TimedOut (ExecutionTimedOut)
    Pending -> TimedOut (DeliveryTimedOut): no agent fetched it in time
    Pending -> Failed (Undeliverable): SSM could not deliver it

Statuses and limits: "Understanding command statuses" in the Systems Manager user guide.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sandbox.emulator.agents import Assignment, Report
from sandbox.emulator.world import Timer

OUTPUT_CHARACTERS = 24_000
ERROR_CHARACTERS = 8_000
NO_RESPONSE = -1
KILLED = 137


@dataclass
class Invocation:
    """The state of a command on an instance."""

    assignment: Assignment
    document_version: str
    comment: str
    arrives_at: float
    """When SSM has brought it to the instance."""
    known_from: float
    """Before that, GetCommandInvocation does not know it yet."""
    execution_seconds: int
    """How long its script may run."""
    status: str = "Pending"
    details: str = "Pending"
    response_code: int = NO_RESPONSE
    started_at: float | None = None
    ended_at: float | None = None
    output: str = ""
    error: str = ""
    timers: list[Timer] = field(default_factory=list)

    @property
    def is_waiting(self) -> bool:
        """Whether no agent has it yet, and one still may."""
        return self.status == "Pending"

    @property
    def is_running(self) -> bool:
        return self.status == "InProgress"

    def begin(self, now: float) -> None:
        self._cancel_timers()
        self.status = self.details = "InProgress"
        self.started_at = now

    def end(self, now: float, report: Report) -> None:
        self.output, self.error = report.output, report.error
        if report.timed_out:
            self.close(now, "TimedOut", "ExecutionTimedOut", KILLED)
        elif report.exit_code:
            self.close(now, "Failed", "Failed", report.exit_code)
        else:
            self.close(now, "Success", "Success", 0)

    def close(
        self, now: float, status: str, details: str, response_code: int = NO_RESPONSE
    ) -> None:
        self.status, self.details, self.response_code = status, details, response_code
        self.ended_at = now
        self._cancel_timers()

    def description(self) -> dict[str, Any]:
        times = {
            "ExecutionStartDateTime": _moment(self.started_at),
            "ExecutionEndDateTime": _moment(self.ended_at if self.started_at else None),
            "ExecutionElapsedTime": _duration(self.started_at, self.ended_at),
        }
        return {
            **self.summary(),
            **times,
            "PluginName": self.assignment.step,
            "ResponseCode": self.response_code,
            "StandardOutputContent": self.output[:OUTPUT_CHARACTERS],
            "StandardOutputUrl": "",
            "StandardErrorContent": self.error[:ERROR_CHARACTERS],
            "StandardErrorUrl": "",
            "CloudWatchOutputConfig": {
                "CloudWatchLogGroupName": "",
                "CloudWatchOutputEnabled": False,
            },
        }

    def summary(self) -> dict[str, Any]:
        return {
            "CommandId": self.assignment.command_id,
            "InstanceId": self.assignment.instance_id,
            "Comment": self.comment,
            "DocumentName": self.assignment.document_name,
            "DocumentVersion": self.document_version,
            "Status": self.status,
            "StatusDetails": self.details,
        }

    def _cancel_timers(self) -> None:
        for timer in self.timers:
            timer.cancel()
        self.timers.clear()


def _moment(at: float | None) -> str:
    if at is None:
        return ""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _duration(started_at: float | None, ended_at: float | None) -> str:
    if started_at is None or ended_at is None:
        return ""
    return f"PT{round(ended_at - started_at, 3):g}S"
