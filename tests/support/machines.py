"""The instances as the flush document finds them: a disk whose contents a test decides."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sandbox.emulator import Assignment, Report

CHUNK_BYTES = 1000
DOCUMENT: Mapping[str, Any] = {
    "schemaVersion": "2.2",
    "description": "Stands in for terraform/flush.sh.",
    "parameters": {
        "Service": {"type": "String", "default": "fluentd"},
        "Signal": {"type": "String", "default": "true", "allowedValues": ["true", "false"]},
    },
    "mainSteps": [
        {
            "action": "aws:runShellScript",
            "name": "flush",
            "inputs": {
                "timeoutSeconds": "55",
                "runCommand": ["echo '{{ Service }}' '{{ Signal }}'"],
            },
        }
    ],
}


def answer(**changes: Any) -> dict[str, Any]:
    """The answer of a script that found everything flushed; ``changes`` replace members of it."""
    sound: dict[str, Any] = {
        "version": 1,
        "service": "fluentd",
        "signalled": True,
        "chunks": 0,
        "bytes": 0,
        "set_aside": 0,
        "quiet": True,
        "restartable": True,
        "looked_at": ["/var/log/fluentd", "the open files of process 4711"],
        "outputs_before": {},
        "monitor": None,
    }
    return {**sound, **changes}


def monitor(**changes: Any) -> dict[str, Any]:
    """What the answer says of ``monitor_agent``, for a Fluentd that is empty."""
    empty: dict[str, Any] = {
        "staged": 0,
        "queued": 0,
        "bytes": 0,
        "retrying": 0,
        "retry_next_at": None,
        "emit_records": 0,
        "secondary": 0,
        "outputs": {},
    }
    return {**empty, **changes}


@dataclass
class Machine:
    """One instance: what is on its disk, and what comes of a signal."""

    chunks: int = 3
    set_aside: int = 0
    is_running: bool = True
    is_receiving: bool = False
    retry_next_at: float | None = None
    """While it is set the destination is down: Fluentd ignores signals until then."""
    seconds: float = 5.0
    """How long the script runs."""
    report: Report | None = None
    """What its agent says in any case."""

    def flush(self, now: float, *, signal: bool = True) -> Report:
        """Run the script; without a signal it only looks."""
        if self.report is not None:
            return self.report
        if not signal and not self.is_running:
            return Report(exit_code=1, error="flush: no Fluentd that could be asked to flush")
        is_backing_off = self.retry_next_at is not None and now < self.retry_next_at
        if signal and self.is_running and self.retry_next_at is None:
            self.chunks = 0
        said = answer(
            signalled=signal and self.is_running,
            chunks=self.chunks,
            bytes=self.chunks * CHUNK_BYTES,
            set_aside=self.set_aside,
            quiet=not self.chunks and not self.is_receiving,
            monitor=monitor(
                queued=self.chunks,
                bytes=self.chunks * CHUNK_BYTES,
                retrying=int(is_backing_off),
                retry_next_at=self.retry_next_at if is_backing_off else None,
            )
            if self.is_running
            else None,
        )
        return Report(output=json.dumps(said) + "\n", seconds=self.seconds)

    def is_safe_to_end(self) -> bool:
        return not self.chunks and not self.set_aside and not self.is_receiving


@dataclass
class Machines:
    """The agents of all instances: an ``Agent`` of the emulator."""

    clock: Callable[[], float]
    usual: Machine = field(default_factory=Machine)
    machines: dict[str, Machine] = field(default_factory=dict)
    signals: list[tuple[float, str]] = field(default_factory=list)
    looks: list[tuple[float, str]] = field(default_factory=list)

    def __getitem__(self, instance_id: str) -> Machine:
        return self.machines.setdefault(instance_id, replace(self.usual))

    def __call__(self, assignment: Assignment) -> Report:
        signal = assignment.parameters["Signal"] == "true"
        made = self.signals if signal else self.looks
        made.append((self.clock(), assignment.instance_id))
        return self[assignment.instance_id].flush(self.clock(), signal=signal)

    def signals_of(self, instance_id: str) -> list[float]:
        return [at for at, name in self.signals if name == instance_id]
