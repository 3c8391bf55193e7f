"""A cloud with chaos: functions reach it through the proxies, as themselves, and can be killed."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.chaos.control import Chaos
from sandbox.chaos.plan import Fault, Plan
from sandbox.cloud import LocalCloud
from tests.sandbox.functions import Function, deploy

SECONDS = 60.0
# Every call takes its time, so that there is a middle of the work to be killed in.
PLAN = Plan(faults={Fault.SLOW: 1.0}, duplicate_events=1.0, duplicate_messages=1.0, killed_runs=1.0)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud"), chaos=PLAN) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def function(cloud: LocalCloud) -> Function:
    return deploy(cloud, "asks", {"Action": "sqs:ListQueues", "Resource": "*"})


@pytest.fixture
def chaos(cloud: LocalCloud) -> Iterator[Chaos]:
    assert cloud.chaos is not None
    yield cloud.chaos
    cloud.chaos.pause()


def test_a_function_passes_the_proxies_as_itself(function: Function, chaos: Chaos) -> None:
    before = chaos.counted()
    assert "answer" in function.call("sqs", "ListQueues")
    # Its role, not the proxy's: signature and policies are looked at behind the proxy.
    assert function.error_code("sqs", "CreateQueue", QueueName="x").startswith("AccessDenied")
    assert "UnauthorizedOperation" in function.error_code("ec2", "DescribeInstances")
    seen = chaos.counted()
    assert seen.calls["sqs"] - before.calls["sqs"] == 2
    assert seen.calls["ec2"] - before.calls["ec2"] == 1
    assert seen.faults == before.faults


def test_a_function_is_killed_at_work_and_works_again_afterwards(
    function: Function, chaos: Chaos
) -> None:
    chaos.begin()
    deadline = time.monotonic() + SECONDS
    answers: list[dict[str, Any]] = []
    while not any("errorMessage" in answer for answer in answers):
        assert time.monotonic() < deadline, answers
        answers.append(function.call("sqs", "ListQueues"))
    chaos.pause()
    assert answers[-1]["errorMessage"] == "Worker process died"
    assert chaos.killed["asks"] >= 1
    assert "answer" in function.call("sqs", "ListQueues")
