"""Run Command answers as AWS does, and what an agent reports decides how a command ends."""

import json
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from sandbox.emulator import Assignment, Report
from sandbox.emulator.ssm.run_command import RunCommandBackend
from tests.sandbox.emulator.conftest import Cloud

DOCUMENT = {
    "schemaVersion": "2.2",
    "parameters": {
        "service": {"type": "String", "default": "fluentd", "allowedPattern": "^[a-z-]+$"}
    },
    "mainSteps": [
        {
            "action": "aws:runShellScript",
            "name": "flush",
            "inputs": {"timeoutSeconds": "60", "runCommand": ["flush {{ service }}"]},
        }
    ],
}
NAME = "fluentd-flush"


@dataclass
class Commands:
    """A document, an instance, and an agent that says what a test wants it to."""

    cloud: Cloud
    ssm: Any
    instance_id: str
    report: Report = field(default_factory=Report)
    seen: list[Assignment] = field(default_factory=list)

    def agent(self, assignment: Assignment) -> Report:
        self.seen.append(assignment)
        return self.report

    def send(self, **changes: Any) -> str:
        request = {"DocumentName": NAME, "InstanceIds": [self.instance_id], **changes}
        return str(self.ssm.send_command(**request)["Command"]["CommandId"])

    def refusal(self, **changes: Any) -> str:
        with pytest.raises(ClientError) as refused:
            self.send(**changes)
        return str(refused.value.response["Error"]["Code"])

    def invocation(self, command_id: str, **which: str) -> dict[str, Any]:
        wanted = {"CommandId": command_id, "InstanceId": self.instance_id, **which}
        answer: dict[str, Any] = self.ssm.get_command_invocation(**wanted)
        return answer

    @property
    def backend(self) -> RunCommandBackend:
        every = RunCommandBackend.all_of(self.cloud.world)
        [used] = [backend for backend in every if backend.sent_commands]
        return used

    def ended(self, command_id: str, seconds: float = 0.5) -> tuple[str, str]:
        self.cloud.pass_time(seconds)
        answer = self.invocation(command_id)
        return answer["Status"], answer["StatusDetails"]


@pytest.fixture(scope="session")
def ssm() -> Any:
    session = boto3.Session("AKIATESTTESTTESTTEST", "secret", region_name="ap-northeast-1")
    config = Config(retries={"total_max_attempts": 1}, parameter_validation=False)
    return session.client("ssm", config=config)


@pytest.fixture
def commands(cloud: Cloud, ssm: Any) -> Commands:
    ssm.create_document(
        Name=NAME, DocumentType="Command", DocumentFormat="JSON", Content=json.dumps(DOCUMENT)
    )
    cloud.create_group()
    [instance_id] = cloud.states()
    made = Commands(cloud, ssm, instance_id)
    cloud.world.agent = made.agent
    return made


def test_the_agent_gets_the_step_with_every_parameter(commands: Commands) -> None:
    commands.send(DocumentVersion="$DEFAULT", Parameters={"service": ["td-agent"]})
    commands.cloud.world.tick()
    [assignment] = commands.seen
    assert assignment.instance_id == commands.instance_id
    assert assignment.inputs["runCommand"] == ["flush {{ service }}"]
    assert assignment.parameters == {"service": "td-agent"}


def test_a_command_is_pending_then_in_progress_then_what_the_agent_says(
    commands: Commands,
) -> None:
    commands.cloud.world.faults.delivery_seconds = 3.0
    commands.report = Report(output='{"version":1}\n', seconds=10.0)
    command_id = commands.send()
    assert commands.ended(command_id, 1.0) == ("Pending", "Pending")
    assert commands.invocation(command_id)["ResponseCode"] == -1
    assert commands.ended(command_id, 3.0) == ("InProgress", "InProgress")
    assert commands.ended(command_id, 10.0) == ("Success", "Success")
    answer = commands.invocation(command_id, PluginName="flush")
    assert answer["StandardOutputContent"] == '{"version":1}\n'
    assert (answer["ResponseCode"], answer["ExecutionElapsedTime"]) == (0, "PT10S")


def test_a_script_that_fails_fails_the_command_with_its_words(commands: Commands) -> None:
    commands.report = Report(exit_code=7, error="no such folder")
    command_id = commands.send()
    assert commands.ended(command_id) == ("Failed", "Failed")
    answer = commands.invocation(command_id)
    assert (answer["ResponseCode"], answer["StandardErrorContent"]) == (7, "no such folder")


