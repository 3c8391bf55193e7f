"""Plays every state, a few side by side, and says where the product disagrees with the truth."""

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from sandbox.conformance.judging import PROVEN, Judge, Observation, disagreement
from sandbox.conformance.program import Program
from sandbox.conformance.site import Site
from sandbox.conformance.states import State
from sandbox.host.ports import held_subnet

SIDE_BY_SIDE = 4
END_SECONDS = 90.0
FIRST_SCRAPE_SECONDS = 20
POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one state."""

    state: str
    outcome: str
    """`agrees`; `limit`: wrong as far as is documented; `DISAGREES`; `not checked`."""
    evidence: str
    flush: str
    remark: str
    seconds: float = 0.0


def play_all(
    states: Sequence[State], program: Program, directory: Path, show: Callable[[Result], None]
) -> list[Result]:
    """Play the states side by side; the results in their order."""
    with held_subnet() as subnet, ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        addresses = map(str, subnet.hosts())

        def played(state: State, address: str) -> Result:
            folder = directory / re.sub(r"\W+", "-", state.name)
            try:
                result = play(state, program, address, folder)
            except Exception as error:  # noqa: BLE001 - the other states are played all the same
                result = Result(state.name, "DISAGREES", "", "", f"{type(error).__name__}: {error}")
            show(result)
            return result

        return list(pool.map(played, states, addresses))


def play(state: State, program: Program, address: str, directory: Path) -> Result:
    """Play one state, from the start of a Fluentd to what is said of it at last."""
    obstacle = state.obstacle()
    if obstacle:
        return Result(state.name, "not checked", "", "", obstacle)
    started = time.time()
    with Site(program, state.plan, address, directory) as site:
        judge = Judge(site)
        try:
            with judge:
                _await_the_first_scrape(judge)
                site.do(state.steps)
                site.ask()
                _await_the_end(state, judge)
        finally:
            lines = [json.dumps(asdict(one)) for one in judge.observations]
            (directory / "observations.jsonl").write_text("\n".join(lines) + "\n")
    outcome, remark = _concluded(state, judge.observations)
    evidence, flush = (_told(source, judge.observations) for source in ("evidence", "flush"))
    return Result(state.name, outcome, evidence, flush, remark, round(time.time() - started, 1))


def _await_the_first_scrape(judge: Judge) -> None:
    """Wait until Prometheus has seen the Fluentd; when it scrapes first depends on its address."""
    deadline = time.monotonic() + FIRST_SCRAPE_SECONDS
    while time.monotonic() < deadline:
        if any(one.reason not in {"no_series", "prometheus_failed"} for one in judge.observations):
            return
        time.sleep(POLL_SECONDS)


def _await_the_end(state: State, judge: Judge) -> None:
    """Wait until both say what is right at the end, or time is up."""
    deadline, since = time.monotonic() + END_SECONDS, time.time()
    while time.monotonic() < deadline:
        new = [one for one in judge.observations if one.at > since]
        right = _last("evidence", new) in state.evidence and _last("flush", new) in state.flush
        if right and _is_shown(state, judge.observations):
            return
        time.sleep(POLL_SECONDS)


def _concluded(state: State, observations: Sequence[Observation]) -> tuple[str, str]:
    problems = list(_problems(state, observations))
    if problems:
        return "DISAGREES", "; ".join(problems)
    wrong = [f"{one.source}: {disagreement(one)}" for one in observations if disagreement(one)]
    if wrong and state.limit:
        return "limit", f"{wrong[0]} ({state.limit.document})"
    return "agrees", ""


def _problems(state: State, observations: Sequence[Observation]) -> Iterator[str]:
    for source, right in (("evidence", state.evidence), ("flush", state.flush)):
        last = _last(source, observations)
        if last not in right:
            yield f"{source} ends with {last}, not {' or '.join(sorted(right))}"
    wrong = [one for one in observations if disagreement(_seen(state, one))]
    if wrong:
        yield f"{wrong[0].source}: {disagreement(_seen(state, wrong[0]))}"
    if not _is_shown(state, observations):
        yield f"never seen: {state.must_see}"


def _is_shown(state: State, observations: Sequence[Observation]) -> bool:
    reasons = [one.reason for one in observations if one.source == "evidence"]
    return state.must_see in {"", *reasons}


def _seen(state: State, one: Observation) -> Observation:
    """An observation without what the documents say that this stage cannot see."""
    return one.without(getattr(state.limit, one.source)) if state.limit else one


def _last(source: str, observations: Sequence[Observation]) -> str:
    return next((one.state for one in reversed(observations) if one.source == source), "nothing")


def _told(source: str, observations: Sequence[Observation]) -> str:
    """The last answer, and how long after the truth it was first given for all time."""
    own = [one for one in observations if one.source == source]
    last = _last(source, own)
    if last not in PROVEN or not observations[-1].after.is_nothing:
        return last
    held = [one.at for one in observations if not one.after.is_nothing]
    received = [one.at - one.quiet_seconds for one in observations]
    asked = own[0].at - POLL_SECONDS
    otherwise = [one.at for one in own if one.state != last]
    first = min(one.at for one in own if one.at > max([0.0, *otherwise]))
    return f"{last} +{max(0.0, first - max([asked, *held, *received])):.1f} s"
