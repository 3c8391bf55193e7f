"""Deliberate bugs of evidence: who observed taken for what was observed, a part for the whole."""

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

from lifecycle.adapters import prometheus, prometheus_session
from lifecycle.decisions import answers as evidence_answers
from lifecycle.decisions import buffer, readiness, standing, targets
from lifecycle.decisions.answers import Answer, Question
from lifecycle.decisions.evidence import Series
from lifecycle.decisions.flush import FlushState
from lifecycle.decisions.targets import Labels
from tests.model.bugs import Mutation, each

MODEL = "tests/model/test_histories.py"
_ANSWERS = "tests/unit/decisions/test_answers.py"
_FUNCTION = "tests/unit/adapters/test_evidence.py"
_CREDENTIALS = "tests/unit/adapters/test_credentials.py"
_WHOLE_ANSWERS = "tests/unit/adapters/test_prometheus_session_answers.py"
_COPIES = "tests/unit/decisions/test_evidence_copies.py"
_TARGETS = "tests/unit/decisions/test_targets.py"

_without_up, _is_up_of = buffer._without_up, targets.is_up_of
_qualification, _all_series = prometheus_session._qualification, prometheus._all_series


def _is_of_the_job(up: Labels, series: Labels) -> bool:
    return targets._named(up, targets._JOB) == targets._named(series, targets._JOB)


def _nearest(labels: Labels) -> Labels:
    return {name: value for name, value in labels.items() if not name.endswith("_instance")}


def observers() -> Iterator[Mutation]:
    """Who observed, taken for what was observed, and the reverse."""
    module, evidence = "lifecycle.decisions.buffer", "lifecycle.decisions.evidence"
    target = "lifecycle.decisions.targets"
    yield from each(
        _COPIES,
        {
            "copies of an output counted as outputs": {
                f"{evidence}:Evidence.buffered_outputs": lambda self: {
                    series.copy for series in self.buffers
                }
            },
            "one copy of an output believed": {
                f"{evidence}:Evidence.of": lambda self, metric: list(
                    {one.output: one for one in self.outputs.get(metric, [])}.values()
                )
            },
            "a heartbeat that any observer saw": {
                f"{module}:_moved_beside": lambda moved_at, scrape: max(
                    moved_at.values(), default=0.0
                )
            },
        },
    )
    yield from each(
        _TARGETS,
        {
            "an `up` of any target of the job believed": {
                f"{target}:is_up_of": lambda up, series: (
                    "instance" in up and _is_of_the_job(up, series)
                )
            },
            "the `up` of a server between Fluentd and its observer believed": {
                f"{target}:is_up_of": lambda up, series: _is_up_of(_nearest(up), _nearest(series))
            },
        },
    )
    yield Mutation(
        "an `up` of one target enough for all",
        {f"{module}:_without_up": lambda evidence: None if evidence.up else _without_up(evidence)},
        _COPIES,
    )
    yield from each(
        _TARGETS,
        {
            "a worker that hangs taken for another exporter": {
                f"{target}:may_be_a_worker": lambda up, series: False
            },
            "another exporter taken for a worker": {f"{target}:may_be_a_worker": _is_of_the_job},
            "the last group of an IPv6 address taken for a port": {f"{target}:_port": _last_group},
        },
    )
    yield Mutation(
        "series of another IPv6 address believed",
        {
            "lifecycle.adapters.prometheus:_without_port": lambda label: re.sub(
                r"\]?(:[0-9]+)?$", "", label
            ).removeprefix("[")
        },
        "tests/unit/adapters/test_prometheus.py",
    )


def _last_group(labels: Labels) -> int | None:
    group = labels.get("instance", "").rpartition(":")[2]
    return int(group) if group.isdigit() else None


Fields = dict[str, object]


def _blind_to(*names: str) -> Callable[..., str | None]:
    def qualification(fields: Fields, harmless: set[str]) -> str | None:
        return _qualification({n: v for n, v in fields.items() if n not in names}, harmless)

    return qualification


def _known_only(fields: Fields, harmless: set[str]) -> str | None:
    known = {*harmless, "warnings", "isPartial"}
    return _qualification({n: v for n, v in fields.items() if n in known}, harmless)


def _with_repeats(result: Any) -> list[Series]:
    if not isinstance(result, list):
        return _all_series(result)
    return [prometheus._series(item) for item in result]


def answers() -> Iterator[Mutation]:
    """A part of an answer taken for the whole."""
    module = "lifecycle.adapters.prometheus_session"
    yield from each(
        _WHOLE_ANSWERS,
        {
            "a field that is not known taken for harmless": {
                f"{module}:_qualification": _known_only
            },
            "VictoriaMetrics' word for partial ignored": {
                f"{module}:_qualification": _blind_to("isPartial")
            },
            "what qualifies the data within it ignored": {
                f"{module}:_qualification": lambda fields, harmless: (
                    None if "resultType" in fields else _qualification(fields, harmless)
                )
            },
            "an answer without success believed": {
                f"{module}:_is_successful": lambda answer: answer.get("status") != "error"
            },
            "one of two different series of the same name believed": {
                "lifecycle.adapters.prometheus:_all_series": _with_repeats
            },
        },
    )
    yield Mutation(
        "the data taken for the whole answer",
        {f"{module}:_RedactingSession._examine": lambda self, response, **_settings: None},
        MODEL,
        breaks="never released on a partial answer",
    )


def _of_any_version(payload: bytes) -> Answer:
    return _parse_answer(payload.replace(b'"version":2', b'"version":1'))


