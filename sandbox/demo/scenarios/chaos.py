"""The scenario with random faults around the functions, round after round.

Each round scales out and in again under load. Calls of the functions fail, functions are killed,
events and messages come twice, Prometheus crashes in the middle of drains, and the reconciler
runs. A message that is dead-lettered must raise its alarm; then the operator redrives it, while no
faults are injected.
"""

import time
from collections.abc import Callable
from random import Random

from sandbox.demo.model import ChaosCount, Sample
from sandbox.demo.report.chaos_tables import missing
from sandbox.demo.scenarios import acts
from sandbox.demo.scenarios.stage import Stage

# The module's inputs that chaos asks for. One killed function costs its message a visibility
# timeout; the drain and the hook must have time for several in a row.
TIMING = {
    "drain_timeout_seconds": 900,
    "operation_timeout_seconds": 600,
    "launch_heartbeat_timeout_seconds": 900,
    "terminate_heartbeat_timeout_seconds": 1800,
}
# Long enough for three attempts of a slow call with their pauses; short enough to wait for the
# visibility timeout, six of them. The buffer waiter has 20 s: it outlasts the evidence function.
FUNCTION_TIMEOUT_SECONDS = 11

SIZES = (3, 4)
# In a short run a rare fault may not occur in the first round.
_MOST_SHORT_ROUNDS = 4
_LOAD_SECONDS = 5.0
# What takes seconds without faults, with several visibility timeouts of 66 s (120 s of the buffer
# queue) in a row.
_SETTLE_SECONDS = 450.0
_PAGED_SECONDS = 60.0
# How far into a drain Prometheus crashes: from settling to the empty window.
_CRASH_SECONDS = (2.0, 14.0)


def begin(stage: Stage) -> None:
    """One aggregator joins without faults; lines come in; then the chaos begins."""
    stage.recorder.phase("One aggregator joins, without faults")
    stage.set_desired_capacity(1)
    stage.recorder.wait_for("an aggregator to join", _in_service(1), _SETTLE_SECONDS)
    stage.start_load()
    stage.recorder.wait_for("lines to arrive", _serving(stage, 1), _PAGED_SECONDS)
    stage.recorder.note(f"Chaos begins, with the seed {stage.chaos.plan.seed}")
    stage.chaos.begin()


def play(stage: Stage) -> None:
    """Rounds until the time is over; then, without faults, no message may be left."""
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
        f"In {stage.done['rounds']} rounds of chaos {stage.done['released']} aggregators "
        f"left, each released with its proof. The operator was paged {stage.done['pages']} x."
    )


def _something_is_missing(stage: Stage) -> bool:
    """Whether a kind of fault has not occurred yet, so that another round is needed."""
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
        f"{size - 1} aggregators to wait for their termination",
        lambda sample: len(acts.leaving(sample)) == size - 1,
        _PAGED_SECONDS,
    )
    leaving = acts.leaving(sample)
    # It meets drains under way, some of them without a state tag, and calls that fail.
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
    """Wait until it is done, or dead-lettered and alarmed: then redrive it without faults."""
    sample = stage.recorder.wait_for(
        f"{what}, or for a dead letter",
        lambda sample: done(sample) or any(sample.dead_letters.values()),
        _SETTLE_SECONDS,
    )
    if done(sample):
        return
    stage.recorder.phase("A message was dead-lettered; the alarm pages")
    _wait_for_alarms(stage)
    stage.chaos.pause()
    moved = stage.redrive_everything()
    stage.recorder.note(f"{moved} dead letters were redriven, without faults")
    stage.recorder.wait_for(what, done, _SETTLE_SECONDS)
    stage.chaos.begin()


def _wait_for_alarms(stage: Stage) -> None:
    """A message in a dead-letter queue must have raised the alarm of that queue."""
    alarms = stage.names.dead_letter_alarms
    stage.recorder.wait_for(
        "each dead-letter queue that holds something to be in alarm",
        lambda sample: all(
            alarms[queue] in sample.alarms for queue, depth in sample.dead_letters.items() if depth
        ),
        _PAGED_SECONDS,
    )
    stage.done["pages"] += 1


def _leave_nothing(stage: Stage) -> None:
    """Redrive every message that is left, second copies included, until none is left."""
    if any(stage.recorder.samples[-1].dead_letters.values()):
        _wait_for_alarms(stage)
        stage.redrive_everything()
    stage.recorder.wait_for(
        "every message to be processed, and one aggregator to be left",
        lambda sample: (
            not any(sample.dead_letters.values())
            and acts.in_service(sample) == len(sample.instances) == 1
            and not stage.messages()
        ),
        _SETTLE_SECONDS,
    )


def counted(stage: Stage) -> ChaosCount:
    """The faults so far."""
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
