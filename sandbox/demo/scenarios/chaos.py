"""The scenario in which everything goes wrong around the functions, round after round.

Each round scales out and in again under load. Calls of the functions fail, functions are killed,
events and messages come twice, Prometheus crashes in the middle of drains, and the reconciler's
schedule comes round. An instance on which the pipeline gives up must raise its alarm; then a person
comes, on a quiet day, and redrives.
"""

from __future__ import annotations

import time
from random import Random
from typing import TYPE_CHECKING

from sandbox.demo.model import ChaosCount
from sandbox.demo.report.chaos_tables import missing
from sandbox.demo.scenarios import acts

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.demo.model import Sample
    from sandbox.demo.scenarios.stage import Stage

# The module's inputs that chaos asks for. One killed function costs its message a visibility
# timeout; several in a row must cost neither the drain nor the hook its time.
TIMING = {
    "drain_timeout_seconds": 900,
    "operation_timeout_seconds": 600,
    "launch_heartbeat_timeout_seconds": 900,
    "terminate_heartbeat_timeout_seconds": 1800,
}
# Three attempts of a slow call and the pauses between them have room in it; six of them, a
# visibility timeout, can be waited for. The buffer waiter outlasts the evidence function: 20 s.
FUNCTION_TIMEOUT_SECONDS = 11

SIZES = (3, 4)
# In a short run a rare fault may not come up in the first round.
_MOST_SHORT_ROUNDS = 4
_LOAD_SECONDS = 5.0
# What takes seconds on a quiet day, with several visibility timeouts of 66 s (120 s of the buffer
# queue) in a row.
_SETTLE_SECONDS = 450.0
_CALLED_SECONDS = 60.0
# How far into a drain Prometheus crashes: from settling to the empty window.
_CRASH_SECONDS = (2.0, 14.0)


def begin(stage: Stage) -> None:
    """One aggregator joins on a quiet day; lines come in; then the chaos begins."""
    stage.recorder.phase("One aggregator joins, on a quiet day")
    stage.set_desired_capacity(1)
    stage.recorder.wait_for("an aggregator to join", _in_service(1), _SETTLE_SECONDS)
    stage.start_load()
    stage.recorder.wait_for("lines to arrive", _serving(stage, 1), _CALLED_SECONDS)
    stage.recorder.note(f"Chaos begins, with the seed {stage.chaos.plan.seed}")
    stage.chaos.begin()


def play(stage: Stage) -> None:
    """Rounds until the time is over, then a quiet day on which nothing may be left."""
    plan = stage.chaos.plan
    dice = Random(f"{plan.seed}-rounds")
    end = time.monotonic() + plan.seconds
    _round(stage, dice)
    while time.monotonic() < end or _something_is_missing(stage):
        _round(stage, dice)
    stage.recorder.phase("Chaos ends")
    stage.chaos.pause()
    _leave_nothing(stage)
    stage.proven(
        f"In {stage.done['rounds']} rounds of chaos {stage.done['released']} aggregators had to "
        f"go; each was let go with its proof. A person was called {stage.done['calls']} x."
    )


def _something_is_missing(stage: Stage) -> bool:
    """Whether another round has to bring a kind of fault that has not come up yet."""
    return stage.done["rounds"] < _MOST_SHORT_ROUNDS and any(missing(counted(stage)))


