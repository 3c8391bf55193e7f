"""What went wrong on purpose is counted, shown, and missed if it did not happen."""

import json
from dataclasses import replace
from typing import Any

import pytest

from sandbox.demo.model import ChaosCount, Run
from sandbox.demo.report.judgement import problems
from sandbox.demo.scenarios import redrive
from sandbox.demo.scenarios.redrive import replay
from sandbox.host.waiting import CheckFailed

CHAOS = ChaosCount(
    seed=7,
    rounds=2,
    calls={"ec2": 40, "sqs": 1_000},
    faults={
        "ec2": {"throttled": 12, "server_error": 2, "slow": 1, "reset": 2, "answer_lost": 0},
        "sqs": {"throttled": 300, "server_error": 50, "slow": 80, "reset": 50, "answer_lost": 30},
    },
    functions_killed={"fluentd-buffer-waiter": 3, "fluentd-lifecycle": 1},
    prometheus_crashes=3,
    duplicate_events=4,
    duplicate_messages={"fluentd-buffer": 5},
    redriven=1,
    reconciler_invocations=2,
)


@pytest.fixture
def run(good_run: Run) -> Run:
    return replace(good_run, scenario="chaos", chaos=CHAOS)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"functions_killed": {}}, "No function was killed"),
        ({"prometheus_crashes": 0}, "Prometheus was never killed"),
        ({"duplicate_events": 0, "duplicate_messages": {}}, "Nothing was delivered twice"),
        ({"faults": {"sqs": {"throttled": 3}}}, "No call had this fault: answer lost"),
    ],
)
def test_chaos_that_did_not_happen_proves_nothing(
    run: Run, change: dict[str, Any], complaint: str
) -> None:
    assert problems(run) == ()
    found = problems(replace(run, chaos=replace(CHAOS, **change)))
    assert any(complaint in problem for problem in found)


class Letters:
    """A dead-letter queue of Lambda's records, and the function they are for."""

    def __init__(self, *, refuses: int = 0) -> None:
        self.records = [{"requestPayload": {"id": number}} for number in range(3)]
        self.taken: list[dict[str, Any]] = []
        self.refuses = refuses  # so many invocations

    def receive_message(self, **_: object) -> dict[str, Any]:
        shown = [{"MessageId": str(one), "Body": json.dumps(one)} for one in self.records[:1]]
        return {"Messages": [{**one, "ReceiptHandle": "r"} for one in shown]}

    def delete_message(self, **_: object) -> None:
        self.records.pop(0)

    def invoke(self, *, Payload: bytes, **_: object) -> dict[str, Any]:  # noqa: N803 - AWS's name
        if self.refuses:
            self.refuses -= 1
            return {"FunctionError": "Unhandled", "Payload": self}
        self.taken.append(json.loads(Payload))
        return {}

    def read(self) -> bytes:
        return b"the cause is still there"


@pytest.mark.parametrize("refuses", [0, 2])
def test_events_that_lambda_dead_lettered_are_given_to_the_function_until_it_takes_them(
    refuses: int,
) -> None:
    letters = Letters(refuses=refuses)
    assert replay(letters, letters, "url", "lifecycle") == 3
    assert letters.taken == [{"id": 0}, {"id": 1}, {"id": 2}]
    assert letters.records == []


def test_a_record_that_is_refused_again_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redrive, "_REPLAY_SECONDS", 0.2)
    letters = Letters(refuses=10**9)
    with pytest.raises(CheckFailed, match="the cause is still there"):
        replay(letters, letters, "url", "lifecycle")
    assert len(letters.records) == 3
