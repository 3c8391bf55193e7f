"""Terraform reads an alarm of the local cloud back as it wrote it."""

from typing import Any

import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sandbox.cloud import REGION, LocalCloud


def test_an_alarm_is_described_to_terraform_as_it_was_set(cloud: LocalCloud) -> None:
    cloud.client("cloudwatch").put_metric_alarm(
        AlarmName="whole",
        AlarmDescription="a < b & c",
        ActionsEnabled=True,
        Namespace="AWS/SQS",
        MetricName="ApproximateNumberOfMessagesVisible",
        Dimensions=[{"Name": "QueueName", "Value": "q"}],
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )
    # The protocol that Terraform's provider speaks; boto3 speaks a newer one.
    query = {"Action": "DescribeAlarms", "AlarmNames.member.1": "whole"}
    address = f"{cloud.endpoints['all others']}/"
    signed = AWSRequest("POST", address, data=query)
    SigV4Auth(Credentials("test", "test"), "monitoring", REGION).add_auth(signed)
    prepared = signed.prepare()
    body: Any = prepared.body
    answer = requests.post(address, data=body, headers=dict(prepared.headers), timeout=10)
    assert answer.status_code == 200, answer.text
    for member in (
        "<AlarmDescription>a &lt; b &amp; c</AlarmDescription>",
        "<ActionsEnabled>true</ActionsEnabled>",
        "<Period>60</Period>",
        "<Statistic>Maximum</Statistic>",
        "<TreatMissingData>notBreaching</TreatMissingData>",
        "<member><Name>QueueName</Name><Value>q</Value></member>",
    ):
        assert member in answer.text
