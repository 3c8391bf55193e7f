"""The functions as Lambda calls them: by their entry points, with nothing but an environment."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from handlers import evidence as evidence_function
from handlers import lifecycle as lifecycle_handler
from handlers import reconcile as reconciling
from lifecycle.adapters import clients
from tests.support.functions import InProcess
from tests.support.messages import buffer_check, record, sqs_event
from tests.support.pipeline import Pipeline
from tests.support.prometheus_server import PrometheusServer, prometheus_server
from waiters import buffer as buffer_waiter
from waiters import operation as operation_waiter

MODULES = (lifecycle_handler, reconciling, operation_waiter, buffer_waiter, evidence_function)


@pytest.fixture
def prometheus() -> Iterator[PrometheusServer]:
    with prometheus_server() as server:
        yield server


@pytest.fixture
def deployed(
    pipeline: Pipeline, prometheus: PrometheusServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Pipeline]:
    """The environment of the functions; each is wired at its first invocation."""
    settings = {**pipeline.environment, "PROMETHEUS_URL": prometheus.url}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", f"pipeline-{id(pipeline)}")
    lambda_ = InProcess(lambda event: evidence_function.handler(event, None))
    monkeypatch.setattr(clients, "functions", lambda _longest_answer_seconds: lambda_)
    for module in MODULES:
        vars(module)["handler"].wired.cache_clear()
    yield pipeline
    for module in MODULES:
        vars(module)["handler"].wired.cache_clear()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    out = capsys.readouterr().out
    return [json.loads(line) for line in out.split("\n") if line]


def test_the_lifecycle_handler_registers_and_logs(
    deployed: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed.create_group(1)
    [event] = deployed.world.lifecycle_events
    lifecycle_handler.handler(event, None)
    [instance_id] = deployed.states()
    written = lines(capsys)
    assert [line["message"] for line in written] == [
        "lifecycle_event_received",
        "registration_requested",
        "check_message_enqueued",
    ]
    for line in written:
        assert line["instance_id"] == instance_id
        assert line["autoscaling_group_name"] == "fluentd-aggregators"
        assert line["lifecycle_hook_name"] == "pipeline-launch"
        assert line["transition"] == "launching"


def test_the_reconciler_prints_what_it_measured(
    deployed: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed.create_group(0)
    reconciling.handler({}, None)
    [line, measured] = lines(capsys)
    assert (line["message"], line["mode"], line["discrepancies"]) == ("reconciled", "correct", 0)
    assert measured["RetentionPolicyMissing"] == [1.0]
    assert measured["InServiceInstances"] == [0.0]
    units = {
        one["Name"]: one["Unit"] for one in measured["_aws"]["CloudWatchMetrics"][0]["Metrics"]
    }
    assert (units["OldestWaitSeconds"], units["CorrectionsMade"]) == ("Seconds", "Count")


def test_the_operation_waiter_answers_with_what_comes_back_and_prints_its_metrics(
    deployed: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed.create_group(1)
    lifecycle_handler.handler(deployed.world.lifecycle_events[0], None)
    [body] = deployed.bodies("operation")
    pending = record(body, message_id="m1", sent_at=deployed.clock())
    # Its own clock is the real one: a message of today, so that the deadline is far.
    pending["attributes"]["SentTimestamp"] = "99999999999999"
    event = sqs_event(pending, record("malformed", message_id="m2"))
    assert operation_waiter.handler(event, None) == {
        "batchItemFailures": [{"itemIdentifier": "m1"}]
    }
    deployed.clock.now += 5
    assert operation_waiter.handler(sqs_event(pending), None) == {"batchItemFailures": []}
    assert deployed.states_are("InService", 1)
    written = lines(capsys)
    measured = [line for line in written if "_aws" in line]
    assert [sorted(set(line) - {"_aws", "service"}) for line in measured] == [
        ["CheckMessageDeadLettered"],
        ["LifecycleActionCompleted"],
    ]
    assert {line["service"] for line in measured} == {f"pipeline-{id(deployed)}"}
    pending_line = next(line for line in written if line.get("message") == "operation_pending")
    assert pending_line["instance_id"] == next(iter(deployed.states()))


def test_the_buffer_waiter_asks_the_evidence_function_and_that_its_prometheus(
    deployed: Pipeline, prometheus: PrometheusServer, capsys: pytest.CaptureFixture[str]
) -> None:
    now = time.time()
    fresh = record(buffer_check(started_at=now), message_id="m1", sent_at=now)
    answer = buffer_waiter.handler(sqs_event(fresh), None)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    assert len(prometheus.received) == 1
    [verdict] = [line for line in lines(capsys) if line.get("message") == "buffer_verdict"]
    assert (verdict["verdict"], verdict["reason"]) == ("UNKNOWN", "no_series")
    assert "not_before" not in verdict  # nothing tells when


def test_a_warm_function_keeps_its_clients(deployed: Pipeline) -> None:
    for module in MODULES:
        wired = vars(module)["handler"].wired
        assert wired() is wired()
    assert deployed.crashes == []
