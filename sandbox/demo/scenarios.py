"""The scenarios: what is done to the group, and what has to come of it.

A scenario raises WaitedInVain when something that has to happen did not. That nothing was lost and
nobody was released early is judged afterwards, from the record, for all of them alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandbox.demo.model import InstanceSample, Sample
    from sandbox.demo.stage import Stage

FLEET_SIZE = 3
_LOAD_SECONDS = 8.0
_LAUNCH_SECONDS = 60.0
_LEAVE_SECONDS = 30.0
# Settling, the last flush, an empty window, polls: about 30 s on an idle machine.
_RELEASE_SECONDS = 90.0
# Longer than settling and the empty window together: whoever let go too early, did so by now.
_KEPT_SECONDS = 22.0
_NOTIFY_SECONDS = 30.0
_HOME_SECONDS = 30.0
# Well above what a healthy drain takes, so that only the one without metrics is given up.
_SHORT_DRAIN_TIMEOUT_SECONDS = 55

WAITING = "Terminating:Wait"


@dataclass(frozen=True, slots=True)
class Scenario:
    """A named sequence of events; `timing` overrides inputs of the module."""

    name: str
    about: str
    play: Callable[[Stage], None]
    timing: Mapping[str, float] = field(default_factory=dict)


def _scale_in(stage: Stage) -> None:
    leaving = _leave(stage)
    _wait_for_release(stage, leaving)
    stage.proven(f"{len(leaving)} aggregators left the group under load, and one stayed.")


def _destination_down(stage: Stage) -> None:
    leaving = _leave(stage)
    with stage.s3_refuses_writes():
        stage.recorder.phase("S3 refuses writes in the middle of the drain")
        _wait_for_verdict(stage, leaving, "DRAINING", "as long as S3 refuses writes")
        stage.recorder.while_holding(
            "aggregators with logs are kept while S3 refuses writes",
            lambda sample: all(
                _is_kept(sample, name) and bool(_find(sample, name).buffer_bytes)
                for name in leaving
            ),
            _KEPT_SECONDS,
        )
        stage.proven(
            f"For {_KEPT_SECONDS:g} s of refused writes, longer than settling and the empty "
            "window together, both aggregators were kept with their buffers full."
        )
    stage.recorder.phase("S3 is back")
    _wait_for_release(stage, leaving)


def _exporter_dies(stage: Stage) -> None:
    leaving = _leave(stage)
    victim = leaving[0]
    # S3 refuses its writes, too: were it let go now, its logs would really be lost.
    with stage.s3_refuses_writes(victim):
        _wait_for_logs(stage, victim)
        with stage.exporter_is_dead(victim):
            stage.recorder.phase("The metrics of an aggregator with a full buffer vanish")
            _wait_for_verdict(stage, [victim], "UNKNOWN", "without metrics")
            _wait_for_dead_letter(stage, victim)
            _wait_for_logs(stage, victim)
            stage.proven(
                "Without metrics and with logs in its buffer the aggregator was kept beyond the "
                "drain timeout: its message reached the dead-letter queue, the alarm went off, "
                "the operator was notified."
            )
    stage.recorder.phase("All is mended; the operator redrives the message")
    moved = stage.redrive_buffer_dead_letters()
    stage.recorder.note(f"{moved} message moved back to the buffer queue")
    _wait_for_release(stage, leaving)
    stage.proven("After the redrive of the runbook the same aggregator was released.")


SCENARIOS: Mapping[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario("scale-in", "three aggregators become one, under load", _scale_in),
        Scenario(
            "destination-down",
            "S3 refuses writes in the middle of a drain: kept until it is back and empty",
            _destination_down,
        ),
        Scenario(
            "exporter-dies",
            "metrics vanish with a full buffer: kept, dead-lettered, alarmed, redriven",
            _exporter_dies,
            {"drain_timeout_seconds": _SHORT_DRAIN_TIMEOUT_SECONDS},
        ),
    )
}


def scale_out_under_load(stage: Stage) -> None:
    """How every scenario begins: one aggregator, then three, each with lines coming in."""
    stage.recorder.phase("One aggregator joins")
    stage.set_desired_capacity(1)
    _wait_for_service(stage, 1)
    stage.start_load()
    stage.recorder.wait_for(
        "the first lines to arrive", lambda sample: stage.all_receive(_names(sample)), 60
    )
    stage.recorder.phase(f"Scaling out 1 → {FLEET_SIZE} under load")
    stage.set_desired_capacity(FLEET_SIZE)
    _wait_for_service(stage, FLEET_SIZE)
    stage.recorder.wait_for(
        "every aggregator to take lines", lambda sample: stage.all_receive(_names(sample)), 60
    )
    stage.recorder.phase(f"{FLEET_SIZE} aggregators under load")
    stage.recorder.while_holding(
        f"{FLEET_SIZE} aggregators are in service",
        lambda sample: _in_service(sample) == FLEET_SIZE,
        _LOAD_SECONDS,
    )


def bring_everything_home(stage: Stage) -> None:
    """How every scenario ends: no more lines, and those that are on the way get their time."""
    stage.recorder.phase("No more new lines; what is on the way is delivered")
    stage.end_load()
    stage.flush()
    stage.recorder.wait_for(
        "the remaining aggregators to flush their buffers",
        lambda sample: all(instance.buffer_bytes in (0, None) for instance in sample.instances),
        _HOME_SECONDS,
    )
    stage.recorder.wait_for(
        "every line to be found in S3",
        lambda sample: sample.lines_delivered == sample.lines_sent,
        _HOME_SECONDS,
    )


def _leave(stage: Stage) -> list[str]:
    """Scale in to one; the ids of those that have to go."""
    stage.recorder.phase(f"Scaling in {FLEET_SIZE} → 1")
    stage.set_desired_capacity(1)
    sample = stage.recorder.wait_for(
        f"{FLEET_SIZE - 1} aggregators to wait in {WAITING}",
        lambda sample: len(_leaving(sample)) == FLEET_SIZE - 1,
        _LEAVE_SECONDS,
    )
    return _leaving(sample)


def _wait_for_service(stage: Stage, count: int) -> None:
    stage.recorder.wait_for(
        f"{count} aggregators to be in service and registered",
        lambda sample: (
            _in_service(sample) == count
            and sum(instance.registered for instance in sample.instances) == count
        ),
        _LAUNCH_SECONDS,
    )


def _wait_for_verdict(stage: Stage, names: list[str], verdict: str, when: str) -> None:
    stage.recorder.wait_for(
        f"the verdict {verdict} on {' and '.join(names)} {when}",
        lambda sample: all(
            _is_kept(sample, name) and _find(sample, name).verdict == verdict for name in names
        ),
        _RELEASE_SECONDS,
    )


def _wait_for_release(stage: Stage, leaving: list[str]) -> None:
    stage.recorder.wait_for(
        f"the release of {' and '.join(leaving)}",
        lambda sample: not set(leaving) & set(_names(sample)),
        _RELEASE_SECONDS,
    )


def _wait_for_logs(stage: Stage, victim: str) -> None:
    stage.recorder.wait_for(
        f"{victim} to be kept with logs in its buffer",
        lambda sample: _is_kept(sample, victim) and bool(_find(sample, victim).buffer_bytes),
        _LEAVE_SECONDS,
    )


def _wait_for_dead_letter(stage: Stage, victim: str) -> None:
    queue, alarm = stage.names.buffer_dead_letter_queue, stage.names.buffer_alarm
    stage.recorder.wait_for(
        f"the check message of {victim} in {queue}",
        lambda sample: sample.dead_letters.get(queue, 0) > 0,
        _RELEASE_SECONDS,
    )
    stage.recorder.phase("The pipeline gave up and calls for a person")
    stage.recorder.wait_for(
        f"the alarm {alarm} to go off", lambda sample: alarm in sample.alarms, _NOTIFY_SECONDS
    )
    stage.recorder.wait_for(
        f"SNS to notify the operator of {alarm}",
        lambda _: stage.was_notified(alarm),
        _NOTIFY_SECONDS,
    )


def _in_service(sample: Sample) -> int:
    return sum(instance.lifecycle_state == "InService" for instance in sample.instances)


def _leaving(sample: Sample) -> list[str]:
    return [one.instance_id for one in sample.instances if one.lifecycle_state == WAITING]


def _names(sample: Sample) -> list[str]:
    return [instance.instance_id for instance in sample.instances]


def _find(sample: Sample, name: str) -> InstanceSample:
    return next(instance for instance in sample.instances if instance.instance_id == name)


def _is_kept(sample: Sample, name: str) -> bool:
    return name in _leaving(sample)
