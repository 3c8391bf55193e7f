"""Asks Prometheus once for all instances of a question, and judges each of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lifecycle.adapters import prometheus
from lifecycle.adapters.prometheus_session import Querier
from lifecycle.decisions.answers import Answer, Purpose, Question, Subject, parse_question
from lifecycle.decisions.buffer import Reason, Verdict, judge, unknown
from lifecycle.decisions.evidence import Series
from lifecycle.decisions.readiness import judge_readiness
from lifecycle.decisions.standing import judge_standing
from lifecycle.telemetry import LogEvent, Runtime


@dataclass(frozen=True, slots=True)
class Prover:
    """Everything the evidence function touches.

    ``querier`` builds the Prometheus client of one question; it may raise PrometheusFailed.
    """

    querier: Callable[[], Querier]
    runtime: Runtime

    def handle(self, event: object) -> dict[str, Any]:
        """Answer a question; whatever goes wrong with Prometheus is UNKNOWN, not an error.

        Raises Malformed for anything but a question.
        """
        question, now = parse_question(event), self.runtime.clock()
        try:
            verdicts = self._verdicts(question, now)
        except Exception as error:  # noqa: BLE001 (unknown, whatever it is)
            reason = f"{type(error).__name__}: {error}"
            self.runtime.telemetry.error(LogEvent.PROMETHEUS_FAILED, reason=reason)
            verdict = unknown(Reason.PROMETHEUS_FAILED, reason)
            verdicts = dict.fromkeys(question.instances, verdict)
        return Answer(version=1, now=now, verdicts=verdicts).model_dump(mode="json")

    def _verdicts(self, question: Question, now: float) -> dict[str, Verdict]:
        selection = prometheus.Selection(
            sorted({subject.label_value for subject in question.instances.values()}),
            label=question.instance_label,
            metric_prefix=question.rules.metric_prefix,
            range_seconds=question.rules.range_seconds,
        )
        series = prometheus.fetch(self.querier(), selection, now)
        return {
            instance_id: _verdict(question, subject, series.get(subject.label_value, []), now)
            for instance_id, subject in question.instances.items()
        }


def _verdict(question: Question, subject: Subject, series: list[Series], now: float) -> Verdict:
    if question.purpose is Purpose.STANDING:
        return judge_standing(series, now=now, rules=question.rules)
    if question.purpose is Purpose.READINESS:
        return judge_readiness(series, now=now, rules=question.rules)
    return judge(series, deregistered_at=subject.deregistered_at, now=now, rules=question.rules)