def test_a_script_that_takes_too_long_is_timed_out(commands: Commands) -> None:
    commands.report = Report(seconds=61.0)
    command_id = commands.send()
    assert commands.ended(command_id, 59.0) == ("InProgress", "InProgress")
    assert commands.ended(command_id, 2.0) == ("TimedOut", "ExecutionTimedOut")


def test_only_the_beginning_of_the_output_is_kept(commands: Commands) -> None:
    commands.report = Report(output="o" * 24_001, error="e" * 8_001)
    command_id = commands.send()
    commands.cloud.pass_time(1)
    answer = commands.invocation(command_id)
    assert len(answer["StandardOutputContent"]) == 24_000
    assert len(answer["StandardErrorContent"]) == 8_000


def test_straight_after_it_was_sent_an_invocation_does_not_exist(commands: Commands) -> None:
    commands.cloud.world.faults.invocation_hidden_seconds = 2.0
    command_id = commands.send()
    with pytest.raises(ClientError, match="InvocationDoesNotExist"):
        commands.invocation(command_id)
    assert commands.ended(command_id, 2.0) == ("Success", "Success")


def test_an_invocation_of_another_instance_or_step_or_command_is_refused(
    commands: Commands,
) -> None:
    command_id = commands.send()
    commands.cloud.pass_time(1)
    with pytest.raises(ClientError, match="InvocationDoesNotExist"):
        commands.invocation(command_id, InstanceId="i-0123456789abcdef0")
    with pytest.raises(ClientError, match="InvalidPluginName"):
        commands.invocation(command_id, PluginName="other")
    with pytest.raises(ClientError, match="InvalidCommandId"):
        commands.invocation("00000000-0000-0000-0000-000000000000")


def test_an_instance_without_a_live_agent_gets_no_command(commands: Commands) -> None:
    unknown = "i-0123456789abcdef0"
    assert commands.refusal(InstanceIds=[unknown]) == "InvalidInstanceId"
    twice = [commands.instance_id, commands.instance_id]
    assert commands.refusal(InstanceIds=twice) == "DuplicateInstanceId"
    commands.cloud.world.faults.agents_off = [commands.instance_id]
    assert commands.refusal() == "InvalidInstanceId"
    commands.cloud.world.faults.clear()
    commands.cloud.ec2.terminate_instances(InstanceIds=[commands.instance_id])
    assert commands.refusal() == "InvalidInstanceId"
    assert commands.seen == []


def test_an_agent_that_fetches_nothing_lets_the_delivery_time_out(commands: Commands) -> None:
    commands.cloud.world.faults.agents_silent = ["*"]
    command_id = commands.send(TimeoutSeconds=30)
    assert commands.ended(command_id, 29.0) == ("Pending", "Pending")
    assert commands.ended(command_id, 2.0) == ("TimedOut", "DeliveryTimedOut")
    assert commands.seen == []


def test_what_cannot_be_delivered_fails_as_undeliverable(commands: Commands) -> None:
    commands.cloud.world.faults.undeliverable = ["*"]
    assert commands.ended(commands.send()) == ("Failed", "Undeliverable")
    assert commands.seen == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"DocumentName": "unknown"}, "InvalidDocument"),
        ({"DocumentVersion": "7"}, "InvalidDocumentVersion"),
        ({"Parameters": {"service": ["x; reboot"]}}, "InvalidParameters"),
        ({"Parameters": {"unit": ["fluentd"]}}, "InvalidParameters"),
        ({"TimeoutSeconds": 29}, "ValidationException"),
        ({"Comment": "c" * 101}, "ValidationException"),
        ({"InstanceIds": []}, "ValidationException"),
        ({"Targets": [{"Key": "tag:a", "Values": ["b"]}]}, "ValidationException"),
    ],
)
def test_what_aws_refuses_is_refused(
    commands: Commands, changes: dict[str, Any], code: str
) -> None:
    assert commands.refusal(**changes) == code


def test_a_document_that_no_agent_could_run_is_not_created(commands: Commands) -> None:
    wrong = json.dumps({**DOCUMENT, "mainSteps": []})
    with pytest.raises(ClientError, match="InvalidDocumentContent"):
        commands.ssm.create_document(
            Name="wrong", DocumentType="Command", DocumentFormat="JSON", Content=wrong
        )
    with pytest.raises(ClientError, match="InvalidDocumentContent"):
        commands.ssm.update_document(Name=NAME, Content=wrong, DocumentVersion="$LATEST")
    assert commands.ssm.describe_document(Name=NAME)["Document"]["LatestVersion"] == "1"


