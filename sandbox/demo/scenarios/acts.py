"""The steps that scenarios share: how they begin and end, what they wait for.

Every wait is bounded and raises CheckFailed when what has to happen did not.
"""

from collections.abc import Callable

from sandbox.demo.model import InstanceSample, Sample
from sandbox.demo.scenarios.stage import Stage

FLEET_SIZE = 3
_LOAD_SECONDS = 8.0
_LAUNCH_SECONDS = 60.0
_LEAVE_SECONDS = 30.0
# Settling, the last flush, an empty window, polls: about 30 s on an idle machine.
_RELEASE_SECONDS = 90.0
# Longer than settling and the empty window together: an early release has happened by then.
KEPT_SECONDS = 22.0
_NOTIFY_SECONDS = 30.0
_DELIVERY_SECONDS = 30.0

WAITING = "Terminating:Wait"


def scale_out_under_load(stage: Stage) -> None:
    """How every scenario begins: one aggregator, then three, each with lines coming in."""
    stage.recorder.phase("One aggregator joins")
    stage.set_desired_capacity(1)
    wait_for_service(stage, 1)
    stage.start_load()
    stage.recorder.wait_for(
        "the first lines to arrive", lambda sample: stage.all_receive(names_in(sample)), 60
    )
    stage.recorder.phase(f"Scaling out 1 → {FLEET_SIZE} under load")
    stage.set_desired_capacity(FLEET_SIZE)
    wait_for_service(stage, FLEET_SIZE)
    stage.recorder.wait_for(
        "every aggregator to take lines", lambda sample: stage.all_receive(names_in(sample)), 60
    )
    stage.recorder.phase(f"{FLEET_SIZE} aggregators under load")
    keep_in_service(stage)


def keep_in_service(stage: Stage) -> None:
    """Let the whole fleet take lines for a while."""
    stage.recorder.while_holding(
        f"{FLEET_SIZE} aggregators are in service",
        lambda sample: in_service(sample) == FLEET_SIZE,
        _LOAD_SECONDS,
    )


def deliver_everything(stage: Stage) -> None:
    """How every scenario ends: no more new lines, and time to deliver those in transit."""
    stage.recorder.phase("No more new lines; those in transit are delivered")
    stage.end_load()
    stage.flush()
    stage.recorder.wait_for(
        "the remaining aggregators to flush their buffers",
        lambda sample: all(instance.buffer_bytes in (0, None) for instance in sample.instances),
        _DELIVERY_SECONDS,
    )
    stage.recorder.wait_for(
        "every line to be found in S3",
        lambda sample: sample.lines_delivered == sample.lines_sent,
        _DELIVERY_SECONDS,
    )


def leave(stage: Stage, size: int = FLEET_SIZE, staying: int = 1) -> list[str]:
    """Scale in, to one by default; the ids of the instances that leave."""
    stage.recorder.phase(f"Scaling in {size} → {staying}")
    stage.set_desired_capacity(staying)
    sample = stage.recorder.wait_for(
        f"{size - staying} aggregators to wait in {WAITING}",
        lambda sample: len(leaving(sample)) == size - staying,
        _LEAVE_SECONDS,
    )
    return leaving(sample)


def hold(stage: Stage, what: str, holds: Callable[[Sample], bool]) -> None:
    """Watch for longer than an early release would take."""
    stage.recorder.while_holding(what, holds, KEPT_SECONDS)


def wait_for_service(stage: Stage, count: int, extra_seconds: float = 0) -> None:
    """Wait for as many instances in service."""
    stage.recorder.wait_for(
        f"{count} instances to be in service, and registered if there is somewhere to register",
        lambda sample: (
            in_service(sample) == count
            and sum(instance.registered for instance in sample.instances)
            == (count if stage.has_discovery else 0)
        ),
        _LAUNCH_SECONDS + extra_seconds,
    )


def wait_for_verdict(stage: Stage, names: list[str], verdict: str, when: str) -> None:
    """Wait for a verdict on each of these instances, all of them still kept."""
    stage.recorder.wait_for(
        f"the verdict {verdict} on {' and '.join(names)} {when}",
        lambda sample: all(
            is_kept(sample, name) and find(sample, name).verdict == verdict for name in names
        ),
        _RELEASE_SECONDS,
    )


def wait_for_release(stage: Stage, names: list[str], extra_seconds: float = 0) -> None:
    """Wait for the end of these instances."""
    stage.recorder.wait_for(
        f"the release of {' and '.join(names)}",
        lambda sample: not set(names) & set(names_in(sample)),
        _RELEASE_SECONDS + extra_seconds,
    )


def wait_for_logs(stage: Stage, victim: str) -> None:
    """Wait until a leaving instance is seen with logs that only it has."""
    stage.recorder.wait_for(
        f"{victim} to be kept with logs in its buffer",
        lambda sample: is_kept_with_logs(sample, victim),
        _LEAVE_SECONDS,
    )


def wait_for_dead_letter(stage: Stage, victim: str, stage_name: str) -> None:
    """Wait until a stage has dead-lettered a message and the operator was notified."""
    names = stage.names.stages[stage_name]
    queue, alarm = names.dead_letter_queue, names.alarm
    stage.recorder.wait_for(
        f"the check message of {victim} in {queue}",
        lambda sample: sample.dead_letters.get(queue, 0) > 0,
        _RELEASE_SECONDS,
    )
    stage.recorder.phase("The stage timed out: the message is dead-lettered, the alarm pages")
    stage.recorder.wait_for(
        f"the alarm {alarm} to fire", lambda sample: alarm in sample.alarms, _NOTIFY_SECONDS
    )
    stage.recorder.wait_for(
        f"SNS to notify the operator of {alarm}",
        lambda _: stage.was_notified(alarm),
        _NOTIFY_SECONDS,
    )


def in_service(sample: Sample) -> int:
    """How many instances are in service."""
    return sum(instance.lifecycle_state == "InService" for instance in sample.instances)


def leaving(sample: Sample) -> list[str]:
    """Those that wait for their termination."""
    return [one.instance_id for one in sample.instances if one.lifecycle_state == WAITING]


def names_in(sample: Sample) -> list[str]:
    """All instances of the sample."""
    return [instance.instance_id for instance in sample.instances]


def find(sample: Sample, name: str) -> InstanceSample:
    """The instance of this name."""
    return next(instance for instance in sample.instances if instance.instance_id == name)


def is_kept(sample: Sample, name: str) -> bool:
    """Whether it leaves and is still there."""
    return name in leaving(sample)


def is_kept_with_logs(sample: Sample, name: str) -> bool:
    """Whether it leaves, is still there, and holds logs that only it has."""
    return is_kept(sample, name) and bool(find(sample, name).buffer_bytes)
