"""The evidence function: one question to Prometheus, and a verdict for each instance."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from handlers.evidence import wire
from lifecycle.adapters.prometheus_session import Querier
from lifecycle.errors import Malformed, PrometheusFailed
from lifecycle.flows.evidence import Prover
from lifecycle.telemetry import LogEvent, Runtime
from tests.support import environments
from tests.support.fuzz_cloud import NOW, SOUND_SERIES
from tests.support.messages import INSTANCE_ID, OTHER_INSTANCE_ID
from tests.support.recording import RecordingTelemetry

RULES = {"empty_for_seconds": 300, "settle_seconds": 75, "scrape_interval_seconds": 15}
SUBJECT = {"label_value": INSTANCE_ID, "deregistered_at": NOW - 1000}
QUESTION: dict[str, Any] = {
    "version": 1,
    "instances": {INSTANCE_ID: SUBJECT},
    "instance_label": "instance_id",
    "rules": RULES,
}


class Prometheus:
    """Answers each question with these series, or fails so."""

    def __init__(self, series: Any) -> None:
        self.series = series
        self.questions: list[str] = []

    def custom_query(self, query: str, params: object = None) -> Any:
        self.questions.append(query)
        if isinstance(self.series, Exception):
            raise self.series
        return self.series


def prover_of(telemetry: RecordingTelemetry, querier: Callable[[], Querier]) -> Prover:
    return Prover(querier, Runtime(telemetry, lambda: NOW))


def answer_of(series: Any = SOUND_SERIES, **changes: Any) -> Any:
    prometheus = Prometheus(series)
    answer = prover_of(RecordingTelemetry(), lambda: prometheus).handle({**QUESTION, **changes})
    return json.loads(json.dumps(answer))


def test_a_proven_instance_is_drained_as_of_now() -> None:
    answer = answer_of()
    assert (answer["version"], answer["now"]) == (1, NOW)
    verdict = answer["verdicts"][INSTANCE_ID]
    assert (verdict["state"], verdict["reason"]) == ("DRAINED", "proven_empty")


def test_all_instances_are_one_question_and_each_gets_a_verdict_by_its_own_times() -> None:
    prometheus = Prometheus(SOUND_SERIES)
    other = {"label_value": OTHER_INSTANCE_ID, "deregistered_at": NOW - 1000}
    question = {**QUESTION, "instances": {INSTANCE_ID: SUBJECT, OTHER_INSTANCE_ID: other}}
    verdicts = prover_of(RecordingTelemetry(), lambda: prometheus).handle(question)["verdicts"]
    reasons = {instance_id: verdict["reason"] for instance_id, verdict in verdicts.items()}
    assert reasons == {INSTANCE_ID: "proven_empty", OTHER_INSTANCE_ID: "no_series"}
    assert len(prometheus.questions) == 1
    late = {INSTANCE_ID: {**SUBJECT, "deregistered_at": NOW - 330}}
    assert answer_of(instances=late)["verdicts"][INSTANCE_ID]["reason"] == "settling"


def test_the_rules_are_those_of_the_question() -> None:
    rules = {**RULES, "expected_buffered_outputs": 9}
    assert answer_of(rules=rules)["verdicts"][INSTANCE_ID]["reason"] == "too_few_series"


def test_an_instance_in_service_is_provable_and_never_drained() -> None:
    verdict = answer_of(purpose="standing")["verdicts"][INSTANCE_ID]
    assert (verdict["state"], verdict["reason"]) == ("SERVING", "provable")


def test_a_launching_instance_is_ready_or_not_and_never_drained() -> None:
    verdict = answer_of(purpose="readiness")["verdicts"][INSTANCE_ID]
    assert (verdict["state"], verdict["reason"]) == ("SERVING", "ready")


@pytest.mark.parametrize("error", [PrometheusFailed("no"), OSError("no"), KeyError("no")])
@pytest.mark.parametrize("while_connecting", [True, False])
def test_whatever_goes_wrong_with_prometheus_is_unknown_and_no_error(
    error: Exception, *, while_connecting: bool
) -> None:
    def querier() -> Querier:
        if while_connecting:
            raise error
        return Prometheus(error)

    telemetry = RecordingTelemetry()
    verdict = prover_of(telemetry, querier).handle(QUESTION)["verdicts"][INSTANCE_ID]
    assert (verdict["state"], verdict["reason"]) == ("UNKNOWN", "prometheus_failed")
    assert telemetry.the(LogEvent.PROMETHEUS_FAILED)["reason"] == verdict["detail"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"version": 2}, "version"),
        ({"version": None}, "version"),
        ({"instances": {}}, "instances"),
        ({"instances": {"another": SUBJECT}}, "instances.another"),
        ({"instances": {INSTANCE_ID: {**SUBJECT, "label_value": ""}}}, "label_value"),
        ({"instances": {INSTANCE_ID: {**SUBJECT, "label_value": 'x"}'}}}, "label_value"),
        ({"instances": {INSTANCE_ID: {**SUBJECT, "deregistered_at": "now"}}}, "deregistered_at"),
        ({"instance_label": 'a="b",c'}, "instance_label"),
        ({"rules": {**RULES, "metric_prefix": 'x"}'}}, "rules.metric_prefix"),
        ({"rules": {**RULES, "scrape_interval_seconds": 0}}, "rules.scrape_interval_seconds"),
        ({"rules": {**RULES, "settle_seconds": -1}}, "rules.settle_seconds"),
        ({"rules": {**RULES, "empty_for_seconds": 44}}, "rules"),
        ({"rules": {**RULES, "empty_for_seconds": float("inf")}}, "rules.empty_for_seconds"),
        ({"rules": {**RULES, "expected_buffered_outputs": 0}}, "expected_buffered_outputs"),
        ({"rules": {"empty_for_seconds": 300}}, "rules.settle_seconds"),
        ({"credentials": "hunter2"}, "credentials"),
    ],
)
def test_what_is_no_question_is_refused_by_field_and_asks_nothing(
    changes: dict[str, Any], field: str
) -> None:
    prometheus = Prometheus(SOUND_SERIES)
    with pytest.raises(Malformed, match=f"question: .*{field}"):
        prover_of(RecordingTelemetry(), lambda: prometheus).handle({**QUESTION, **changes})
    assert prometheus.questions == []


@pytest.mark.parametrize("event", [None, [], "question", {"Records": []}])
def test_an_event_of_another_kind_is_no_question(event: object) -> None:
    with pytest.raises(Malformed, match="question: "):
        prover_of(RecordingTelemetry(), lambda: Prometheus([])).handle(event)


@pytest.mark.usefixtures("service")
def test_it_is_wired_without_asking_anything() -> None:
    runtime = Runtime(RecordingTelemetry())
    assert wire(environments.evidence(), runtime).querier() is not None
