"""Commands on several instances: one that fails keeps none of the others from its answer."""

import json
from typing import Any

import pytest

from lifecycle.adapters.run_command import RunCommand
from lifecycle.decisions.flush import FlushReason
from lifecycle.flows.commands import Commands
from lifecycle.telemetry import LogEvent
from tests.support.machines import answer
from tests.support.messages import INSTANCE_ID, OTHER_INSTANCE_ID
from tests.support.parts import Parts
from tests.support.scripted import THROTTLED, aws_error

DONE = {"Status": "Success", "StandardOutputContent": json.dumps(answer())}
SENT = {"Command": {"CommandId": "command-1"}}


def run(parts: Parts, *instance_ids: str) -> dict[str, FlushReason]:
    client: Any = parts.client
    command = RunCommand(client, "pipeline-flush", 60)
    commands = Commands(command, 30, LogEvent.LOOK_REQUESTED, parts.runtime)
    return {one: verdict.reason for one, verdict in commands.run(instance_ids).items()}


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (aws_error("InvalidInstanceId"), FlushReason.AGENT_NOT_REACHABLE),
        (THROTTLED, FlushReason.COMMAND_FAILED),
    ],
)
def test_one_that_cannot_be_asked_keeps_no_other_from_its_answer(
    error: Exception, reason: FlushReason
) -> None:
    parts = Parts(send_command=[error, SENT], get_command_invocation=DONE)
    assert run(parts, INSTANCE_ID, OTHER_INSTANCE_ID) == {
        INSTANCE_ID: reason,
        OTHER_INSTANCE_ID: FlushReason.NOTHING_LEFT,
    }
    line = parts.telemetry.the(LogEvent.LOOK_REQUESTED)
    assert line["commands"] == {OTHER_INSTANCE_ID: "command-1"}


def test_one_that_does_not_answer_in_time_is_unknown() -> None:
    parts = Parts(get_command_invocation={"Status": "InProgress"})
    assert run(parts, INSTANCE_ID) == {INSTANCE_ID: FlushReason.NOT_FINISHED}
    assert sum(parts.slept) == 30


def test_an_answer_that_cannot_be_read_is_unknown() -> None:
    parts = Parts(get_command_invocation=THROTTLED)
    assert run(parts, INSTANCE_ID) == {INSTANCE_ID: FlushReason.COMMAND_FAILED}


def test_without_an_instance_nothing_is_sent_or_logged() -> None:
    parts = Parts()
    assert run(parts) == {}
    assert (parts.client.calls, parts.telemetry.events) == ([], [])
