"""Whole days on which everything goes wrong at random, and at the end nothing is lost.

That nobody is released early or while registered is checked throughout, by the pipeline fixture.
The seeds are fixed: a day that failed fails again.
"""

import random
from collections.abc import Callable

import pytest

from tests.support.fleet import EMPTY, HOLDING
from tests.support.messages import TERMINATE_HOOK
from tests.support.pipeline import Pipeline

CALLS = [
    "DescribeInstances",
    "RegisterInstance",
    "DeregisterInstance",
    "GetOperation",
    "GetInstance",
    "SendMessage",
    "RecordLifecycleActionHeartbeat",
    "ChangeMessageVisibility",
    "CompleteLifecycleAction",
]
CAPTURES = [HOLDING, EMPTY, "03-dest-down", "04-draining", "04b-last-chunk-in-flight"]


class BadDay:
    """Things that go wrong, one after the other."""

    def __init__(self, pipeline: Pipeline, seed: int) -> None:
        self._pipeline = pipeline
        self._chance = random.Random(seed)
        self._troubles: list[Callable[[], None]] = [
            self.scale,
            self.scale,
            self.refuse_calls,
            self.lose_a_reply,
            self.fail_operations,
            self.change_the_pace,
            self.change_a_buffer,
            self.change_a_buffer,
            self.lose_an_exporter,
            self.break_prometheus,
            self.deliver_twice,
            self.send_rubbish,
        ]

    def passes(self, minutes: float) -> None:
        """Let one thing after the other go wrong."""
        end = self._pipeline.clock() + 60 * minutes
        while self._pipeline.clock() < end:
            self._chance.choice(self._troubles)()
            self._pipeline.advance(self._chance.randint(5, 60))
            self.somebody_follows_the_runbooks()

    def ends(self) -> None:
        """All is well again."""
        pipeline = self._pipeline
        pipeline.world.faults.clear()
        pipeline.fleet.failure = None
        for instance_id, state in pipeline.states().items():
            if "Terminating" in state:
                pipeline.fleet.shows(instance_id, EMPTY)
        for _ in range(10):
            pipeline.advance(100)
            self.somebody_follows_the_runbooks()
        pipeline.until(pipeline.is_quiet)

    def somebody_follows_the_runbooks(self) -> None:
        pipeline = self._pipeline
        events, pipeline.given_up = pipeline.given_up, []
        for event in events:
            pipeline.receive_event(event)
        for queue in ("buffer", "operation"):
            for body in pipeline.take_all(f"{queue}-dlq"):
                if body != "rubbish":
                    pipeline.put(queue, body)

    def scale(self) -> None:
        self._pipeline.scale_to(self._chance.randint(0, 5))

    def refuse_calls(self) -> None:
        call, times = self._chance.choice(CALLS), self._chance.randint(1, 9)
        self._pipeline.world.faults.throttle(call, times=times)

    def lose_a_reply(self) -> None:
        call = self._chance.choice(CALLS)
        code = "RequestTimeout" if call == "CompleteLifecycleAction" else "ServiceUnavailable"
        self._pipeline.world.faults.fail_calls(call, code, moment="after")

    def fail_operations(self) -> None:
        self._pipeline.world.faults.fail_operations(times=self._chance.randint(1, 3))

    def change_the_pace(self) -> None:
        self._pipeline.world.faults.operation_seconds = self._chance.choice([0, 1, 7, 30])

    def change_a_buffer(self) -> None:
        # In-service instances hold logs: nobody may find them empty by mistake.
        for instance_id, state in self._pipeline.states().items():
            if "Terminating" in state and self._chance.random() < 0.5:
                self._pipeline.fleet.shows(instance_id, self._chance.choice(CAPTURES))

    def lose_an_exporter(self) -> None:
        for instance_id, state in self._pipeline.states().items():
            if "Terminating" in state and self._chance.random() < 0.3:
                self._pipeline.fleet.loses_exporter(instance_id)
                self._pipeline.fleet.aggregators[instance_id].empty_since = None

    def break_prometheus(self) -> None:
        failure = None if self._pipeline.fleet.failure else ConnectionError("refused")
        self._pipeline.fleet.failure = failure

    def deliver_twice(self) -> None:
        # For a moment only: what is doubled again and again would be no day of this world.
        self._pipeline.copies = 2
        self._pipeline.advance(10)
        self._pipeline.copies = 1

    def send_rubbish(self) -> None:
        self._pipeline.put(self._chance.choice(["buffer", "operation"]), "rubbish")


@pytest.mark.parametrize("seed", range(3))
def test_a_day_on_which_everything_goes_wrong_loses_nothing(pipeline: Pipeline, seed: int) -> None:
    pipeline.start_fleet(3)
    day = BadDay(pipeline, seed)
    day.passes(minutes=20)
    day.ends()
    assert {*pipeline.states().values()} <= {"InService"}
    assert set(pipeline.registered()) == set(pipeline.states())
    expired = [entry for entry in pipeline.world.journal if entry["event"] == "expired"]
    assert expired == [], "a day too bad to prove anything"
    released = [
        entry["instance_id"]
        for entry in pipeline.world.journal
        if entry["event"] == "completed" and entry["lifecycle_hook_name"] == TERMINATE_HOOK
    ]
    gone = [one["instance_id"] for one in pipeline.world.journal if one["event"] == "terminated"]
    assert sorted(released) == sorted(gone)
    assert len(gone) >= 3
