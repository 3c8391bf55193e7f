"""EC2 instances: where one listens, and whether it is there at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from lifecycle.errors import Surprise

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

_ENDING = {"shutting-down", "terminated"}


@dataclass(frozen=True, slots=True)
class Address:
    """Where forwarders reach an instance."""

    private_ip_address: str
    availability_zone: str


class Instances:
    """Looks instances up in EC2."""

    def __init__(self, client: "EC2Client") -> None:
        self._client = client

    def address(self, instance_id: str) -> Address | None:
        """Return the private address of a live instance, None if EC2 knows of no live one.

        None right after a launch can also mean "not propagated yet": ask Auto Scaling too.
        Raises Surprise for a live instance without a private address.
        """
        try:
            answer = self._client.describe_instances(InstanceIds=[instance_id])
        except ClientError as error:
            if error.response["Error"]["Code"] == "InvalidInstanceID.NotFound":
                return None
            raise
        for reservation in answer["Reservations"]:
            for instance in reservation["Instances"]:
                if instance["State"]["Name"] in _ENDING:
                    return None
                if not instance.get("PrivateIpAddress"):
                    raise Surprise(f"{instance_id} has no private IPv4 address")
                return Address(
                    private_ip_address=instance["PrivateIpAddress"],
                    availability_zone=instance["Placement"]["AvailabilityZone"],
                )
        return None

    def private_ip_addresses(self, instance_ids: Sequence[str]) -> dict[str, str]:
        """Return the private address of each instance that has one; the others are left out."""
        # A filter, unlike InstanceIds, does not fail the whole call for one unknown instance.
        answer = self._client.describe_instances(
            Filters=[{"Name": "instance-id", "Values": list(instance_ids)}]
        )
        return {
            instance["InstanceId"]: instance["PrivateIpAddress"]
            for reservation in answer["Reservations"]
            for instance in reservation["Instances"]
            if instance.get("PrivateIpAddress")
        }
