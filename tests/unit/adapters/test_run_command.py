"""Run Command: what is sent is agreed to the letter, and what comes back is distinguished."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from lifecycle.adapters.run_command import RunCommand
from lifecycle.decisions.flush import Invocation
from lifecycle.errors import AgentNotReachable
from tests.support.messages import INSTANCE_ID
from tests.support.scripted import THROTTLED, aws_error, scripted


def run_command(client: Any) -> RunCommand:
    return RunCommand(client, "pipeline-flush", 60)


def test_nothing_but_the_modules_document_with_its_own_defaults_is_ever_sent() -> None:
    client = scripted(send_command={"Command": {"CommandId": "command-1"}})
    assert run_command(client).send(INSTANCE_ID) == "command-1"
    [arguments] = client.arguments_of("send_command")
    assert arguments == {
        "DocumentName": "pipeline-flush",
        "DocumentVersion": "$DEFAULT",
        "InstanceIds": [INSTANCE_ID],
        "TimeoutSeconds": 60,
        "Comment": f"Flush Fluentd before {INSTANCE_ID} ends",
    }
    assert len(arguments["Comment"]) <= 100  # SSM's limit


def test_a_look_is_the_same_document_told_not_to_signal() -> None:
    client: Any = scripted(send_command={"Command": {"CommandId": "command-1"}})
    RunCommand(client, "pipeline-flush", 60, signals=False).send(INSTANCE_ID)
    [arguments] = client.arguments_of("send_command")
    assert arguments["Parameters"] == {"Signal": ["false"]}
    assert arguments["Comment"] == f"Look at Fluentd on {INSTANCE_ID}"


def test_agents_are_asked_for_by_at_most_a_hundred_ids() -> None:
    client = scripted(describe_instance_information={"InstanceInformationList": []})
    assert run_command(client).online([f"i-{n:08x}" for n in range(201)]) == set()
    asked = client.arguments_of("describe_instance_information")
    assert [len(one["Filters"][0]["Values"]) for one in asked] == [100, 100, 1]


def test_an_instance_without_an_agent_is_told_apart() -> None:
    client = scripted(send_command=aws_error("InvalidInstanceId", "not in a valid state"))
    with pytest.raises(AgentNotReachable, match=f"no running agent on {INSTANCE_ID}: .*InvalidIn"):
        run_command(client).send(INSTANCE_ID)


@pytest.mark.parametrize(
    "error", [THROTTLED, aws_error("AccessDeniedException"), aws_error("InvalidDocument")]
)
def test_another_error_of_sending_is_not_taken_for_a_missing_agent(error: ClientError) -> None:
    with pytest.raises(ClientError) as caught:
        run_command(scripted(send_command=error)).send(INSTANCE_ID)
    assert caught.value is error


def test_an_invocation_is_told_as_aws_tells_it() -> None:
    client = scripted(
        get_command_invocation={
            "Status": "Failed",
            "StatusDetails": "Undeliverable",
            "StandardOutputContent": "out",
            "StandardErrorContent": "err",
            "ResponseCode": -1,
        }
    )
    found = run_command(client).invocation("command-1", INSTANCE_ID)
    assert found == Invocation("Failed", "Undeliverable", "out", "err")
    assert client.calls == [
        ("get_command_invocation", {"CommandId": "command-1", "InstanceId": INSTANCE_ID})
    ]


def test_an_invocation_that_ssm_does_not_know_yet_is_pending() -> None:
    client = scripted(get_command_invocation=aws_error("InvocationDoesNotExist"))
    found = run_command(client).invocation("command-1", INSTANCE_ID)
    assert found.status == "Pending"
    assert not found.is_finished


def test_an_answer_without_a_status_is_pending() -> None:
    found = run_command(scripted(get_command_invocation={})).invocation("c", INSTANCE_ID)
    assert found == Invocation("Pending")
    assert not found.is_finished


@pytest.mark.parametrize("error", [THROTTLED, aws_error("InvalidCommandId")])
def test_another_error_of_looking_is_raised(error: ClientError) -> None:
    with pytest.raises(ClientError) as caught:
        run_command(scripted(get_command_invocation=error)).invocation("c", INSTANCE_ID)
    assert caught.value is error


@pytest.mark.parametrize("status", ["Pending", "InProgress", "Delayed", "Cancelling"])
def test_a_status_that_can_still_change_is_not_the_end(status: str) -> None:
    assert not Invocation(status).is_finished


@pytest.mark.parametrize("status", ["Success", "Failed", "TimedOut", "Cancelled", "Unheard-of"])
def test_any_other_status_is(status: str) -> None:
    assert Invocation(status).is_finished
