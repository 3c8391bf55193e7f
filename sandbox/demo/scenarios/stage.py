"""What a scenario can do: scale the group, make load, break something on purpose."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox.demo.observer import depth
from sandbox.demo.scenarios.redrive import redrive, replay
from sandbox.fleet.fluentd.destination import DestinationMode
from sandbox.fleet.fluentd.exporter import ExporterMode
from sandbox.fleet.forwarders.dns import registered_instances

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from enum import Enum

    from sandbox.chaos.control import Chaos
    from sandbox.cloud import LocalCloud
    from sandbox.demo.observer import Names
    from sandbox.demo.recording import Recorder
    from sandbox.fleet.fleet import Fleet
    from sandbox.fleet.prometheus import Prometheus


@dataclass(frozen=True)
class Stage:
    """The local cloud with the module applied, the fleet, and the recorder that watches both."""

    cloud: LocalCloud
    fleet: Fleet
    recorder: Recorder
    names: Names
    lines_per_second: float
    timekey_seconds: int | None = None
    prometheus: Prometheus | None = None
    statements: list[str] = field(default_factory=list)
    # What a scenario did how often, by its own words for it.
    done: Counter[str] = field(default_factory=Counter)

    @property
    def has_discovery(self) -> bool:
        """Whether forwarders find the instances in Cloud Map."""
        return bool(self.names.service_ids)

    def set_desired_capacity(self, capacity: int) -> None:
        """Scale the group, as a policy or an operator would."""
        self._scale(self.names.group, capacity)

    def set_other_capacity(self, capacity: int) -> None:
        """Scale the group that is compared with."""
        if self.names.other_group is None:
            raise RuntimeError("there is no other group")
        self._scale(self.names.other_group, capacity)

    def apply_groups(self, *groups: str) -> None:
        """Apply the stack once more, with these groups."""
        self.cloud.change(groups=list(groups))

    def start_load(self) -> None:
        """Let forwarders, or the instances themselves, make lines."""
        self.fleet.set_rate(self.lines_per_second)

    def end_load(self) -> None:
        """Make no more lines, and wait until an aggregator has acknowledged each."""
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

    def chunks_taken(self, name: str, since: float) -> int:
        """How many chunks an aggregator has taken since a time."""
        moments = self.fleet.history(name).moments
        return sum(moment.event == "staged" and moment.at >= since for moment in moments)

    def targets(self) -> dict[str, frozenset[str]]:
        """The addresses that each forwarder sends to now."""
        return {name: frozenset(one["targets"]) for name, one in self.fleet.reports().items()}

    def shard_sizes(self) -> list[int]:
        """How many instances each service in Cloud Map holds."""
        client = self.cloud.client("servicediscovery")
        return [
            len(registered_instances(client, service_id)) for service_id in self.names.service_ids
        ]

    def s3_refuses_writes(self, name: str | None = None) -> AbstractContextManager[None]:
        """S3 answers 503 to every write (of one aggregator, or of all) while the block runs."""
        whose = "writes" if name is None else f"writes of {name}"
        return self._broken(
            f"S3 refuses {whose}", self.fleet.destination, DestinationMode.REFUSING, name
        )

    def s3_rejects_writes(self, name: str) -> AbstractContextManager[None]:
        """Every write of one aggregator fails, unrecoverably, while the block runs."""
        return self._broken(
            f"S3 rejects what {name} writes",
            self.fleet.destination,
            DestinationMode.REJECTING,
            name,
        )

    def rescue(self, name: str) -> None:
        """Copy the backed-up chunks of an instance to S3 and delete them, as an operator does."""
        self.fleet.rescue(name)

    def flush_requests(self, name: str) -> int:
        """How many flush commands an instance got so far."""
        return sum(
            entry.event == "command_sent" and entry.instance_id == name
            for entry in self.recorder.journal
        )

    def retry_in_seconds(self, name: str) -> float:
        """How far away the next attempt of an output in back-off is; 0 without back-off."""
        at = self.fleet.retry_at(name)
        return 0.0 if at is None else max(0.0, at - time.time())

    def slice_age_seconds(self) -> float:
        """How long ago the present slice of time of the chunks began."""
        if self.timekey_seconds is None:
            raise RuntimeError("chunks do not wait for slices of time")
        return time.time() % self.timekey_seconds

    def exporter_is_dead(self, name: str) -> AbstractContextManager[None]:
        """Nothing listens on one aggregator's metrics port while the block runs."""
        return self._broken(f"no metrics from {name}", self.fleet.exporter, ExporterMode.DEAD, name)

    @contextmanager
    def _broken(
        self, what: str, behave: Callable[[Any, Any], None], mode: Enum, name: str | None
    ) -> Iterator[None]:
        """Have something of the fleet misbehave while the block runs."""
        with self.recorder.disruption(what):
            behave(mode, name)
            try:
                yield
            finally:
                behave(type(mode)("ok"), name)

    @contextmanager
    def events_are_lost(self) -> Iterator[None]:
        """EventBridge delivers nothing while the block runs, and not later either."""
        bridge = self.cloud.bridge
        courier = bridge.courier
        with self.recorder.disruption("EventBridge loses every event"):
            bridge.courier = lambda _: []
            try:
                yield
            finally:
                bridge.courier = courier

    def reconcile(self) -> None:
        """Invoke the reconciler, as its schedule does."""
        self.cloud.client("lambda").invoke(
            FunctionName=self.names.reconciler, InvocationType="Event", Payload=b"{}"
        )

    def was_notified(self, alarm: str) -> bool:
        """Whether the subscriber of the topic was notified that this alarm fired."""
        return any(
            one.alarm == alarm and one.state == "ALARM" for one in self.recorder.notifications
        )

    def redrive(self, stage: str) -> int:
        """What the runbook of a stage's dead letters ends with; how many messages were moved."""
        names = self.names.stages[stage]
        return redrive(self.cloud.client("sqs"), names.dead_letter_queue_arn, names.queue_arn)

    @property
    def chaos(self) -> Chaos:
        """The random faults around the functions, in a scenario that has them."""
        if self.cloud.chaos is None:
            raise RuntimeError("this cloud was started without chaos")
        return self.cloud.chaos

    def crash_prometheus(self) -> None:
        """Kill Prometheus, and start it again with what it had written."""
        if self.prometheus is None:
            raise RuntimeError("there is no Prometheus")
        with self.recorder.disruption("Prometheus is killed and started again"):
            self.prometheus.crash()
        self.done["Prometheus crashes"] += 1

    def messages(self) -> int:
        """The check messages in the queues of all stages, those being processed included."""
        sqs = self.cloud.client("sqs")
        names = [one.queue_arn.rsplit(":", 1)[-1] for one in self.names.stages.values()]
        return sum(depth(sqs, sqs.get_queue_url(QueueName=name)["QueueUrl"]) for name in names)

    def redrive_everything(self) -> int:
        """Redrive all dead letters as their runbooks say; how many there were."""
        moved = 0
        dead = self.recorder.samples[-1].dead_letters
        for stage, names in self.names.stages.items():
            if dead.get(names.dead_letter_queue):
                moved += self.redrive(stage)
        for queue, function in self.names.handlers.items():
            if dead.get(queue):
                clients = self.cloud.client("sqs"), self.cloud.client("lambda")
                moved += replay(*clients, self.names.dead_letter_queues[queue], function)
        self.done["redriven"] += moved
        return moved

    def proven(self, statement: str) -> None:
        """Note something that this run has shown."""
        self.statements.append(statement)

    def _scale(self, group: str, capacity: int) -> None:
        self.cloud.client("autoscaling").set_desired_capacity(
            AutoScalingGroupName=group, DesiredCapacity=capacity
        )
