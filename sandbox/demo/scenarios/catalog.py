"""The scenarios: what is done to the group, and what must happen then.

A scenario raises CheckFailed when something that has to happen did not. That nothing was lost and
no instance was released early is judged afterwards, from the record, for all of them alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandbox.chaos.plan import Plan
from sandbox.demo.scenarios import acts, chaos, flush, replacing, sharded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandbox.demo.scenarios.stage import Stage

AN_HOUR = 3600
SHORT_HOUR = 75
# The reconciler's grace on the local cloud, and its two snapshots.
RECONCILE_SECONDS = 30.0

# Well above what a healthy drain takes, so that only the one without metrics times out.
_SHORT_DRAIN_TIMEOUT_SECONDS = 55


@dataclass(frozen=True, slots=True)
class Setting:
    """What fleet a scenario is about, and which stages the module has."""

    # Whether forwarders find the instances by Cloud Map; without it, each writes its own lines.
    cloud_map: bool = True
    # Of the module's `cloud_map`: how many services the instances are spread over.
    shards: int = 1
    forwarders: int = 6
    # Of all forwarders together.
    lines_per_second: float = 600.0
    prometheus: bool = True
    flush: bool = False
    # Chunks wait for slices of time of this length; None: for an interval since they were begun.
    timekey_seconds: int | None = None
    # `retry_wait` and `retry_max_interval` of the outputs.
    retry_wait_seconds: float = 1.0
    retry_max_interval_seconds: float = 4.0
    # The groups, by the ends of their names, each with a module of its own; at first, so many.
    groups: tuple[str, ...] = ("aggregators",)
    groups_at_first: int | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """A named sequence of events; `timing` overrides the module's."""

    name: str
    about: str
    play: Callable[[Stage], None]
    timing: Mapping[str, float] = field(default_factory=dict)
    setting: Setting = Setting()
    begin: Callable[[Stage], None] = acts.scale_out_under_load
    # Overrides of the module's `lambda`.
    functions: Mapping[str, float] = field(default_factory=dict)
    # Random faults around the functions; None: no faults.
    chaos: Plan | None = None


def _scale_in(stage: Stage) -> None:
    leaving = acts.leave(stage)
    acts.wait_for_release(stage, leaving)
    stage.proven(f"{len(leaving)} aggregators left the group under load, and one stayed.")


def _destination_down(stage: Stage) -> None:
    leaving = acts.leave(stage)
    with stage.s3_refuses_writes():
        stage.recorder.phase("S3 refuses writes in the middle of the drain")
        acts.wait_for_verdict(stage, leaving, "DRAINING", "as long as S3 refuses writes")
        acts.hold(
            stage,
            "aggregators with logs are kept while S3 refuses writes",
            lambda sample: all(acts.is_kept_with_logs(sample, name) for name in leaving),
        )
        stage.proven(
            f"For {acts.KEPT_SECONDS:g} s of refused writes, longer than settling and the empty "
            "window together, both aggregators were kept with their buffers full."
        )
    stage.recorder.phase("S3 is back")
    acts.wait_for_release(stage, leaving)


def _lost_event(stage: Stage) -> None:
    with stage.events_are_lost():
        leaving = acts.leave(stage)
        acts.hold(
            stage,
            "aggregators whose events were lost are kept, and no drain begins",
            lambda sample: all(
                acts.is_kept(sample, name) and acts.find(sample, name).registered
                for name in leaving
            ),
        )
    stage.recorder.phase("The reconciler runs on its schedule: two snapshots, then the correction")
    stage.reconcile()
    acts.wait_for_release(stage, leaving, RECONCILE_SECONDS)
    stage.proven(
        "EventBridge lost both events; the reconciler found the aggregators waiting and started "
        "their drain: the same proof, and then the release."
    )


def _exporter_dies(stage: Stage) -> None:
    leaving = acts.leave(stage)
    victim = leaving[0]
    # S3 refuses its writes, too: a release now would really lose its logs.
    with stage.s3_refuses_writes(victim):
        acts.wait_for_logs(stage, victim)
        with stage.exporter_is_dead(victim):
            stage.recorder.phase("The metrics of an aggregator with a full buffer vanish")
            acts.wait_for_verdict(stage, [victim], "UNKNOWN", "without metrics")
            acts.wait_for_dead_letter(stage, victim, "buffer")
            acts.wait_for_logs(stage, victim)
            stage.proven(
                "Without metrics and with logs in its buffer the aggregator was kept beyond the "
                "drain timeout: its message reached the dead-letter queue, the alarm fired, "
                "the operator was notified."
            )
    stage.recorder.phase("Everything is repaired; the operator redrives the message")
    moved = stage.redrive("buffer")
    stage.recorder.note(f"{moved} message moved back to the buffer queue")
    acts.wait_for_release(stage, leaving)
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
        Scenario(
            "lost-event",
            "EventBridge loses the events of a scale-in: the reconciler starts the drains",
            _lost_event,
        ),
        Scenario(
            "agents-to-s3",
            "web servers upload once an hour: released when the last hour is in S3, not before",
            flush.agents_to_s3,
            setting=Setting(cloud_map=False, prometheus=False, flush=True, timekey_seconds=AN_HOUR),
        ),
        Scenario(
            "flush-in-backoff",
            "S3 is down when Fluentd flushes: flushed again when it is back, then released",
            flush.flush_in_backoff,
            setting=Setting(
                prometheus=False,
                flush=True,
                timekey_seconds=AN_HOUR,
                retry_wait_seconds=4.0,
                retry_max_interval_seconds=24.0,
            ),
        ),
        Scenario(
            "set-aside",
            "a chunk that S3 will never take: kept, dead-lettered, alarmed, rescued, redriven",
            flush.set_aside,
            setting=Setting(cloud_map=False, flush=True, timekey_seconds=AN_HOUR),
        ),
        Scenario(
            "scale-in-hourly",
            "chunks wait for an hour of 75 s: one group is drained with flush, one without",
            flush.scale_in_hourly,
            setting=Setting(flush=True, timekey_seconds=SHORT_HOUR, groups=flush.GROUPS),
            begin=flush.two_groups_under_load,
        ),
        Scenario(
            "blue-green",
            "the group is replaced: a second one with a module of its own, then without the first",
            replacing.play,
            setting=Setting(groups=replacing.GROUPS, groups_at_first=1),
        ),
        Scenario(
            "twenty-aggregators",
            "20 aggregators in three shards: every one receives, none flaps",
            sharded.play,
            sharded.TIMING,
            setting=Setting(
                shards=sharded.SHARDS,
                forwarders=sharded.FORWARDERS,
                lines_per_second=sharded.LINES_PER_SECOND,
            ),
            begin=sharded.begin,
        ),
        Scenario(
            "chaos",
            "calls fail, functions and Prometheus are killed, messages come twice: nothing lost",
            chaos.play,
            chaos.TIMING,
            begin=chaos.begin,
            functions={
                f"{one}_timeout_seconds": chaos.FUNCTION_TIMEOUT_SECONDS
                for one in ("handler", "operation_waiter")
            },
            chaos=Plan(),
        ),
    )
}
