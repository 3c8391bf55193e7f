"""What a call needs permission for: every resource, with what AWS knows about it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from sandbox.emulator import World
from sandbox.emulator.iam.policies import Decision, Document, decide
from sandbox.emulator.iam.requests import permissions_needed
from sandbox.emulator.install import installed
from tests.sandbox.emulator.conftest import GROUP, REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from moto.core.responses import BaseResponse
    from mypy_boto3_ec2.type_defs import TagTypeDef

    from sandbox.emulator.iam.policies import Request

    Ask = Callable[..., list[Request]]

RESCUE = "fluentd-lifecycle-rescue"
EC2 = f"arn:aws:ec2:{REGION}"


def allow(resource: str, condition: dict[str, Any], action: str = "CreateSnapshots") -> Document:
    statement = {"Effect": "Allow", "Action": f"ec2:{action}", "Resource": resource}
    return {"Statement": [{**statement, "Condition": condition}]}


# Those of terraform/snapshots.tf.
INSTANCES = allow(
    f"{EC2}:*:instance/*",
    {"StringEquals": {"ec2:ResourceTag/aws:autoscaling:groupName": GROUP}},
)
VOLUMES = allow(f"{EC2}:*:volume/*", {})
SNAPSHOTS = allow(f"{EC2}::snapshot/*", {"StringLike": {f"aws:RequestTag/{RESCUE}": "i-*"}})
TAGS = allow(
    f"{EC2}::snapshot/*",
    {
        "StringEquals": {"ec2:CreateAction": "CreateSnapshots"},
        "ForAllValues:StringEquals": {"aws:TagKeys": [RESCUE]},
    },
    "CreateTags",
)
RIGHT = [INSTANCES, VOLUMES, SNAPSHOTS, TAGS]


@pytest.fixture
def ask() -> Iterator[Ask]:
    """Ask for the snapshots of an instance; the permissions that the call needed."""
    needed: list[Request] = []

    def gate(response: BaseResponse, action: str) -> None:
        if action == "CreateSnapshots":
            needed.extend(permissions_needed(response, action))

    with installed(World(time.time), gate), mock_aws():
        client = boto3.client("ec2", region_name=REGION)

        def asked(group: str = GROUP, tag: str = RESCUE) -> list[Request]:
            run = client.run_instances(MinCount=1, MaxCount=1, ImageId="ami-12345678")
            [instance_id] = [one["InstanceId"] for one in run["Instances"]]
            name: TagTypeDef = {"Key": "aws:autoscaling:groupName", "Value": group}
            client.create_tags(Resources=[instance_id], Tags=[name])
            client.create_snapshots(
                InstanceSpecification={"InstanceId": instance_id},
                TagSpecifications=[
                    {
                        "ResourceType": "snapshot",
                        "Tags": [{"Key": tag, "Value": instance_id}],
                    }
                ],
            )
            return needed

        yield asked


def refused(documents: list[Document], needed: list[Request]) -> list[str]:
    """The kinds of resources that the call may not touch."""
    return [
        f"{one.action} {one.resource.rpartition(':')[2].partition('/')[0]}"
        for one in needed
        if decide(documents, one) is not Decision.ALLOWED
    ]


def test_snapshots_need_the_instance_its_volumes_themselves_and_their_tags(ask: Ask) -> None:
    needed = ask()
    assert refused([], needed) == [
        "ec2:CreateSnapshots instance",
        "ec2:CreateSnapshots volume",
        "ec2:CreateSnapshots snapshot",
        "ec2:CreateTags snapshot",
    ]
    assert refused(RIGHT, needed) == []
    for document, missing in zip(RIGHT, refused([], needed), strict=True):
        assert refused([one for one in RIGHT if one is not document], needed) == [missing]


def test_an_instance_of_another_group_is_not_saved(ask: Ask) -> None:
    assert refused(RIGHT, ask(group="others")) == ["ec2:CreateSnapshots instance"]


def test_snapshots_with_another_tag_are_not_made(ask: Ask) -> None:
    assert refused(RIGHT, ask(tag="Name")) == [
        "ec2:CreateSnapshots snapshot",
        "ec2:CreateTags snapshot",
    ]
