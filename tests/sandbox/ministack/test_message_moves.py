"""The redrive that MiniStack was taught behaves as that of SQS."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import ClientError
from mypy_boto3_sqs import SQSClient

from sandbox.host.ports import free_port
from sandbox.host.processes import Processes
from sandbox.ministack import server
from sandbox.ministack.server import MinistackSettings

REASON: dict[str, Any] = {"Reason": {"DataType": "String", "StringValue": "not done after 24 s"}}


@pytest.fixture(scope="module")
def sqs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SQSClient]:
    folder = tmp_path_factory.mktemp("moves")
    settings = MinistackSettings(
        port=free_port(),
        work=folder,
        account_id="123456789012",
        region="ap-northeast-1",
        root_key="test",
        function_environment={},
    )
    with Processes(folder / "logs") as processes:
        server.start(settings, processes)
        session = boto3.Session("test", "test", region_name=settings.region)
        yield session.client("sqs", endpoint_url=settings.address)


class Stage:
    """A queue and its dead-letter queue."""

    def __init__(self, sqs: SQSClient) -> None:
        self.sqs = sqs
        name = uuid4().hex
        self.dead_letters, self.dead_letter_arn = self._create(f"{name}-dlq", {})
        policy = {"deadLetterTargetArn": self.dead_letter_arn, "maxReceiveCount": 1}
        self.queue, self.arn = self._create(name, {"RedrivePolicy": json.dumps(policy)})

    def _create(self, name: str, attributes: dict[Any, str]) -> tuple[str, str]:
        url = self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        answer = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return url, answer["Attributes"]["QueueArn"]

    def receive(self, url: str) -> list[Any]:
        answer = self.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        )
        return answer.get("Messages", [])

    def newest_task(self) -> Any:
        return self.sqs.list_message_move_tasks(SourceArn=self.dead_letter_arn)["Results"][0]


@pytest.fixture
def stage(sqs: SQSClient) -> Stage:
    return Stage(sqs)


def test_messages_move_to_the_named_queue_with_body_and_attributes(stage: Stage) -> None:
    for body in ("first", "second"):
        stage.sqs.send_message(
            QueueUrl=stage.dead_letters, MessageBody=body, MessageAttributes=REASON
        )
    stage.sqs.start_message_move_task(SourceArn=stage.dead_letter_arn, DestinationArn=stage.arn)
    task = stage.newest_task()
    assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("COMPLETED", 2)
    moved = stage.receive(stage.queue)
    assert [one["Body"] for one in moved] == ["first", "second"]
    assert moved[0]["MessageAttributes"]["Reason"]["StringValue"] == "not done after 24 s"
    assert stage.receive(stage.dead_letters) == []


def test_a_message_that_was_sent_there_needs_a_named_destination(stage: Stage) -> None:
    stage.sqs.send_message(QueueUrl=stage.dead_letters, MessageBody="sent by a waiter")
    stage.sqs.start_message_move_task(SourceArn=stage.dead_letter_arn)
    task = stage.newest_task()
    assert task["Status"] == "FAILED"
    assert task["FailureReason"] == "CouldNotDetermineMessageSource"
    assert [one["Body"] for one in stage.receive(stage.dead_letters)] == ["sent by a waiter"]


def test_a_message_that_sqs_moved_finds_its_own_way_back(stage: Stage) -> None:
    stage.sqs.send_message(QueueUrl=stage.queue, MessageBody="crashed its waiter")
    stage.sqs.receive_message(QueueUrl=stage.queue, VisibilityTimeout=0)
    assert stage.receive(stage.queue) == []
    stage.sqs.start_message_move_task(SourceArn=stage.dead_letter_arn)
    assert [one["Body"] for one in stage.receive(stage.queue)] == ["crashed its waiter"]


def test_a_queue_that_is_no_dead_letter_queue_or_does_not_exist_is_refused(stage: Stage) -> None:
    with pytest.raises(ClientError, match="must be configured as a Dead Letter Queue"):
        stage.sqs.start_message_move_task(SourceArn=stage.arn, DestinationArn=stage.dead_letter_arn)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        stage.sqs.start_message_move_task(SourceArn=f"{stage.dead_letter_arn}-other")
