"""What one emulated cloud shares: a clock, its timers, the journal and the events.

Everything that AWS does "later" (a heartbeat that expires, a Cloud Map operation that ends) is a
timer here. Timers run in the order of their due times and each sees the time at which it was due,
however late the next call comes: a test that jumps an hour ahead gets the history that an hour
would have made. Nothing sleeps and nothing reads the system's clock on its own.
"""

import heapq
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sandbox.emulator.agents import Agent
from sandbox.emulator.faults import Faults, OperationFailure
from sandbox.emulator.paging import Pages

Clock = Callable[[], float]
Event = dict[str, Any]
Subscriber = Callable[[Event], None]


@dataclass(order=True)
class Timer:
    """Something that happens at `due`, unless it is cancelled before."""

    due: float
    sequence: int
    action: Callable[[], None] = field(compare=False)
    cancelled: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        self.cancelled = True


class World:
    """Time, faults, journal and events of one emulated cloud. Safe to use from several threads."""

    def __init__(self, clock: Clock) -> None:
        self.faults = Faults()
        self.journal: list[dict[str, Any]] = []
        self.events: list[Event] = []
        """The events for EventBridge, of every kind."""
        self.pages = Pages()
        self.agent: Agent | None = None
        """The SSM agent of every instance; None: agents fetch their commands from outside."""
        self.operation_failure: OperationFailure | None = None
        """How the operation that the present call starts will fail; None: it will succeed."""
        self._clock = clock
        self._now = clock()
        self._timers: list[Timer] = []
        self._sequence = itertools.count()
        self._lock = threading.RLock()
        self._depth = 0
        self._subscribers: list[Subscriber] = []
        self._outbox: list[Event] = []

    @property
    def now(self) -> float:
        """The time of what is happening: the clock's, or the due time of the timer that runs."""
        return self._now

    @property
    def lifecycle_events(self) -> list[Event]:
        """The events of instances that hooks hold."""
        return [event for event in self.events if event["detail-type"].endswith("Lifecycle Action")]

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Let time catch up, then act alone; events reach subscribers when the turn is over."""
        with self._lock:
            self._depth += 1
            try:
                if self._depth == 1:
                    self._catch_up()
                yield
            finally:
                self._depth -= 1
                outbox = self._empty_outbox()
        for event in outbox:
            for subscriber in self._subscribers:
                subscriber(event)

    def tick(self) -> None:
        with self.turn():
            pass

    def call_at(self, due: float, action: Callable[[], None]) -> Timer:
        """Run `action` when the clock reaches `due`."""
        timer = Timer(due, next(self._sequence), action)
        heapq.heappush(self._timers, timer)
        return timer

    def record(self, event: str, instance_id: str, **details: object) -> None:
        entry: dict[str, Any] = {"at": self.now, "event": event, "instance_id": instance_id}
        self.journal.append({**entry, **{k: v for k, v in details.items() if v is not None}})

    def journal_since(self, position: int) -> list[dict[str, Any]]:
        """A copy of the journal from entry number `position` on."""
        with self._lock:
            return [dict(entry) for entry in self.journal[position:]]

    def emit(self, event: Event) -> None:
        """Send an EventBridge event to the subscribers, once the present turn is over."""
        self.events.append(event)
        self._outbox.append(event)

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call `subscriber` with every event from now on."""
        self._subscribers.append(subscriber)

    def _catch_up(self) -> None:
        target = max(self._clock(), self._now)
        while self._timers and self._timers[0].due <= target:
            timer = heapq.heappop(self._timers)
            if not timer.cancelled:
                self._now = max(self._now, timer.due)
                timer.action()
        self._now = target

    def _empty_outbox(self) -> list[Event]:
        if self._depth:
            return []
        outbox, self._outbox = self._outbox, []
        return outbox
