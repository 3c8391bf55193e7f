"""EventBridge, Lambda and SQS as they are on a bad day, around the real functions."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.emulator.faults import CallFailure
from tests.model.counting import COUNTS
from tests.model.deaths import CALLS, KilledError
from tests.support import queues
from tests.support.pipeline import INTERRUPTIONS, Delivery, Pipeline, is_of_ec2

FOREVER = 1_000_000
"""How often a call fails that is denied: no outage that ends, a permission that is missing."""


@dataclass(frozen=True)
class Stray:
    """What becomes of the next event: delivered so often, so much later (seconds)."""

    copies: int
    delay: float = 0.0


@dataclass
class Played(Pipeline):
    """The pipeline, its events and messages out of order, its functions dying."""

    call_failures: list[Any] = field(default_factory=list)  # of the functions' calls only
    strays: list[Stray] = field(default_factory=list)
    paused_until: dict[str, float] = field(default_factory=dict)
    unseen: dict[str, int] = field(default_factory=dict)  # receives that no consumer sees
    undeleted: dict[str, int] = field(default_factory=dict)  # deletes that get lost
    doubled: dict[str, int] = field(default_factory=dict)  # batches that are handed over twice
    late: set[tuple[str, float]] = field(default_factory=set)  # queues that had to wait, until when

    def count(self, fault: str) -> None:
        """A fault was hit, not merely planned."""
        COUNTS.faults[fault] += 1

    def allow(self, action: str) -> None:
        """The functions may make this call again."""
        self.call_failures[:] = [one for one in self.call_failures if one.action != action]

    def deny(self, *actions: str) -> None:
        """From now on the functions may not make these calls, whatever else is well."""
        denied = {one.action for one in self.call_failures if one.times >= FOREVER / 2}
        self.call_failures += [
            CallFailure(action, "AccessDenied", "not authorized", FOREVER, "before")
            for action in actions
            if action not in denied
        ]

    def after_invocation(self, event: Mapping[str, Any]) -> None:
        """Look at what a function called."""

    def end_outages(self) -> None:
        """AWS is well again; Prometheus and Fluentd need not be."""
        self.world.faults.operation_failures.clear()
        self.call_failures[:] = [one for one in self.call_failures if one.times >= FOREVER / 2]
        self.world.faults.operation_seconds = 1.0
        CALLS.deaths.clear()
        self.strays.clear()
        self.paused_until.clear()
        for plans in (self.unseen, self.undeleted, self.doubled):
            plans.clear()
        for delivery in self.deliveries:
            delivery.due = min(delivery.due, self.clock() + 60)

    def receive_event(self, event: dict[str, Any]) -> None:
        """EventBridge hands an event over: late, more than once, out of order, or not at all."""
        stray = self.strays.pop(0) if self.strays else Stray(1)
        if stray.copies == 0:
            self.count("event lost")
        if stray.copies > 1:
            self.count("event duplicated")
        if stray.delay:
            self.count("event delayed")
        own = json.loads(json.dumps(event))
        for copy in range(stray.copies):
            self.deliveries.append(Delivery(own, self.clock() + stray.delay * (copy + 1)))

    def invoke(self, function: Callable[[Any], Any], event: Mapping[str, Any]) -> Any:
        """Run a function: its calls may fail, and it may die between any two of them."""
        CALLS.is_in_function, CALLS.made = True, []
        self.world.faults.call_failures = self.call_failures
        try:
            return function(json.loads(json.dumps(event)))
        except KilledError:
            self.count("function died between two calls")
            raise RuntimeError("killed") from None
        finally:
            CALLS.is_in_function = False
            self.world.faults.call_failures = []
            self.after_invocation(event)
            COUNTS.calls += len(CALLS.made)
            CALLS.made = []

    def play(self) -> None:
        """Run every function that something is there for."""
        self._deliver()
        self._poll("interruption", self.interruption.handle)
        for stage in self.stages:
            self._poll(stage, getattr(self, stage).handle)
        if self.is_time_to_reconcile():
            self.reconcile()

    def reconcile(self) -> None:
        """Invoke the reconciler once, as its schedule does."""
        try:
            self.invoke(lambda _event: self.reconciler.handle(), {})
        except Exception as error:  # noqa: BLE001 (what Lambda does)
            self.crashes.append(error)

    def grace(self, seconds: float) -> None:
        """The reconciler waits, and the others go on meanwhile."""
        made, CALLS.made = CALLS.made, []
        CALLS.is_in_function, self.world.faults.call_failures = False, []
        try:
            self.advance(seconds)
        finally:
            CALLS.made, CALLS.is_in_function = made, True
            self.world.faults.call_failures = self.call_failures

    def _deliver(self, wanted: Callable[[Delivery], bool] = lambda _: True) -> None:
        due = [one for one in self.deliveries if one.due <= self.clock() and wanted(one)]
        self.deliveries = [one for one in self.deliveries if one not in due]
        for one in due:
            if is_of_ec2(one.event):
                self.put("interruption", json.dumps(one.event))
                continue
            is_interruption = one.event["detail-type"] in INTERRUPTIONS
            function = self.interruption if is_interruption else self.handler
            try:
                self.invoke(function.handle, one.event)
            except Exception:  # noqa: BLE001 (what Lambda does)
                if one.attempt > 2:
                    self.given_up.append(one.event)
                else:
                    later = self.clock() + 60 * one.attempt
                    self.deliveries.append(Delivery(one.event, later, one.attempt + 1))

    def _poll(self, queue: str, function: Callable[[Mapping[str, Any]], Any]) -> None:
        if not queues.has_visible(queue):
            return
        if self.paused_until.get(queue, 0.0) > self.clock():
            self.late.add((queue, self.paused_until[queue]))
            return
        messages = queues.receive(queue)
        if _take(self.unseen, queue):
            self.count("SQS: receive that no consumer saw")
            return
        event = queues.as_event(queue, messages)
        ids = {message["MessageId"] for message in messages}
        returned = self._invoke_consumer(function, event, ids)
        if _take(self.doubled, queue):
            self.count("SQS: batch delivered twice")
            returned |= self._invoke_consumer(function, event, ids)
        for message in messages:
            if message["MessageId"] in returned:
                continue
            if _take(self.undeleted, queue):
                self.count("SQS: message comes again though done")
            else:
                queues.delete(queue, message)

    def _invoke_consumer(
        self, function: Callable[[Any], Any], event: Mapping[str, Any], ids: set[str]
    ) -> set[str]:
        """Return the ids of the messages that come back."""
        try:
            answer = self.invoke(function, event)
        except Exception:  # noqa: BLE001 (what Lambda does)
            return ids
        return {one["itemIdentifier"] for one in answer["batchItemFailures"]}


def _take(plans: dict[str, int], queue: str) -> bool:
    left = plans.get(queue, 0)
    if left:
        plans[queue] = left - 1
    return left > 0
