"""Polls the local cloud through the same AWS API that an operator would use.

What the group, the queues and the alarms say comes from boto3; what the aggregators really hold,
and what the services did and when, comes from the simulator's own records.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox.demo.model import InstanceSample, JournalEntry, Notification, Sample
from sandbox.demo.recording import Observation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sandbox.cloud import LocalCloud
    from sandbox.demo.recording import Clock
    from sandbox.fleet.fleet import Fleet

VERDICTS = frozenset({"flush_verdict", "buffer_verdict"})
Verdict = tuple[str, str]
"""A verdict and its reason."""

# Slow calls are made less often than twice a second: the emulators share two cores.
_SLOW_INTERVAL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class StageNames:
    """The names of one stage."""

    queue_arn: str
    dead_letter_queue_arn: str
    alarm: str

    @property
    def dead_letter_queue(self) -> str:
        """The name of the dead-letter queue."""
        return self.dead_letter_queue_arn.rsplit(":", 1)[-1]


@dataclass(frozen=True, slots=True)
class Names:
    """The names of what the module made, and of its groups."""

    group: str
    # Empty: there is no service discovery; several: the fleet is spread over shards.
    service_ids: tuple[str, ...]
    # By name: operation, flush, buffer, as in use.
    stages: Mapping[str, StageNames]
    # URL of each dead-letter queue by its name.
    dead_letter_queues: Mapping[str, str]
    notification_queue_url: str
    # The functions of the stages.
    waiters: tuple[str, ...]
    # The functions that take events, by the dead-letter queue of those that they refuse.
    handlers: Mapping[str, str] = field(default_factory=dict)
    # The alarm of each dead-letter queue, by the queue's name.
    dead_letter_alarms: Mapping[str, str] = field(default_factory=dict)
    # A second group, to compare with.
    other_group: str | None = None
    reconciler: str = ""
    # The functions that ask Prometheus.
    evidence: tuple[str, ...] = ()

    @property
    def groups(self) -> tuple[str, ...]:
        """Every group that is watched."""
        return (self.group,) if self.other_group is None else (self.group, self.other_group)


class CloudObserver:
    """Polls everything once for each call of `observe`."""

    def __init__(self, cloud: LocalCloud, fleet: Fleet, names: Names, clock: Clock) -> None:
        self._cloud = cloud
        self._fleet = fleet
        self._names = names
        self._clock = clock
        self._autoscaling = cloud.client("autoscaling")
        self._cloud_map = cloud.client("servicediscovery")
        self._sqs = cloud.client("sqs")
        self._cloudwatch = cloud.client("cloudwatch")
        self._verdicts: dict[str, Verdict] = {}
        self._journal_length = 0
        self._pages = Pages()
        self._notified = 0
        self._slow_at = float("-inf")
        self._alarms: tuple[str, ...] = ()
        self._dead_letters: dict[str, int] = {}
        self._lines = (0, 0)

    def observe(self, at: float, phase: str) -> Observation:
        """Poll once."""
        notifications = self._poll_slow_ones()
        journal = self._new_journal()
        groups = self._groups()
        registered, alive = self._registered(), set(self._fleet.alive())
        sample = Sample(
            at=at,
            phase=phase,
            desired_capacity=sum(int(group["DesiredCapacity"]) for group in groups),
            instances=tuple(
                self._instance(instance, registered, alive, at)
                for group in groups
                for instance in group["Instances"]
            ),
            lines_sent=self._lines[0],
            lines_delivered=self._lines[1],
            dead_letters=self._dead_letters,
            alarms=self._alarms,
            notifications=self._notified,
            verdicts=self._verdicts,
        )
        return Observation(sample, journal, notifications)

    def _poll_slow_ones(self) -> tuple[Notification, ...]:
        now = time.monotonic()
        if now - self._slow_at < _SLOW_INTERVAL_SECONDS:
            return ()
        self._slow_at = now
        self._verdicts = latest_verdicts(
            line for function in self._names.waiters for line in self._cloud.logs(function)
        )
        answer = self._cloudwatch.describe_alarms(StateValue="ALARM")
        self._alarms = tuple(sorted(alarm["AlarmName"] for alarm in answer["MetricAlarms"]))
        self._dead_letters = {
            name: depth(self._sqs, url) for name, url in self._names.dead_letter_queues.items()
        }
        delivery = self._fleet.delivered()
        self._lines = (delivery.sent, delivery.delivered)
        notifications = self._new_notifications()
        self._notified += len(notifications)
        return notifications

    def _instance(
        self, instance: dict[str, Any], registered: set[str], alive: set[str], at: float
    ) -> InstanceSample:
        instance_id = instance["InstanceId"]
        # As it was when the poll began: on a busy machine a poll takes a while.
        held_at = self._clock.started_at + at
        verdict, reason = self._verdicts.get(instance_id, (None, None))
        return InstanceSample(
            instance_id=instance_id,
            lifecycle_state=instance["LifecycleState"],
            registered=instance_id in registered,
            buffer_bytes=(
                self._fleet.held_bytes(instance_id, held_at) if instance_id in alive else None
            ),
            verdict=verdict,
            reason=reason,
        )

    def _groups(self) -> list[dict[str, Any]]:
        answer = self._autoscaling.describe_auto_scaling_groups(
            AutoScalingGroupNames=list(self._names.groups)
        )
        groups: list[dict[str, Any]] = answer["AutoScalingGroups"]
        return groups

    def _registered(self) -> set[str]:
        answers = [self._cloud_map.list_instances(ServiceId=one) for one in self._names.service_ids]
        return {instance["Id"] for answer in answers for instance in answer["Instances"]}

    def _new_journal(self) -> tuple[JournalEntry, ...]:
        new = self._cloud.journal()[self._journal_length :]
        self._journal_length += len(new)
        return tuple(self._entry(raw) for raw in new)

    def _entry(self, raw: dict[str, Any]) -> JournalEntry:
        details = {key: value for key, value in raw.items() if key not in _COMMON_KEYS}
        at = self._clock.since_start(raw["at"])
        return JournalEntry(at, raw["instance_id"], raw["event"], details)

    def _new_notifications(self) -> tuple[Notification, ...]:
        url = self._names.notification_queue_url
        answer = self._sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
        messages = answer.get("Messages", [])
        for message in messages:
            self._sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return self._pages.among(notifications(messages, self._clock.now()))


_COMMON_KEYS = {"at", "instance_id", "event"}


class Pages:
    """Separates pages from the first notification of a new alarm.

    A new alarm without a breach goes from INSUFFICIENT_DATA to OK, and notifies.
    """

    def __init__(self) -> None:
        self._fired: set[str] = set()

    def among(self, received: Iterable[Notification]) -> tuple[Notification, ...]:
        """The notifications of alarms that have fired at some time."""
        kept = []
        for notification in received:
            if notification.state == "ALARM":
                self._fired.add(notification.alarm)
            if notification.alarm in self._fired:
                kept.append(notification)
        return tuple(kept)


def latest_verdicts(lines: Iterable[Mapping[str, Any]]) -> dict[str, Verdict]:
    """The newest verdict on each instance, from the log lines of one or more functions."""
    verdicts = [line for line in lines if line.get("message") in VERDICTS]
    return {
        str(line["instance_id"]): (str(line["verdict"]), str(line["reason"]))
        for line in sorted(verdicts, key=lambda line: str(line.get("timestamp", "")))
    }


def notifications(messages: Sequence[dict[str, Any]], at: float) -> tuple[Notification, ...]:
    """What SQS messages from an SNS subscription say about alarms."""
    alarms = [json.loads(json.loads(message["Body"])["Message"]) for message in messages]
    return tuple(
        Notification(
            at=at,
            alarm=alarm["AlarmName"],
            state=alarm["NewStateValue"],
            description=alarm.get("AlarmDescription") or "",
        )
        for alarm in alarms
    )


def depth(sqs: Any, url: str) -> int:  # noqa: ANN401 - boto3 makes its clients at run time
    """Messages in a queue, those that are being processed included; one that is gone has none."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    try:
        answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)
    except sqs.exceptions.QueueDoesNotExist:
        return 0
    return sum(int(answer["Attributes"][name]) for name in names)
