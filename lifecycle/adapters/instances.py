"""EC2 instances: where one listens, whether it is there at all, and the mark on it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from lifecycle.decisions.instance import Address, Instance
from lifecycle.decisions.marks import COUNTED_TAG_KEY, TAG_KEY, Mark, read_mark, written
from lifecycle.errors import Surprise
from lifecycle.events import LifecycleAction
from lifecycle.telemetry import LogEvent, Telemetry

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import InstanceTypeDef

_MOST_VALUES = 200  # of a filter, per request


class Instances:
    """Looks instances up in EC2, and marks them."""

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
                if instance["State"]["Name"] in {"shutting-down", "terminated"}:
                    return None
                if not instance.get("PrivateIpAddress"):
                    raise Surprise(f"{instance_id} has no private IPv4 address")
                return Address(
                    private_ip_address=instance["PrivateIpAddress"],
                    availability_zone=instance["Placement"]["AvailabilityZone"],
                )
        return None

    def describe(self, instance_ids: Sequence[str]) -> dict[str, Instance]:
        """Return what EC2 knows, by instance id; those that it does not know are left out."""
        found: dict[str, Instance] = {}
        for first in range(0, len(instance_ids), _MOST_VALUES):
            # A filter, unlike InstanceIds, does not fail the whole call for one unknown instance.
            ids = list(instance_ids[first : first + _MOST_VALUES])
            pages = self._client.get_paginator("describe_instances").paginate(
                Filters=[{"Name": "instance-id", "Values": ids}]
            )
            for page in pages:
                for reservation in page["Reservations"]:
                    found |= {one["InstanceId"]: _read(one) for one in reservation["Instances"]}
        return found

    def mark(self, instance_id: str, mark: Mark) -> None:
        """Write the mark on the instance, over the one before."""
        self._client.create_tags(
            Resources=[instance_id], Tags=[{"Key": TAG_KEY, "Value": str(mark)}]
        )

    def mark_counted(self, instance_id: str, at: float, mark: Mark | None) -> None:
        """Write that its end has been counted (epoch seconds), and a mark if there is a new one."""
        tags = {COUNTED_TAG_KEY: written(at)} | ({} if mark is None else {TAG_KEY: str(mark)})
        self._client.create_tags(
            Resources=[instance_id],
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        )

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


def _read(instance: "InstanceTypeDef") -> Instance:
    private_ip_address = instance.get("PrivateIpAddress")
    tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
    return Instance(
        id=instance["InstanceId"],
        state=instance["State"]["Name"],
        launched_at=instance["LaunchTime"].timestamp(),
        address=Address(private_ip_address, instance["Placement"]["AvailabilityZone"])
        if private_ip_address
        else None,
        mark=read_mark(tags.get(TAG_KEY)),
        is_counted=COUNTED_TAG_KEY in tags,
    )


def try_to_mark(
    instances: Instances,
    instance_id: str,
    mark: Mark,
    telemetry: Telemetry,
    log_fields: Mapping[str, object],
) -> None:
    """Mark an instance; a mark that cannot be written loses nothing, so it is only logged."""
    try:
        instances.mark(instance_id, mark)
    except Exception as error:  # noqa: BLE001 (whatever it is, what the mark is about goes on)
        telemetry.warning(LogEvent.MARK_FAILED, **log_fields, mark=mark.kind, reason=str(error))


def mark_instance(
    instances: Instances, action: LifecycleAction, mark: Mark, telemetry: Telemetry
) -> None:
    """Try to mark the instance of a lifecycle action."""
    try_to_mark(instances, action.instance_id, mark, telemetry, action.log_fields())
