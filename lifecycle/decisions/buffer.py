"""Decides whether an instance's Fluentd buffer is proven empty.

A pure function of samples, time and rules; it knows no HTTP. The traps that it survives are those
of fluent-plugin-prometheus 2.2.1 (``in_prometheus_output_monitor.rb``), measured with real Fluentd
and real Prometheus; the captures are in ``tests/fixtures/fluentd-metrics``.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from operator import attrgetter

from pydantic import ConfigDict

from lifecycle.decisions.clearing import how_cleared
from lifecycle.decisions.evidence import (
    BUFFER_METRICS,
    METRICS,
    NUM_ERRORS,
    Evidence,
    Rules,
    Scrape,
    Series,
)
from lifecycle.decisions.targets import target_of


class State(StrEnum):
    """What is known about an instance's buffer."""

    DRAINED = "DRAINED"
    DRAINING = "DRAINING"
    UNKNOWN = "UNKNOWN"
    # Of an instance that serves, or is to: what it holds was not asked.
    SERVING = "SERVING"
    DOWN = "DOWN"


class Reason(StrEnum):
    """Why a verdict is what it is."""

    PROVEN_EMPTY = "proven_empty"
    # DRAINING: good evidence, and it says "not yet".
    STAGED = "staged"
    QUEUED = "queued"
    IN_FLIGHT = "in_flight"
    RECEIVING = "receiving"
    EMPTY_TOO_SHORT = "empty_too_short"
    SETTLING = "settling"
    # SERVING and DOWN: good evidence, whatever it says of buffers.
    PROVABLE = "provable"
    READY = "ready"
    NOT_READY = "not_ready"
    # UNKNOWN: no good evidence.
    NO_SERIES = "no_series"
    NO_UP = "no_up"
    STALE = "stale"
    SCRAPE_FAILED = "scrape_failed"
    GAP = "gap"
    NOT_A_NUMBER = "not_a_number"
    NEGATIVE = "negative"
    QUEUE_CLEARED = "queue_cleared"
    INCOMPLETE_SERIES = "incomplete_series"
    TOO_FEW_SERIES = "too_few_series"
    HEARTBEAT_STOPPED = "heartbeat_stopped"
    OWN_EVENTS_NOT_APART = "own_events_not_apart"
    PROMETHEUS_FAILED = "prometheus_failed"
    EVIDENCE_FAILED = "evidence_failed"
    NOT_ASKED = "not_asked"
    INSTANCE_NOT_IDENTIFIED = "instance_not_identified"


