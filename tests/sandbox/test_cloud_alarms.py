"""Alarms of the local cloud: which of them rings, who hears it, how Terraform sees it."""

import json
from typing import Any

import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sandbox.cloud import ACCOUNT_ID, REGION, LocalCloud
from tests.sandbox.kit import eventually, let_in


class TestAlarms:
    def test_a_dead_letter_raises_its_own_alarm_alone_and_the_operator_is_notified(
        self, cloud: LocalCloud
    ) -> None:
        sqs, sns, cloudwatch = (cloud.client(name) for name in ("sqs", "sns", "cloudwatch"))
        urls = {
            name: sqs.create_queue(QueueName=name)["QueueUrl"]
            for name in ("a-dlq", "b-dlq", "on-call")
        }
        topic = sns.create_topic(Name="on-call")["TopicArn"]
        on_call = f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:on-call"
        let_in(cloud, {"url": urls["on-call"], "arn": on_call}, topic, "sns.amazonaws.com")
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=on_call)
        for name in ("a-dlq", "b-dlq"):
            cloudwatch.put_metric_alarm(AlarmName=name, AlarmActions=[topic], **_depth(name))
        sqs.send_message(QueueUrl=urls["a-dlq"], MessageBody="stuck")
        [message] = eventually(
            lambda: sqs.receive_message(QueueUrl=urls["on-call"]).get("Messages")
        )
        assert json.loads(json.loads(message["Body"])["Message"])["AlarmName"] == "a-dlq"
        states = cloudwatch.describe_alarms(AlarmNames=["a-dlq", "b-dlq"])["MetricAlarms"]
        assert [one["StateValue"] for one in states] == ["ALARM", "OK"]

    def test_an_alarm_is_described_to_terraform_as_it_was_set(self, cloud: LocalCloud) -> None:
        cloud.client("cloudwatch").put_metric_alarm(
            AlarmName="whole", AlarmDescription="a < b & c", ActionsEnabled=True, **_depth("q")
        )
        # The protocol that Terraform's provider speaks; boto3 speaks a newer one.
        query = {"Action": "DescribeAlarms", "AlarmNames.member.1": "whole"}
        described = _ask_signed(cloud, "monitoring", query)
        for member in (
            "<AlarmDescription>a &lt; b &amp; c</AlarmDescription>",
            "<ActionsEnabled>true</ActionsEnabled>",
            "<Period>60</Period>",
            "<Statistic>Maximum</Statistic>",
            "<TreatMissingData>notBreaching</TreatMissingData>",
            "<member><Name>QueueName</Name><Value>q</Value></member>",
        ):
            assert member in described


def _ask_signed(cloud: LocalCloud, service: str, form: dict[str, str]) -> str:
    address = f"{cloud.endpoints['all others']}/"
    request = AWSRequest("POST", address, data=form)
    credentials = Credentials("test", "test")
    SigV4Auth(credentials, service, REGION).add_auth(request)
    prepared = request.prepare()
    body: Any = prepared.body
    answer = requests.post(address, data=body, headers=dict(prepared.headers), timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.text


def _depth(queue: str) -> dict[str, Any]:
    return {
        "Namespace": "AWS/SQS",
        "MetricName": "ApproximateNumberOfMessagesVisible",
        "Dimensions": [{"Name": "QueueName", "Value": queue}],
        "Statistic": "Maximum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    }
