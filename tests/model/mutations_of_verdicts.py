"""Deliberate bugs of the verdict on a buffer, and of the question that it is judged by."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

import requests

from lifecycle.adapters import prometheus
from lifecycle.adapters.prometheus import Selection
from lifecycle.adapters.prometheus_session import Querier
from lifecycle.decisions import buffer
from lifecycle.decisions.buffer import Verdict
from lifecycle.decisions.evidence import BUFFER_METRICS, Evidence, Series
from lifecycle.errors import PrometheusFailed
from tests.model.bugs import Mutation, each

_VERDICT = "tests/unit/decisions/test_buffer.py"
_PROMETHEUS = "tests/unit/adapters/test_prometheus.py"


_unreadable, _holding, _incomplete = buffer._unreadable, buffer._holding, buffer._incomplete


def verdicts() -> Iterator[Mutation]:
    module = "lifecycle.decisions.buffer"
    yield from each(
        _VERDICT,
        {
            "a sum over all outputs instead of minimum and maximum": {
                f"{module}:_miscounted": lambda evidence: None,
                f"{module}:_highest": lambda evidence, series: sum(
                    value for one in evidence.buffers for _, value in evidence.window(one)
                ),
            },
            "only the maximum, so that a negative count hides bytes": {
                f"{module}:_miscounted": lambda evidence: None,
                f"{module}:_is_held": lambda count: count > 0,
            },
            "an empty answer read as zero": {f"{module}:_unreadable": _empty_is_zero},
            "a window that may start before forwarders have stopped sending": {
                f"{module}:_settling": lambda evidence, deregistered_at: None
            },
            "`up` ignored": {
                f"{module}:_unreadable": lambda evidence: _unreadable(_always_up(evidence)),
                f"{module}:_incomplete": lambda evidence: _incomplete(_always_up(evidence)),
            },
            "staged and queued chunks without the total": {
                f"{module}:_holding": lambda evidence: _holding(_without_total(evidence))
            },
            "the newest sample may be of any age": {
                f"{module}:_unreadable": lambda evidence: _unreadable(_of_any_age(evidence))
            },
            "an instant instead of a range": {
                "lifecycle.decisions.evidence:Evidence.window_start": lambda self: (
                    self.now - self.rules.scrape_interval_seconds
                )
            },
            "emit_records ignored": {f"{module}:_receiving": lambda evidence: None},
            "a missing series ignored": {f"{module}:_without": lambda metric, evidence: None},
            "gaps ignored": {
                "lifecycle.decisions.evidence:Evidence.gap": lambda self, series: None
            },
            "the heartbeat output ignored": {f"{module}:_frozen": lambda evidence: None},
            "fewer outputs than expected accepted": {
                f"{module}:_incomplete": lambda evidence: _incomplete(_of_any_number(evidence))
            },
        },
    )
    yield from each(
        "tests/unit/flows/test_buffer.py",
        {
            "a cleared queue forgotten when its samples leave the window": {
                "lifecycle.flows.buffer:BufferWaiter._with_memory": lambda self, message, verdict: (
                    verdict
                )
            }
        },
    )
    yield from each(
        "tests/unit/decisions/test_clearing.py",
        {
            "a queue that a retry limit cleared taken for delivered": {
                f"{module}:_cleared": lambda evidence: None
            }
        },
    )


def _empty_is_zero(evidence: Evidence) -> Verdict | None:
    total = evidence.of(BUFFER_METRICS[0])
    return _unreadable(evidence) if total else buffer._drained(evidence)


def _always_up(evidence: Evidence) -> Evidence:
    return replace(evidence, up=_all_up(evidence.up), further_up=_all_up(evidence.further_up))


def _all_up(series: Sequence[Series]) -> list[Series]:
    return [replace(up, samples=[(time, 1.0) for time, _ in up.samples]) for up in series]


def _without_total(evidence: Evidence) -> Evidence:
    rest = {metric: of for metric, of in evidence.outputs.items() if metric != BUFFER_METRICS[0]}
    return replace(evidence, outputs=rest)


def _of_any_age(evidence: Evidence) -> Evidence:
    return replace(evidence, rules=replace(evidence.rules, scrape_interval_seconds=math.inf))


def _of_any_number(evidence: Evidence) -> Evidence:
    return replace(evidence, rules=replace(evidence.rules, expected_buffered_outputs=None))


_fetch = prometheus.fetch


def questions() -> Iterator[Mutation]:
    module = "lifecycle.adapters.prometheus"
    yield from each(
        _PROMETHEUS,
        {
            "one instance judged by another's series": {f"{module}:_grouped": _all_to_each},
            "an answer that is none read as no series": {f"{module}:fetch": _none_is_empty},
        },
    )
    yield from each(
        "tests/unit/adapters/test_prometheus_session.py",
        {
            "a redirect followed that repeats the credentials": {
                "lifecycle.adapters.prometheus_session:_RedactingSession.get_redirect_target": (
                    _redirected
                )
            }
        },
    )


def _all_to_each(series: Sequence[Series], selection: Selection) -> dict[str, list[Series]]:
    return {value: list(series) for value in selection.values} if series else {}


def _none_is_empty(querier: Querier, selection: Selection, now: float) -> dict[str, list[Series]]:
    try:
        return _fetch(querier, selection, now)
    except PrometheusFailed as error:
        if isinstance(error.__cause__, (LookupError, TypeError, ValueError)):
            return {}
        raise


def _redirected(self: requests.Session, resp: requests.Response) -> str | None:
    target = requests.Session.get_redirect_target(self, resp)
    if target and "@" in urlsplit(target).netloc:
        raise PrometheusFailed("the redirect has credentials in it: not shown, not followed")
    return target