# What the newest samples say is held, most telling first. Bytes with nothing staged or queued are
# a chunk in flight, which shows only in the total, or a total that drifted (capture 11b).
_HELD = (
    ("buffer_stage_length", Reason.STAGED, "chunks staged"),
    ("buffer_queue_length", Reason.QUEUED, "chunks queued"),
    ("buffer_total_bytes", Reason.IN_FLIGHT, "bytes in flight, or a drifted total"),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for one instance.

    ``not_before`` (epoch seconds) is the earliest time at which it could become DRAINED, None if
    nothing is known. ``buffer_bytes`` is the newest total over all outputs, None if there is none.
    ``errors_rose`` is by how much ``num_errors`` grew within the samples: Fluentd may have dropped
    chunks or backed them up.
    """

    state: State
    reason: Reason
    detail: str
    buffer_bytes: int | None = None
    not_before: float | None = None
    errors_rose: int = 0

    # It travels in the evidence function's answer.
    __pydantic_config__ = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


def judge(series: Sequence[Series], *, deregistered_at: float, now: float, rules: Rules) -> Verdict:
    """Judge one instance from its series up to ``now`` (epoch seconds).

    ``series`` are all series of the instance over at least ``rules.range_seconds``: the buffer
    gauges, ``emit_records``, ``num_errors`` and ``up``. ``deregistered_at`` is when the instance
    was seen to be out of service discovery. Whatever the samples hold, it does not raise.
    """
    evidence = Evidence.gather(series, now, rules)
    answer = (
        _unreadable(evidence)
        or _miscounted(evidence)
        or _cleared(evidence)
        or _holding(evidence)
        or _receiving(evidence)
        or _settling(evidence, deregistered_at)
        or _incomplete(evidence)
        or _frozen(evidence)
        or _drained(evidence)
    )
    may_become_drained = answer.state is State.DRAINING
    return replace(
        answer,
        buffer_bytes=_newest_bytes(evidence),
        not_before=_not_before(evidence, deregistered_at) if may_become_drained else None,
        errors_rose=_whole(sum(evidence.worst_of(NUM_ERRORS, attrgetter("rise")).values())) or 0,
    )


def not_whole(evidence: Evidence) -> Verdict | None:
    """UNKNOWN if the evidence is no good, or leaves something out, whatever it says of buffers."""
    return (
        _unreadable(evidence) or _miscounted(evidence) or _incomplete(evidence) or _frozen(evidence)
    )


def unknown(reason: Reason, detail: str) -> Verdict:
    """Return the verdict for an instance about which nothing could be learnt."""
    return Verdict(State.UNKNOWN, reason, detail)


def _unreadable(evidence: Evidence) -> Verdict | None:
    """UNKNOWN without fresh evidence, or if a scrape or a value of it is no good."""
    if not evidence.of(BUFFER_METRICS[0]):
        return unknown(Reason.NO_SERIES, "no buffer_total_bytes series of this instance")
    unscraped = _without_up(evidence)
    if unscraped is not None:
        return unscraped
    for up in (*evidence.up, *evidence.further_up):
        if up.newest != 1:
            return _scrape_failed(evidence, up, "the newest scrape")
    for series in evidence.required:
        if not all(math.isfinite(value) for _, value in evidence.window(series)):
            return unknown(Reason.NOT_A_NUMBER, f"{series} holds a value that is not a number")
        age = evidence.now - series.samples[-1][0]
        if abs(age) > evidence.rules.fresh_seconds:
            return unknown(Reason.STALE, f"the newest sample of {series} is {age:.1f} s old")
    return None


def _without_up(evidence: Evidence) -> Verdict | None:
    """UNKNOWN if nothing tells whether the scrapes of a series succeeded."""
    for series in (*evidence.buffers, *evidence.emitted):
        numbers, _ = evidence.scrape_of(series)
        if not numbers:
            return unknown(
                Reason.NO_UP,
                f"no up series of the target of {series}: {target_of(series.labels)}; `up` must be "
                "stored with the same job and instance, and Fluentd must be scraped itself",
            )
    return None


def _scrape_failed(evidence: Evidence, up: Series, what: str) -> Verdict:
    """UNKNOWN: a scrape of a target failed; the detail names it."""
    detail = f"{what} of {up} failed"
    own = {target_of(one.labels) for one in evidence.up}
    if up in evidence.further_up and target_of(up.labels) not in own:
        detail += "; it may be a worker of this Fluentd: give another exporter a job of its own"
    return unknown(Reason.SCRAPE_FAILED, detail)


def _miscounted(evidence: Evidence) -> Verdict | None:
    """UNKNOWN if a gauge is below zero: any number of real bytes may hide behind it.

    Fluentd's count goes wrong when a retry limit is hit with a chunk in flight, and stays wrong
    until it restarts (capture 11).
    """
    for series in evidence.buffers:
        lowest = min(value for _, value in evidence.window(series))
        if lowest < 0:
            return unknown(Reason.NEGATIVE, f"{series} is {lowest:g}, below zero")
    return None


def _cleared(evidence: Evidence) -> Verdict | None:
    """UNKNOWN if a retry limit may have cleared a queue, with a chunk still being written."""
    how = how_cleared(evidence)
    return None if how is None else unknown(Reason.QUEUE_CLEARED, how)


def _holding(evidence: Evidence) -> Verdict | None:
    """DRAINING if there was anything in a buffer during the window."""
    for metric, reason, what in _HELD:
        newest = sum(evidence.worst_of(metric, attrgetter("newest")).values())
        if _is_held(newest):
            return Verdict(State.DRAINING, reason, f"{newest:g} {what}")
    for series in evidence.buffers:
        highest = _highest(evidence, series)
        if _is_held(highest):
            return Verdict(
                State.DRAINING,
                Reason.EMPTY_TOO_SHORT,
                f"{series} was {highest:g} within the last {_window(evidence)}",
            )
    return None


def _highest(evidence: Evidence, series: Series) -> float:
    """Of one output alone: in a sum, a count below zero hides another output's bytes."""
    return max(value for _, value in evidence.window(series))


def _is_held(count: float) -> bool:
    """Tell whether anything is held, or the count is wrong: it is below zero."""
    return count != 0


def _receiving(evidence: Evidence) -> Verdict | None:
    """DRAINING if a record came in: sparse traffic can leave every buffer gauge at 0."""
    for series in evidence.emitted:
        values = [value for _, value in evidence.window(series)]
        if max(values) != min(values):
            return Verdict(
                State.DRAINING,
                Reason.RECEIVING,
                f"{series} went from {values[0]:g} to {values[-1]:g} "
                f"within the last {_window(evidence)}",
            )
    return None


def _settling(evidence: Evidence, deregistered_at: float) -> Verdict | None:
    """DRAINING if the window starts before forwarders are sure to have stopped sending."""
    early = deregistered_at + evidence.rules.settle_seconds - evidence.window_start
    if early > 0:
        return Verdict(
            State.DRAINING,
            Reason.SETTLING,
            f"forwarders may have sent within the last {_window(evidence)}; {early:.0f} s to go",
        )
    return None


def _incomplete(evidence: Evidence) -> Verdict | None:
    """UNKNOWN if the evidence leaves out a series, or a part of the window."""
    for metric in METRICS:
        lacking = _without(metric, evidence)
        if lacking is not None:
            return unknown(Reason.INCOMPLETE_SERIES, f"no {metric} beside {lacking}")
    outputs, expected = evidence.buffered_outputs, evidence.rules.expected_buffered_outputs
    if expected is not None and len(outputs) < expected:
        return unknown(
            Reason.TOO_FEW_SERIES,
            f"{len(outputs)} buffered outputs reported (an output of a worker counts once, "
            f"however often it is observed), {expected} expected",
        )
    for up in (*evidence.up, *evidence.further_up):
        if any(value != 1 for _, value in evidence.window(up)):
            return _scrape_failed(evidence, up, f"a scrape within the last {_window(evidence)}")
    for series in evidence.required:
        gap = evidence.gap(series)
        if gap is not None:
            return unknown(Reason.GAP, f"{series}: {gap}")
    return None


def _without(metric: str, evidence: Evidence) -> Series | None:
    """Return a buffer gauge that has no series of the metric beside it, None if each has one."""
    copies = {series.copy for series in evidence.of(metric)}
    return next((one for one in evidence.buffers if one.copy not in copies), None)


def _frozen(evidence: Evidence) -> Verdict | None:
    """UNKNOWN if the exporter's timer died: it freezes every gauge while scrapes go on."""
    plugin_id = evidence.rules.heartbeat_plugin_id
    if plugin_id is None:
        return None
    moved_at: dict[Scrape, float] = {}
    for series in evidence.emitted_by(plugin_id):
        scrape, moved = evidence.scrape_of(series), series.last_change
        moved = -math.inf if moved is None else moved
        moved_at[scrape] = min(moved, moved_at.get(scrape, math.inf))
    for series in evidence.buffers:
        moved = _moved_beside(moved_at, evidence.scrape_of(series))
        if evidence.now - moved > evidence.rules.heartbeat_seconds:
            return unknown(
                Reason.HEARTBEAT_STOPPED,
                f"emit_records of heartbeat output {plugin_id} stands still beside {series}",
            )
    return None


def _moved_beside(moved_at: Mapping[Scrape, float], scrape: Scrape) -> float:
    """Return when the heartbeat output moved last, as this very observer saw it."""
    return moved_at.get(scrape, -math.inf)


def _drained(evidence: Evidence) -> Verdict:
    outputs = len(evidence.buffered_outputs)
    return Verdict(
        State.DRAINED,
        Reason.PROVEN_EMPTY,
        f"{outputs} buffered outputs empty and quiet for {_window(evidence)}",
    )


def _not_before(evidence: Evidence, deregistered_at: float) -> float:
    """Return the earliest time at which the whole window can be empty, quiet and settled."""
    rules = evidence.rules
    times = [deregistered_at + rules.settle_seconds]
    times += [series.last_change for series in evidence.emitted if series.last_change is not None]
    # The next sample can be the first 0, and the window may only start after it.
    times += [
        series.last_nonzero + rules.scrape_interval_seconds
        for series in evidence.buffers
        if series.last_nonzero is not None
    ]
    return max(times) + rules.empty_for_seconds


def _newest_bytes(evidence: Evidence) -> int | None:
    newest = evidence.worst_of(BUFFER_METRICS[0], attrgetter("newest"))
    finite = [value for value in newest.values() if math.isfinite(value)]
    return _whole(sum(finite)) if finite else None


def _whole(total: float) -> int | None:
    return int(total) if math.isfinite(total) else None


def _window(evidence: Evidence) -> str:
    return f"{evidence.rules.empty_for_seconds:g} s"
