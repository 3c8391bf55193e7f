"""Runs the flush document on several instances at once, and judges what each answers in time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lifecycle.adapters.run_command import RunCommand
from lifecycle.decisions.flush import FlushReason, FlushVerdict, judge_flush, unknown_flush
from lifecycle.errors import AgentNotReachable
from lifecycle.telemetry import LogEvent, Runtime

_LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Commands:
    """One round of commands; ``event`` is logged once they are sent."""

    run_command: RunCommand
    timeout_seconds: float
    event: LogEvent
    runtime: Runtime

    def run(self, instance_ids: Sequence[str]) -> dict[str, FlushVerdict]:
        """Send the document to each instance and judge what each has answered in time."""
        deadline = self.runtime.clock() + self.timeout_seconds
        verdicts: dict[str, FlushVerdict] = {}
        commands: dict[str, str] = {}
        for instance_id in instance_ids:
            try:
                commands[instance_id] = self.run_command.send(instance_id)
            except AgentNotReachable as error:
                verdicts[instance_id] = unknown_flush(FlushReason.AGENT_NOT_REACHABLE, str(error))
            except Exception as error:  # noqa: BLE001 (one failure must not crash the batch)
                verdicts[instance_id] = _failed(error)
        if commands:
            self.runtime.telemetry.info(self.event, commands=dict(commands))
        while commands and self.runtime.clock() < deadline:
            self.runtime.sleep(_LOOK_SECONDS)
            verdicts.update(self._finished(commands))
            commands = {i: command for i, command in commands.items() if i not in verdicts}
        return {**verdicts, **_not_finished(commands)}

    def _finished(self, commands: Mapping[str, str]) -> dict[str, FlushVerdict]:
        finished = {}
        for instance_id, command_id in commands.items():
            try:
                invocation = self.run_command.invocation(command_id, instance_id)
                if invocation.is_finished:
                    finished[instance_id] = judge_flush(invocation)
            except Exception as error:  # noqa: BLE001 (one failure must not crash the batch)
                finished[instance_id] = _failed(error)
        return finished


def _failed(error: Exception) -> FlushVerdict:
    return unknown_flush(FlushReason.COMMAND_FAILED, f"{type(error).__name__}: {error}")


def _not_finished(instance_ids: Iterable[str]) -> dict[str, FlushVerdict]:
    verdict = unknown_flush(FlushReason.NOT_FINISHED, "no answer of the instance in time")
    return dict.fromkeys(instance_ids, verdict)
