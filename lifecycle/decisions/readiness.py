"""Whether a launching instance is registered: its Fluentd runs, does not run yet, or who knows.

Forwarders retry and buffer, so an address that refuses connections costs them little; an aggregator
that never comes costs capacity. So *unknown* registers after a while, *not ready* never does.
"""

from collections.abc import Sequence
from enum import StrEnum

from lifecycle.decisions.buffer import Reason, State, Verdict, unknown
from lifecycle.decisions.evidence import UP, Evidence, Rules, Series


class Admission(StrEnum):
    """What is done with a launching instance that is not registered yet."""

    REGISTER = "register"
    REGISTER_UNCHECKED = "register_unchecked"
    WAIT = "wait"


def judge_readiness(series: Sequence[Series], *, now: float, rules: Rules) -> Verdict:
    """Judge whether an instance's Fluentd runs. Never DRAINED.

    Down is what a fresh ``up`` of its own target says. While Fluentd boots it shows no series that
    would tell which target that is: then any target of the instance may be it.
    """
    evidence = Evidence.gather(series, now, rules)
    targets = [one for one in series if one.labels.get("__name__") == UP and one.samples]
    own = [up for up in (*evidence.up, *evidence.further_up) if _is_fresh(up, evidence)]
    asked = own if evidence.buffers else own or targets
    down = [up for up in asked if up.newest == 0 and _is_fresh(up, evidence)]
    if down:
        return Verdict(State.DOWN, Reason.NOT_READY, f"the newest scrape of {down[0]} failed")
    if not any(_is_fresh(one, evidence) for one in evidence.buffers):
        detail = f"no fresh series of its Fluentd, {len(targets)} targets of this instance"
        return unknown(Reason.NO_SERIES, detail)
    if not own or any(up.newest != 1 for up in own):
        return unknown(Reason.NO_UP, "no fresh up of the target that its series come from")
    return Verdict(State.SERVING, Reason.READY, f"{own[0]} is 1")


def _is_fresh(series: Series, evidence: Evidence) -> bool:
    return abs(evidence.now - series.samples[-1][0]) <= evidence.rules.fresh_seconds


def admission(
    verdict: Verdict, *, unknown_seconds: float, longest_unknown_seconds: float
) -> Admission:
    """Decide from an answer, and from how long nothing has been known (seconds)."""
    if verdict.state is State.SERVING and verdict.reason is Reason.READY:
        return Admission.REGISTER
    if verdict.state is State.DOWN or unknown_seconds < longest_unknown_seconds:
        return Admission.WAIT
    return Admission.REGISTER_UNCHECKED
