"""The scenarios about the flush stage: Fluentd flushes, and what is left on disk is checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.demo.scenarios import acts
from sandbox.host.waiting import CheckFailed

if TYPE_CHECKING:
    from sandbox.demo.scenarios.stage import Stage

# The second one has no flush, to compare with.
GROUPS = ("aggregators", "aggregators-without-flush")
_UPLOAD_SECONDS = 30.0
# How far away the next attempt is when S3 comes back: longer than any command takes.
_RETRY_SECONDS = (10.0, 30.0)
# How far into a slice of time the groups are scaled in: most of it is still to come.
_EARLY_SECONDS = (3.0, 12.0)


def agents_to_s3(stage: Stage) -> None:
    """Web servers leave in the middle of an hour of which S3 has nothing yet."""
    leaving = acts.leave(stage)
    for name in leaving:
        acts.wait_for_logs(stage, name)
    before = stage.recorder.samples[-1]
    acts.wait_for_release(stage, leaving)
    _require_requests(stage, leaving)
    after = stage.recorder.wait_for(
        "the last hour of the web servers that left to be in S3",
        lambda sample: sample.lines_delivered > before.lines_delivered,
        _UPLOAD_SECONDS,
    )
    stage.proven(
        f"When {len(leaving)} web servers began to leave in the middle of an hour, S3 had "
        f"{before.lines_delivered:,} of {before.lines_sent:,} lines; when they were gone it had "
        f"{after.lines_delivered:,}."
    )


def flush_in_backoff(stage: Stage) -> None:
    """The first signals come while S3 is down, and change nothing."""
    with stage.s3_refuses_writes():
        leaving = acts.leave(stage)
        acts.wait_for_verdict(stage, leaving, "REMAINING", "as long as S3 refuses writes")
        stage.recorder.phase("Flush commands change nothing: the outputs are in retry back-off")
        acts.hold(
            stage,
            "aggregators with logs are kept while S3 refuses writes",
            lambda sample: all(acts.is_kept_with_logs(sample, name) for name in leaving),
        )
        # S3 comes back in the middle of a long wait: signals go on being ignored for a while.
        nearest, furthest = _RETRY_SECONDS
        stage.recorder.wait_for(
            "the outputs to be in the middle of a long back-off",
            lambda _: all(nearest <= stage.retry_in_seconds(name) <= furthest for name in leaving),
            60,
        )
        without_effect = {name: stage.flush_requests(name) for name in leaving}
    stage.recorder.phase("S3 is back; the outputs do not know it yet")
    acts.wait_for_release(stage, leaving)
    for name, before in without_effect.items():
        after = stage.flush_requests(name) - before
        if not before or not after:
            raise CheckFailed(
                f"{name} got {before} flush commands before S3 was back, {after} after."
            )
        stage.proven(
            f"{name} got {before} flush commands while S3 was down and was kept each time; it got "
            f"{after} more when S3 was back, and was released when nothing was left."
        )


def set_aside(stage: Stage) -> None:
    """Fluentd backs up a chunk of one web server: every metric says empty, the disk does not."""
    # The oldest goes first.
    victim = acts.names_in(stage.recorder.samples[-1])[0]
    with stage.s3_rejects_writes(victim):
        leaving = acts.leave(stage)
        acts.wait_for_verdict(stage, [victim], "SET_ASIDE", "with a chunk in the backup folder")
        acts.wait_for_dead_letter(stage, victim, "flush")
        acts.hold(
            stage,
            "the web server with the chunk is kept",
            lambda sample: acts.is_kept_with_logs(sample, victim),
        )
        stage.proven(
            "A web server with a backed-up chunk was kept, though Fluentd had nothing left to "
            "send: its message reached the dead-letter queue, the operator was notified."
        )
    stage.recorder.phase("The operator copies the chunk to S3, then redrives the message")
    stage.rescue(victim)
    moved = stage.redrive("flush")
    stage.recorder.note(f"{moved} message moved back to the flush queue")
    acts.wait_for_release(stage, leaving)
    stage.proven("After that the same web server was released.")


def two_groups_under_load(stage: Stage) -> None:
    """Two aggregators that are flushed when they leave and one that is not, side by side."""
    stage.recorder.phase("Three aggregators in two groups join")
    stage.set_desired_capacity(2)
    stage.set_other_capacity(1)
    acts.wait_for_service(stage, acts.FLEET_SIZE)
    stage.start_load()
    stage.recorder.wait_for(
        "every aggregator to take lines",
        lambda sample: stage.all_receive(acts.names_in(sample)),
        60,
    )
    stage.recorder.phase(f"{acts.FLEET_SIZE} aggregators under load")
    acts.keep_in_service(stage)


def scale_in_hourly(stage: Stage) -> None:
    """One aggregator of each group leaves, at the same moment, early in a slice of time."""
    seconds = stage.timekey_seconds or 0
    stage.recorder.phase(f"Waiting for the next slice of {seconds} s to begin")
    earliest, latest = _EARLY_SECONDS
    stage.recorder.wait_for(
        "a slice of time to begin",
        lambda _: earliest <= stage.slice_age_seconds() <= latest,
        seconds + latest,
    )
    stage.recorder.phase("One aggregator of each group leaves")
    stage.set_desired_capacity(1)
    stage.set_other_capacity(0)
    sample = stage.recorder.wait_for(
        "one aggregator of each group to wait for its termination",
        lambda sample: len(acts.leaving(sample)) == acts.FLEET_SIZE - 1,
        30,
    )
    leaving = acts.leaving(sample)
    acts.wait_for_release(stage, leaving, extra_seconds=seconds)
    stage.proven("Both left under the same load, early in the same slice of time.")


def _require_requests(stage: Stage, names: list[str]) -> None:
    for name in names:
        if not stage.flush_requests(name):
            raise CheckFailed(f"{name} was released without a flush command.")