_parse_answer = evidence_answers.parse_answer


def functions() -> Iterator[Mutation]:
    """What the evidence function returns, believed although it is no answer to the question."""
    module = "lifecycle.decisions.answers"

    def of_the_instance_at_least(answer: Answer, question: Question) -> bool:
        return answer.verdicts.keys() >= question.instances.keys()

    def whenever(answer: Answer, question: Question, asked_at: float, received_at: float) -> bool:
        return True

    yield Mutation(
        "an answer about other instances as well believed",
        {f"{module}:_is_about": of_the_instance_at_least},
        MODEL,
        breaks="never released on an answer to another question",
    )
    yield Mutation(
        "an answer of another time believed",
        {f"{module}:_is_of_this_time": whenever},
        _ANSWERS,
    )
    yield Mutation(
        "an answer of another version believed",
        {f"{module}:parse_answer": _of_any_version},
        _ANSWERS,
    )
    yield Mutation(
        "a function that failed asked for its answer all the same",
        {"lifecycle.adapters.evidence:_has_failed": lambda answer: False},
        _FUNCTION,
    )
    yield Mutation(
        "a question of any version answered",
        {f"{module}:parse_question": lambda event: _question({**event, "version": 1})},
        _ANSWERS,
    )
    yield Mutation(
        "any text taken for a token",
        {"lifecycle.adapters.credentials:_is_token": lambda text: text.isprintable()},
        _CREDENTIALS,
    )


_question = evidence_answers.parse_question
_flaw_of_evidence, _flaw_of_look = standing.flaw_of_evidence, standing.flaw_of_look


def standing_checks() -> Iterator[Mutation]:
    """A flaw of an instance in service overlooked, or a launch taken for one."""
    module, judgement = "lifecycle.decisions.standing", "tests/unit/decisions/test_standing.py"
    yield from each(
        judgement,
        {
            "the age of an instance excuses that nothing answers": {
                f"{module}:flaw_of_evidence": lambda verdict, instance, now, window_seconds: (
                    _flaw_of_evidence(verdict, instance, now=now, window_seconds=window_seconds)
                    if standing.is_settled(instance, now, window_seconds)
                    else None
                )
            },
            "each launch taken for a flaw": {
                f"{module}:is_settled": lambda instance, now, window_seconds=0.0: True
            },
            "an answer about a drain taken for one about the evidence": {
                f"{module}:flaw_of_evidence": lambda verdict, instance, now, window_seconds: (
                    None
                    if verdict.state is not buffer.State.UNKNOWN
                    else _flaw_of_evidence(
                        verdict, instance, now=now, window_seconds=window_seconds
                    )
                )
            },
            "one failed scrape taken for a flaw that lasts": {
                f"{module}:is_lasting": lambda instance, now, window_seconds: True
            },
            "a flaw that lasts taken for one that passes": {
                f"{module}:is_lasting": lambda instance, now, window_seconds: False
            },
            "the same instances asked in each run": {
                f"{module}:in_turn": lambda instance_ids, now: sorted(instance_ids)
            },
            "backed-up chunks overlooked by a look": {
                f"{module}:flaw_of_look": lambda verdict: (
                    None if verdict.state is FlushState.SET_ASIDE else _flaw_of_look(verdict)
                )
            },
        },
    )
    yield Mutation(
        "a busy instance taken for a provable one without a look at its evidence",
        {
            "lifecycle.decisions.buffer:_incomplete": lambda evidence: (
                None if buffer._holding(evidence) else _incomplete(evidence)
            )
        },
        "tests/unit/decisions/test_standing_evidence.py",
    )


_incomplete, _admission = buffer._incomplete, readiness.admission


def readiness_checks() -> Iterator[Mutation]:
    """A launch that does not listen registered, or one that nothing is known of never."""
    module = "lifecycle.decisions.readiness"

    def impatient(
        verdict: buffer.Verdict, unknown_seconds: float, longest_unknown_seconds: float
    ) -> readiness.Admission:
        return _admission(
            buffer.unknown(verdict.reason, ""),
            unknown_seconds=unknown_seconds,
            longest_unknown_seconds=longest_unknown_seconds,
        )

    def patient(
        verdict: buffer.Verdict, unknown_seconds: float, longest_unknown_seconds: float
    ) -> readiness.Admission:
        return _admission(verdict, unknown_seconds=0, longest_unknown_seconds=math.inf)

    def hasty(
        verdict: buffer.Verdict, unknown_seconds: float, longest_unknown_seconds: float
    ) -> readiness.Admission:
        if verdict.state is buffer.State.DOWN:
            return readiness.Admission.REGISTER
        return _admission(
            verdict,
            unknown_seconds=unknown_seconds,
            longest_unknown_seconds=longest_unknown_seconds,
        )

    yield from each(
        "tests/unit/decisions/test_readiness.py",
        {
            "one that is down registered after a while": {f"{module}:admission": impatient},
            "one that nothing is known of left to its hook": {f"{module}:admission": patient},
            "what was scraped long ago taken for what is": {
                f"{module}:_is_fresh": lambda series, evidence: True
            },
        },
    )
    yield Mutation(
        "a launch registered while its target is down",
        {f"{module}:admission": hasty},
        MODEL,
        breaks="never registered while its target is seen down",
    )
    yield Mutation(
        "one silent moment after a long boot taken for a long silence",
        {
            "lifecycle.decisions.instance:Instance.unknown_since": lambda self, started_at: (
                started_at
            )
        },
        "tests/unit/decisions/test_instance.py",
    )
