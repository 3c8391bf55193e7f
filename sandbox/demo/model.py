"""What a run of the demo leaves behind: plain, frozen data.

Every time in here is a number of seconds since the demo started. Nothing in here knows the local
cloud, so that summary, figure and report can be made, and tested, from a hand-written run.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.fleet.accounting import Delivery
from sandbox.fleet.fluentd.history import History


@dataclass(frozen=True, slots=True)
class InstanceSample:
    """One instance at one moment."""

    instance_id: str
    lifecycle_state: str
    registered: bool
    # None: there is no aggregator process (not started yet, or its instance is gone).
    buffer_bytes: int | None
    verdict: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """The group, the queues and the alarms at one moment."""

    at: float
    phase: str
    desired_capacity: int
    instances: tuple[InstanceSample, ...]
    lines_sent: int
    lines_delivered: int
    # Messages in each dead-letter queue, by the queue's name.
    dead_letters: Mapping[str, int]
    # Names of the alarms that were in state ALARM.
    alarms: tuple[str, ...]
    notifications: int
    # The last verdict and its reason on every instance so far, gone ones included.
    verdicts: Mapping[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One event that the emulated services recorded, with its exact time."""

    at: float
    instance_id: str
    event: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Notification:
    """An alarm's message as the subscriber of the SNS topic got it."""

    at: float
    alarm: str
    state: str
    description: str


@dataclass(frozen=True, slots=True)
class Phase:
    """A named part of the scenario, from `at` until the next one begins."""

    at: float
    name: str


@dataclass(frozen=True, slots=True)
class Disruption:
    """Something the scenario broke on purpose; `until` is None while it is broken."""

    name: str
    at: float
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two groups that leave at once, of which one is flushed; chunks wait for slices of time."""

    timekey_seconds: int
    flushed_group: str
    other_group: str


@dataclass(frozen=True, slots=True)
class ChaosCount:
    """The random faults around the functions in a run of the scenario chaos."""

    seed: int
    rounds: int
    # Calls that functions made, by service, and what was done to them, by service and kind.
    calls: Mapping[str, int]
    faults: Mapping[str, Mapping[str, int]]
    # How often each function was killed in the middle of its work.
    functions_killed: Mapping[str, int]
    prometheus_crashes: int
    duplicate_events: int
    # Check messages that came twice, by queue.
    duplicate_messages: Mapping[str, int]
    # Dead-lettered messages for which an alarm fired, and which were redriven.
    redriven: int
    # How often the reconciler was invoked during drains.
    reconciler_invocations: int


@dataclass(frozen=True, slots=True)
class Run:
    """All the evidence of one scenario."""

    scenario: str
    seconds: float
    lines: Delivery
    samples: tuple[Sample, ...] = ()
    journal: tuple[JournalEntry, ...] = ()
    # What each aggregator truly held, whatever its exporter said.
    histories: Mapping[str, History] = field(default_factory=dict)
    phases: tuple[Phase, ...] = ()
    disruptions: tuple[Disruption, ...] = ()
    notifications: tuple[Notification, ...] = ()
    # What the scenario showed, and what did not happen in time, in sentences.
    proven: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    # Whether forwarders find the instances, and whether the module makes Fluentd flush.
    discovery: bool = True
    flush: bool = False
    comparison: Comparison | None = None
    chaos: ChaosCount | None = None