def _round(stage: Stage, dice: Random) -> None:
    stage.done["rounds"] += 1
    # The first one, which may be all there is, stays small.
    size = dice.choice(SIZES) if stage.done["rounds"] > 1 else SIZES[0]
    stage.recorder.phase(f"Round {stage.done['rounds']}: scaling out 1 → {size} in chaos")
    stage.set_desired_capacity(size)
    _settle(stage, f"{size} aggregators to be in service and to take lines", _serving(stage, size))
    time.sleep(_LOAD_SECONDS)
    stage.recorder.phase(f"Round {stage.done['rounds']}: scaling in {size} → 1 in chaos")
    stage.set_desired_capacity(1)
    sample = stage.recorder.wait_for(
        f"{size - 1} aggregators to wait for their end",
        lambda sample: len(acts.leaving(sample)) == size - 1,
        _CALLED_SECONDS,
    )
    leaving = acts.leaving(sample)
    # It finds drains under way, some of which its marks do not show, and calls that fail.
    stage.reconcile()
    stage.done["reconciler invocations"] += 1
    for _ in range(dice.randint(1, 2) if stage.done["rounds"] > 1 else 1):
        time.sleep(dice.uniform(*_CRASH_SECONDS))
        stage.crash_prometheus()
    _settle(
        stage,
        f"the release of {' and '.join(leaving)}",
        lambda sample: not set(leaving) & set(acts.names_in(sample)),
    )
    stage.done["released"] += len(leaving)


def _in_service(size: int) -> Callable[[Sample], bool]:
    return lambda sample: (
        acts.in_service(sample) == size
        and sum(instance.registered for instance in sample.instances) == size
    )


def _serving(stage: Stage, size: int) -> Callable[[Sample], bool]:
    return lambda sample: _in_service(size)(sample) and stage.all_receive(acts.names_in(sample))


def _settle(stage: Stage, what: str, done: Callable[[Sample], bool]) -> None:
    """Wait until it is done, or given up with an alarm: then a person mends it on a quiet day."""
    sample = stage.recorder.wait_for(
        f"{what}, or for a dead letter",
        lambda sample: done(sample) or any(sample.dead_letters.values()),
        _SETTLE_SECONDS,
    )
    if done(sample):
        return
    stage.recorder.phase("The pipeline gave up on something and calls for a person")
    _wait_for_alarms(stage)
    stage.chaos.pause()
    moved = stage.redrive_everything()
    stage.recorder.note(f"On a quiet day, {moved} dead letters were redriven")
    stage.recorder.wait_for(what, done, _SETTLE_SECONDS)
    stage.chaos.begin()


def _wait_for_alarms(stage: Stage) -> None:
    """What lies in a dead-letter queue must have raised the alarm of that queue."""
    alarms = stage.names.dead_letter_alarms
    stage.recorder.wait_for(
        "each dead-letter queue that holds something to be in alarm",
        lambda sample: all(
            alarms[queue] in sample.alarms for queue, depth in sample.dead_letters.items() if depth
        ),
        _CALLED_SECONDS,
    )
    stage.done["calls"] += 1


def _leave_nothing(stage: Stage) -> None:
    """Redrive whatever is left, second copies of messages among it, and see it go."""
    if any(stage.recorder.samples[-1].dead_letters.values()):
        _wait_for_alarms(stage)
        stage.redrive_everything()
    stage.recorder.wait_for(
        "every message to be done with, and one aggregator to be left",
        lambda sample: (
            not any(sample.dead_letters.values())
            and acts.in_service(sample) == len(sample.instances) == 1
            and not stage.messages()
        ),
        _SETTLE_SECONDS,
    )


def counted(stage: Stage) -> ChaosCount:
    """Everything that went wrong so far."""
    chaos = stage.chaos
    seen = chaos.counted()
    services = sorted(seen.calls)
    return ChaosCount(
        seed=chaos.plan.seed,
        rounds=stage.done["rounds"],
        calls={service: seen.calls[service] for service in services},
        faults={
            service: {kind.value: seen.faults[service, kind] for kind in chaos.plan.faults}
            for service in services
        },
        functions_killed=dict(sorted(chaos.killed.items())),
        prometheus_crashes=stage.done["Prometheus crashes"],
        duplicate_events=chaos.courier.repeated,
        duplicate_messages=dict(sorted(chaos.duplicated.items())),
        redriven=stage.done["redriven"],
        reconciler_invocations=stage.done["reconciler invocations"],
    )