def test_the_default_version_is_the_one_that_was_made_the_default(commands: Commands) -> None:
    changed = json.loads(json.dumps(DOCUMENT).replace("flush {{", "changed {{"))
    commands.ssm.update_document(
        Name=NAME, Content=json.dumps(changed), DocumentVersion="$LATEST", DocumentFormat="JSON"
    )
    commands.send()
    commands.ssm.update_document_default_version(Name=NAME, DocumentVersion="2")
    commands.send(DocumentVersion="$DEFAULT")
    commands.cloud.world.tick()
    assert [one.inputs["runCommand"] for one in commands.seen] == [
        ["flush {{ service }}"],
        ["changed {{ service }}"],
    ]


def test_commands_and_agents_can_be_listed(commands: Commands) -> None:
    command_id = commands.send(Comment="flush")
    commands.cloud.world.faults.agents_off = ["*"]
    commands.cloud.pass_time(1)
    [command] = commands.ssm.list_commands(InstanceId=commands.instance_id)["Commands"]
    assert (command["CommandId"], command["Status"]) == (command_id, "Success")
    [invocation] = commands.ssm.list_command_invocations()["CommandInvocations"]
    assert (invocation["InstanceId"], invocation["Comment"]) == (commands.instance_id, "flush")
    [known] = commands.ssm.describe_instance_information()["InstanceInformationList"]
    assert (known["InstanceId"], known["PingStatus"]) == (commands.instance_id, "ConnectionLost")


def test_agents_are_listed_in_pages_within_ssms_limits(commands: Commands) -> None:
    cloud, ssm = commands.cloud, commands.ssm
    cloud.world.faults.short_pages = [0]
    chosen = [{"Key": "InstanceIds", "Values": [commands.instance_id]}]
    first = ssm.describe_instance_information(Filters=chosen)
    assert first["InstanceInformationList"] == []
    second = ssm.describe_instance_information(Filters=chosen, NextToken=first["NextToken"])
    assert [one["InstanceId"] for one in second["InstanceInformationList"]] == [
        commands.instance_id
    ]
    stranger = [{"Key": "InstanceIds", "Values": ["i-0f0f0f0f"]}]
    cloud.world.faults.short_pages = []
    assert ssm.describe_instance_information(Filters=stranger)["InstanceInformationList"] == []


@pytest.mark.parametrize(
    "request_",
    [
        {"MaxResults": 4},
        {"MaxResults": 51},
        {"Filters": [{"Key": "InstanceIds", "Values": ["i-0f0f0f0f"] * 101}]},
        {"Filters": [{"Key": "Colour", "Values": ["blue"]}]},
    ],
    ids=["small pages", "large pages", "many values", "unknown key"],
)
def test_a_list_of_agents_that_ssm_would_refuse_is_refused(
    commands: Commands, request_: dict[str, Any]
) -> None:
    with pytest.raises(ClientError):
        commands.ssm.describe_instance_information(**request_)


def test_an_agent_from_outside_fetches_once_and_reports_once(commands: Commands) -> None:
    commands.cloud.world.agent = None
    command_id = commands.send()
    backend = commands.backend
    assert backend.fetch(["i-0123456789abcdef0"]) == []
    [assignment] = backend.fetch([commands.instance_id])
    assert backend.fetch([commands.instance_id]) == []
    ids = (assignment.command_id, assignment.instance_id)
    assert backend.report(*ids, Report(output="done"))
    assert not backend.report(*ids, Report(output="again"))
    assert commands.ended(command_id) == ("Success", "Success")
    assert commands.invocation(command_id)["StandardOutputContent"] == "done"


def test_an_agent_that_fetched_and_died_lets_the_execution_time_out(commands: Commands) -> None:
    commands.cloud.world.agent = None
    command_id = commands.send(TimeoutSeconds=30)
    backend = commands.backend
    [assignment] = backend.fetch([commands.instance_id])
    assert commands.ended(command_id, 40.0) == ("InProgress", "InProgress")
    assert commands.ended(command_id, 30.0) == ("TimedOut", "ExecutionTimedOut")
    assert not backend.report(assignment.command_id, assignment.instance_id, Report())
