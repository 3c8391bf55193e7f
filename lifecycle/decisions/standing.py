"""What the standing check makes of an instance in service: could it be proven empty today?"""

import random
from collections.abc import Iterable, Sequence

from lifecycle.decisions.buffer import Reason, State, Verdict, not_whole, unknown
from lifecycle.decisions.evidence import Evidence, Rules, Series
from lifecycle.decisions.flush import FlushReason, FlushState, FlushVerdict
from lifecycle.decisions.instance import Instance

# Boot, user data, the discovery of its target and of its agent.
_BOOT_SECONDS = 600.0
# A flaw that comes and goes is none: in a large fleet some scrape fails in each run. It must last
# for a whole window, in which one failed scrape stays, and for three runs at the default interval,
# which start up to a minute late.
_LASTING_SECONDS = 540.0
# What says nothing of the instance itself, so its age excuses nothing.
_OF_NO_INSTANCE = {Reason.EVIDENCE_FAILED, Reason.PROMETHEUS_FAILED, Reason.NOT_ASKED}

# Reason and detail, as they are logged.
Flaw = tuple[str, str]
# Of an instance whose turn it was not in this run: nothing has been found of it.
NOT_IN_THIS_RUN: Flaw = (Reason.NOT_ASKED, "it was not its turn")


def judge_standing(
    series: Sequence[Series], *, now: float, rules: Rules, own_events_output: str | None = None
) -> Verdict:
    """Judge whether an instance in service could be proven: is the evidence good and whole?

    A busy one is, so what the evidence says is not looked at. Never DRAINED. Where the output for
    Fluentd's own events is known, each worker must have it: events that are buffered keep an
    instance from ever being quiet.
    """
    evidence = Evidence.gather(series, now, rules)
    detail = f"{len(evidence.buffered_outputs)} buffered outputs, {rules.empty_for_seconds:g} s"
    provable = Verdict(State.SERVING, Reason.PROVABLE, detail)
    return not_whole(evidence) or _not_apart(evidence, own_events_output) or provable


def _not_apart(evidence: Evidence, own_events_output: str | None) -> Verdict | None:
    """UNKNOWN if a worker with a buffer has no output for Fluentd's own events beside it."""
    if own_events_output is None:
        return None
    workers = {worker_id for worker_id, _, _ in evidence.buffered_outputs}
    lacking = sorted(workers - _workers_apart(evidence, own_events_output))
    if not lacking:
        return None
    return unknown(
        Reason.OWN_EVENTS_NOT_APART,
        f"no series of an output {own_events_output} without a buffer in "
        + ", ".join(f"worker {worker_id or 0}" for worker_id in lacking),
    )


def _workers_apart(evidence: Evidence, own_events_output: str) -> set[str]:
    """Return the workers that show that output now, and show no buffer of it."""
    oldest = evidence.now - evidence.rules.fresh_seconds
    return {
        series.output[0]
        for series in evidence.emitted_by(own_events_output)
        if series.output not in evidence.buffered_outputs and series.samples[-1][0] >= oldest
    }


def is_settled(instance: Instance | None, now: float, window_seconds: float = 0.0) -> bool:
    """Tell whether an instance has run for a boot and a whole window (all in seconds).

    Until then what is missing may still come. One that EC2 does not know has no excuse.
    """
    return instance is None or now - instance.launched_at >= _BOOT_SECONDS + window_seconds


def in_turn(instance_ids: Iterable[str], now: float) -> list[str]:
    """Return them in an order of this run's own: where time is short, each has its turn."""
    ids = sorted(instance_ids)
    return random.Random(now).sample(ids, len(ids))  # noqa: S311 (a turn, not a secret)


def flaw_of_evidence(
    verdict: Verdict, instance: Instance | None, *, now: float, window_seconds: float
) -> Flaw | None:
    """Return why an instance could not be proven by metrics, None if it could, or may be too young.

    Anything but a good answer to this very question is a flaw.
    """
    if instance is not None and instance.may_hold_what_was_cleared:
        return Reason.QUEUE_CLEARED, f"a queue may have been cleared, {instance.queue_cleared}"
    settled = is_settled(instance, now, window_seconds)
    if verdict.state is State.SERVING or not (settled or verdict.reason in _OF_NO_INSTANCE):
        return None
    return verdict.reason, verdict.detail


def is_of_this_run(flaw: Flaw) -> bool:
    """Tell whether a run has found this flaw, rather than passed the instance over."""
    return flaw[0] != Reason.NOT_ASKED


def is_lasting(instance: Instance | None, now: float, window_seconds: float) -> bool:
    """Tell whether it could not be proven in any run for so long that it counts.

    One that EC2 does not know cannot be remembered, so it counts at once.
    """
    if instance is None:
        return True
    since = instance.not_provable_since
    if since is None:
        return False
    # A moment that is still to come is of no run.
    return not 0 <= now - since < max(window_seconds, _LASTING_SECONDS)


def flaw_of_look(verdict: FlushVerdict) -> Flaw | None:
    """Return why a flush could not prove an instance empty, None if it could.

    A look asks for no flush, so a sound answer is that none was, or that something is left.
    """
    is_sound = verdict.state is FlushState.REMAINING or verdict.reason is FlushReason.NOT_SIGNALLED
    return None if is_sound else (verdict.reason, verdict.detail)
