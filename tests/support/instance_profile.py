"""An instance profile for a simulated instance, as its SSM agent needs one."""

import json
from typing import Any

import boto3
from botocore.config import Config

from sandbox.cloud import REGION, ROOT_KEY, LocalCloud

NAME = "aggregator"
POLICY_ARN = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": "ec2.amazonaws.com"},
        }
    ],
}


def attach_profile(cloud: LocalCloud, instance_id: str) -> None:
    """Make a profile with which an SSM agent may register, and give it to an instance."""
    iam = cloud.client("iam")
    iam.create_role(RoleName=NAME, AssumeRolePolicyDocument=json.dumps(TRUST))
    iam.attach_role_policy(RoleName=NAME, PolicyArn=POLICY_ARN)
    for client in (iam, _iam_of_ec2(cloud)):
        client.create_instance_profile(InstanceProfileName=NAME)
    iam.add_role_to_instance_profile(InstanceProfileName=NAME, RoleName=NAME)
    cloud.client("ec2").associate_iam_instance_profile(
        InstanceId=instance_id, IamInstanceProfile={"Name": NAME}
    )


def _iam_of_ec2(cloud: LocalCloud) -> Any:
    """The IAM that the emulated EC2 looks profiles up in: its own, which nothing else asks."""
    session: Any = boto3.Session(ROOT_KEY, ROOT_KEY, region_name=REGION)
    # Loopback: whatever proxy the user has does not lead there.
    return session.client("iam", endpoint_url=cloud.endpoints["ec2"], config=Config(proxies={}))
