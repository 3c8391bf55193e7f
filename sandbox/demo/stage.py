"""What a scenario can do: to the group, to the load, and to what it breaks on purpose."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandbox.demo.redrive import redrive
from sandbox.fleet.destination import DestinationMode
from sandbox.fleet.exporter import ExporterMode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sandbox.cloud import LocalCloud
    from sandbox.demo.observer import Names
    from sandbox.demo.recording import Recorder
    from sandbox.fleet.fleet import Fleet


@dataclass(frozen=True)
class Stage:
    """The local cloud with the module applied, the fleet, and the recorder that watches both."""

    cloud: LocalCloud
    fleet: Fleet
    recorder: Recorder
    names: Names
    lines_per_second: float
    statements: list[str] = field(default_factory=list)

    def set_desired_capacity(self, capacity: int) -> None:
        """Scale the group, as a policy or a person would."""
        self.cloud.client("autoscaling").set_desired_capacity(
            AutoScalingGroupName=self.names.group, DesiredCapacity=capacity
        )

    def start_load(self) -> None:
        """Let the forwarders make lines."""
        self.fleet.set_rate(self.lines_per_second)

    def end_load(self) -> None:
        """Let the forwarders make no more lines, and wait until all are acknowledged."""
        self.fleet.end_load()

    def flush(self) -> None:
        """SIGUSR1 to every aggregator that is left."""
        self.fleet.flush()

    def all_receive(self, names: Iterable[str]) -> bool:
        """Whether each of these aggregators has taken a line."""
        known = set(self.fleet.known())
        return all(
            name in known
            and any(moment.event == "staged" for moment in self.fleet.history(name).moments)
            for name in names
        )

    @contextmanager
    def s3_refuses_writes(self, name: str | None = None) -> Iterator[None]:
        """S3 answers 503 to every write (of one aggregator, or of all) while the block runs."""
        whose = "writes" if name is None else f"writes of {name}"
        with self.recorder.disruption(f"S3 refuses {whose}"):
            self.fleet.destination(DestinationMode.REFUSING, name)
            try:
                yield
            finally:
                self.fleet.destination(DestinationMode.OK, name)

    @contextmanager
    def exporter_is_dead(self, name: str) -> Iterator[None]:
        """Nothing listens on one aggregator's metrics port while the block runs."""
        with self.recorder.disruption(f"no metrics from {name}"):
            self.fleet.exporter(ExporterMode.DEAD, name)
            try:
                yield
            finally:
                self.fleet.exporter(ExporterMode.OK, name)

    def was_notified(self, alarm: str) -> bool:
        """Whether the subscriber of the topic was told that this alarm went off."""
        return any(
            told.alarm == alarm and told.state == "ALARM" for told in self.recorder.notifications
        )

    def redrive_buffer_dead_letters(self) -> int:
        """What the runbook of buffer-dlq ends with; how many messages were moved."""
        return redrive(
            self.cloud.client("sqs"),
            self.names.buffer_dead_letter_queue_arn,
            self.names.buffer_queue_arn,
        )

    def proven(self, statement: str) -> None:
        """Note something that this run has shown."""
        self.statements.append(statement)
