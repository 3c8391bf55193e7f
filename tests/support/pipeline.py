"""The whole pipeline on the extended moto: real functions, real queues, a clock moved by hand.

EventBridge, Lambda's asynchronous invocations and its SQS event source are played as AWS documents
them: at least once, two retries after one and two minutes, a batch at a time, and only what is not
named in ``batchItemFailures`` is deleted.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from handlers import evidence as evidence_function
from handlers import interruption as interruption_handler
from handlers import lifecycle as lifecycle_handler
from handlers import reconcile as reconciling
from lifecycle.adapters.prometheus_session import Querier
from lifecycle.flows.batch import Stage
from lifecycle.flows.interruption import InterruptionHandler
from lifecycle.flows.lifecycle import LifecycleHandler
from lifecycle.flows.reconcile import Reconciler
from lifecycle.messages import BufferCheck, FlushCheck, OperationCheck
from lifecycle.telemetry import Runtime
from tests.support import queues
from tests.support.aws_account import HEARTBEAT_TIMEOUT, PORT, Account, Clock
from tests.support.functions import InProcess
from tests.support.messages import TERMINATE_HOOK
from waiters import buffer as buffer_waiter
from waiters import flush as flush_waiter
from waiters import operation as operation_waiter

EMPTY_FOR = 60.0
SETTLE = 20.0
PROPAGATION = 8.0  # as much of it as DNS may take to leave a deregistered instance out
DRAIN_TIMEOUT = 900.0
_IN_CLOUD_MAP = (
    "CLOUD_MAP_SERVICE_IDS",
    "CLOUD_MAP_PORT",
    "ALLOW_EMPTY_SERVICE",
    "LAUNCH_HOOK_NAME",
    "LAUNCH_HEARTBEAT_TIMEOUT_SECONDS",
)
RECONCILE_INTERVAL = 300.0
INTERRUPTIONS = {
    "EC2 Spot Instance Interruption Warning",
    "EC2 Instance Rebalance Recommendation",
    "EC2 Instance State-change Notification",
    "EC2 Instance Terminate Successful",
    "EC2 Instance Terminate Unsuccessful",
}


__all__ = ["HEARTBEAT_TIMEOUT", "PORT", "Clock"]


@dataclass(eq=False)
class Delivery:
    """One asynchronous invocation of a handler."""

    event: dict[str, Any]
    due: float
    attempt: int = 1


@dataclass
class Pipeline(Account):
    """What a test talks to: the account, and the functions in it."""

    handler: LifecycleHandler = field(init=False)
    interruption: InterruptionHandler = field(init=False)
    operation: Stage[OperationCheck] = field(init=False)
    flush: Stage[FlushCheck] = field(init=False)
    buffer: Stage[BufferCheck] = field(init=False)
    reconciler: Reconciler = field(init=False)
    evidence: InProcess = field(default_factory=InProcess)
    reconcile_at: float | None = None  # when the schedule invokes the reconciler next
    alter: Callable[[dict[str, Any]], dict[str, Any]] = field(default=lambda event: event)
    consume: Callable[[Mapping[str, Any]], Any] | None = None  # in place of the buffer waiter
    operation_poll_interval: str = "5"  # seconds
    lost: dict[str, int] = field(default_factory=dict)  # receives to come that no consumer sees
    copies: int = 1  # how often each event is delivered, and each message received
    deliveries: list[Delivery] = field(default_factory=list)
    given_up: list[dict[str, Any]] = field(default_factory=list)  # the on-failure destination
    crashes: list[Exception] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)  # sizes of the buffer waiter's batches
    _journal_seen: int = 0

    def wire(self, querier: Callable[[], Querier] | None = None, /, **settings: str) -> None:
        """Deploy the functions of the stages, with other settings if a test wants them."""
        stages = self.stages
        left_out = {f"{one.upper()}_QUEUE_URL" for one in queues.STAGES if one not in stages}
        left_out |= set() if "operation" in stages else set(_IN_CLOUD_MAP)
        left_out |= set() if "buffer" in stages else {"EVIDENCE_FUNCTION_NAME"}
        environment = {
            name: value
            for name, value in {**self.environment, **settings}.items()
            if name not in left_out and not ("flush" not in stages and name.startswith("FLUSH_"))
        }
        runtime = Runtime(self.telemetry, self.clock, self._sleep)
        self.handler = lifecycle_handler.wire(environment, runtime)
        # What happens during its grace is half of what it is about.
        functions: Any = self.evidence
        asleep = replace(runtime, sleep=self.advance)
        self.reconciler = reconciling.wire(environment, asleep, functions)
        self.interruption = interruption_handler.wire(environment, runtime)
        if "operation" in stages:
            quick = {**environment, "POLL_INTERVAL_SECONDS": self.operation_poll_interval}
            self.operation = operation_waiter.wire(quick, runtime, functions)
        if "flush" in stages:
            self.flush = flush_waiter.wire(environment, runtime)
        if "buffer" in stages:
            self.evidence.handle = evidence_function.wire(environment, runtime, querier).handle
            self.evidence.sleep = self._sleep
            self.buffer = buffer_waiter.wire(environment, runtime, functions)

    def _sleep(self, seconds: float) -> None:
        self.clock.now += seconds

    # What happens while time passes.

    def _turn(self) -> None:
        self.world.tick()
        self._deliver()
        self._poll("interruption", self.interruption.handle)
        if "operation" in self.stages:
            self._poll("operation", self.operation.handle)
        if "flush" in self.stages:
            self._poll("flush", self.flush.handle)
        if "buffer" in self.stages:
            self._poll("buffer", self.consume or self.buffer.handle)
        self._deliver(lambda one: not _is_lifecycle_action(one.event))  # of those just released
        self._poll("interruption", self.interruption.handle)
        self._read_journal()
        if self.is_time_to_reconcile():
            self.reconcile()

    def is_time_to_reconcile(self) -> bool:
        """Tell whether the schedule has come round since it was last asked; its times are fixed."""
        if self.reconcile_at is None or self.reconcile_at > self.clock.now:
            return False
        while self.reconcile_at <= self.clock.now:
            self.reconcile_at += RECONCILE_INTERVAL
        return True

    def reconcile(self) -> None:
        try:
            self.reconciler.handle()
        except Exception as error:  # noqa: BLE001 (what Lambda does)
            self.crashes.append(error)
        self._read_journal()

    def receive_event(self, event: dict[str, Any]) -> None:
        """EventBridge hands an event to the handler whose rule matches; tests alter some."""
        sent = json.loads(json.dumps(event))
        altered = self.alter(sent) if _is_lifecycle_action(sent) else sent
        self.deliveries += [Delivery(altered, self.clock.now) for _ in range(self.copies)]

    def lose_events(self) -> list[dict[str, Any]]:
        """From now on EventBridge delivers nothing; returns what it keeps, to be read later."""
        lost: list[dict[str, Any]] = []
        self.world._subscribers[:] = [lost.append]
        return lost

    def _deliver(self, wanted: Callable[[Delivery], bool] = lambda _: True) -> None:
        due = [one for one in self.deliveries if one.due <= self.clock.now and wanted(one)]
        self.deliveries = [one for one in self.deliveries if one not in due]
        for one in due:
            try:
                if is_of_ec2(one.event):
                    self.put("interruption", json.dumps(one.event))
                    continue
                function = self.handler if _is_lifecycle_action(one.event) else self.interruption
                function.handle(one.event)
            except Exception as error:  # noqa: BLE001 (what Lambda does)
                self.crashes.append(error)
                if one.attempt > 2:
                    self.given_up.append(one.event)
                else:
                    later = self.clock.now + 60 * one.attempt
                    self.deliveries.append(Delivery(one.event, later, one.attempt + 1))

    def _poll(self, queue: str, function: Callable[[Mapping[str, Any]], Any]) -> None:
        if not queues.has_visible(queue):
            return
        messages = queues.receive(queue)
        if self.lost.get(queue, 0):
            self.lost[queue] -= 1
            return
        event = queues.as_event(queue, messages)
        if queue == "buffer":
            self.batches.append(len(messages))
        returned: set[str] = set()
        for _ in range(self.copies):
            try:
                answer = json.loads(json.dumps(function(json.loads(json.dumps(event)))))
            except Exception as error:  # noqa: BLE001 (what Lambda does)
                self.crashes.append(error)
                returned |= {message["MessageId"] for message in messages}
            else:
                returned |= {one["itemIdentifier"] for one in answer["batchItemFailures"]}
        for message in messages:
            if message["MessageId"] not in returned:
                queues.delete(queue, message)

    def _read_journal(self) -> None:
        """Whatever a test is about: no instance may be released early."""
        entries = self.world.journal[self._journal_seen :]
        self._journal_seen = len(self.world.journal)
        for entry in entries:
            if entry["event"] == "launched":
                self.fleet.launch(entry["instance_id"], entry["address"])
            if entry["event"] == "terminated":
                self.fleet.loses_target(entry["instance_id"])
            released = entry["event"] == "completed" and entry["result"] == "CONTINUE"
            if released and entry["lifecycle_hook_name"] == TERMINATE_HOOK:
                self._check_release(entry["instance_id"], entry["at"])

    def _check_release(self, instance_id: str, at: float) -> None:
        if "buffer" in self.stages:
            since = self.fleet.aggregators[instance_id].empty_since
            assert since is not None, "released with a full buffer"
            assert since + EMPTY_FOR <= at, "released before the window was over"
        if "flush" in self.stages:
            assert self.machines[instance_id].is_safe_to_end(), "released with chunks on its disk"
            assert self.machines.signals_of(instance_id), "released without a flush"
        if "operation" in self.stages:
            assert instance_id not in self.registered(), "released while registered"
            if "flush" in self.stages:
                [*_, deregistered] = self.journal(instance_id, "deregistered")
                flushed_at = self.machines.signals_of(instance_id)[-1]
                assert flushed_at >= deregistered["at"] + SETTLE, "flushed before the last record"

    def let_hooks_expire(self, queue: str) -> None:
        """Let a hook's whole time pass without a receive of this queue's messages."""
        bodies = self.take_all(queue)
        self.advance(HEARTBEAT_TIMEOUT + 10)
        for body in bodies:
            self.put(queue, body)

    def is_quiet(self) -> bool:
        """Tell whether nothing is left to do anywhere."""
        return not self.deliveries and not any(self.waiting(queue) for queue in queues.QUEUES)


def is_of_ec2(event: Mapping[str, Any]) -> bool:
    """Tell whether the rules of the module put an event on the queue of interruptions."""
    return event.get("source") == "aws.ec2"


def _is_lifecycle_action(event: Mapping[str, Any]) -> bool:
    """Everything malformed goes to the lifecycle handler."""
    return event.get("detail-type") not in INTERRUPTIONS
