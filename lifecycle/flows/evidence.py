"""Asks Prometheus once for all instances of a question, and judges each of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lifecycle.adapters import prometheus
from lifecycle.decisions.answers import Answer, Question, parse_question
from lifecycle.decisions.buffer import Reason, Verdict, judge, unknown
from lifecycle.telemetry import LogEvent, Runtime


@dataclass(frozen=True, slots=True)
class Prover:
    """Everything the evidence function touches.

    ``querier`` builds the Prometheus client of one question; it may raise PrometheusFailed.
    """

    querier: Callable[[], prometheus.Querier]
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
            instance_id: judge(
                series.get(subject.label_value, []),
                deregistered_at=subject.deregistered_at,
                now=now,
                rules=question.rules,
            )
            for instance_id, subject in question.instances.items()
        }
