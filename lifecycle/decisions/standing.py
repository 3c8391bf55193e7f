"""What the standing check makes of an instance in service: could it be proven empty today?"""

from collections.abc import Sequence

from lifecycle.decisions.buffer import Reason, State, Verdict, not_whole
from lifecycle.decisions.evidence import Evidence, Rules, Series
from lifecycle.decisions.flush import FlushReason, FlushState, FlushVerdict
from lifecycle.decisions.instance import Instance

# Boot, user data, the discovery of its target and of its agent.
_BOOT_SECONDS = 600.0
# What says nothing of the instance itself, so its age excuses nothing.
_OF_NO_INSTANCE = {Reason.EVIDENCE_FAILED, Reason.PROMETHEUS_FAILED}

# Reason and detail, as they are logged.
Flaw = tuple[str, str]


def judge_standing(series: Sequence[Series], *, now: float, rules: Rules) -> Verdict:
    """Judge whether an instance in service could be proven: is the evidence good and whole?

    A busy one is, so what the evidence says is not looked at. Never DRAINED.
    """
    evidence = Evidence.gather(series, now, rules)
    detail = f"{len(evidence.buffered_outputs)} buffered outputs, {rules.empty_for_seconds:g} s"
    return not_whole(evidence) or Verdict(State.SERVING, Reason.PROVABLE, detail)


def is_settled(instance: Instance | None, now: float, window_seconds: float = 0.0) -> bool:
    """Tell whether an instance has run for a boot and a whole window (all in seconds).

    Until then what is missing may still come. One that EC2 does not know has no excuse.
    """
    return instance is None or now - instance.launched_at >= _BOOT_SECONDS + window_seconds


def flaw_of_evidence(verdict: Verdict, *, settled: bool) -> Flaw | None:
    """Return why an instance could not be proven by metrics, None if it could, or may be too young.

    Anything but a good answer to this very question is a flaw.
    """
    if verdict.state is State.SERVING or not (settled or verdict.reason in _OF_NO_INSTANCE):
        return None
    return verdict.reason, verdict.detail


def flaw_of_look(verdict: FlushVerdict) -> Flaw | None:
    """Return why a flush could not prove an instance empty, None if it could.

    A look asks for no flush, so a sound answer is that none was, or that something is left.
    """
    is_sound = verdict.state is FlushState.REMAINING or verdict.reason is FlushReason.NOT_SIGNALLED
    return None if is_sound else (verdict.reason, verdict.detail)
