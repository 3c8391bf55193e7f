"""EC2: what it knows of an instance, and the tags on it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lifecycle.decisions.heartbeats import HEARTBEATS_TAG_KEY, Failing
from lifecycle.decisions.instance import Address, Instance
from lifecycle.decisions.marks import (
    COUNTED_TAG_KEY,
    LOOKED_TAG_KEY,
    NOT_PROVABLE_TAG_KEY,
    NOT_READY_TAG_KEY,
    OWNER_TAG_KEY,
    QUEUE_CLEARED_TAG_KEY,
    TAG_KEY,
    Mark,
    read_mark,
    written,
)
from lifecycle.errors import UnexpectedState

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import InstanceTypeDef

# Auto Scaling writes it on each instance of a group, and removes it from one that is detached.
_GROUP_TAG_KEY = "aws:autoscaling:groupName"
_MOST_VALUES = 200  # of a filter, per request
_MOST_RESOURCES = 1000  # of CreateTags


class Instances:
    """Looks instances up in EC2, and writes their tags, as those of the module ``owner``."""

    def __init__(self, client: "EC2Client", owner: str) -> None:
        self._client, self._owner = client, owner

    def describe(self, instance_ids: Sequence[str]) -> dict[str, Instance]:
        """Return what EC2 knows, by instance id; those that it does not know are left out."""
        found: dict[str, Instance] = {}
        for first in range(0, len(instance_ids), _MOST_VALUES):
            # A filter, unlike InstanceIds, does not fail the whole call for one unknown instance.
            found |= self._all("instance-id", instance_ids[first : first + _MOST_VALUES])
        return found

    def owned(self) -> dict[str, Instance]:
        """Return all whose tag names this module, wherever they are, by instance id."""
        return self._all(f"tag:{OWNER_TAG_KEY}", [self._owner])

    def own(self, instance_ids: Sequence[str]) -> None:
        """Write on these instances that they are this module's."""
        for first in range(0, len(instance_ids), _MOST_RESOURCES):
            self._tag(instance_ids[first : first + _MOST_RESOURCES], {})

    def find(self, instance_id: str) -> Instance | None:
        """Return what EC2 knows of one instance, None if it does not know it.

        None right after a launch can also mean "not propagated yet": ask Auto Scaling too.
        """
        return self.describe([instance_id]).get(instance_id)

    def address(self, instance_id: str) -> Address | None:
        """Return the address of a live instance, None if EC2 knows of no live one.

        Raises UnexpectedState for a live instance without an address.
        """
        instance = self.find(instance_id)
        return None if instance is None else address_of(instance)

    def mark(self, instance_id: str, mark: Mark) -> None:
        """Write the mark on the instance, over the one before, and whose it is."""
        self._tag([instance_id], {TAG_KEY: str(mark)})

    def mark_counted(self, instance_id: str, at: float, mark: Mark | None) -> None:
        """Write that its end has been counted (epoch seconds), and a mark if there is a new one."""
        new_mark = {} if mark is None else {TAG_KEY: str(mark)}
        self._tag([instance_id], {COUNTED_TAG_KEY: written(at)} | new_mark)

    def mark_looked_at(self, instance_id: str, at: float) -> None:
        """Write that the standing check has looked at its Fluentd (epoch seconds)."""
        self._write(instance_id, LOOKED_TAG_KEY, written(at))

    def mark_not_provable(self, instance_ids: Sequence[str], since: float | None) -> None:
        """Write since when they could not be proven empty (epoch seconds); None: they could be."""
        # CreateTags is all that the caller may do, so a tag is not removed, but emptied.
        value = "" if since is None else written(since)
        for first in range(0, len(instance_ids), _MOST_RESOURCES):
            self._client.create_tags(
                Resources=instance_ids[first : first + _MOST_RESOURCES],
                Tags=[{"Key": NOT_PROVABLE_TAG_KEY, "Value": value}],
            )

    def mark_not_ready(self, instance_id: str, at: float) -> None:
        """Write when it was known not to be ready (epoch seconds)."""
        self._write(instance_id, NOT_READY_TAG_KEY, written(at))

    def mark_queue_cleared(self, instance_id: str, at: float) -> None:
        """Write when a queue of it was seen to be cleared (epoch seconds)."""
        self._write(instance_id, QUEUE_CLEARED_TAG_KEY, written(at))

    def write_failing_heartbeats(self, instance_id: str, failing: Failing) -> None:
        """Write which heartbeats failed, over what was written before."""
        self._write(instance_id, HEARTBEATS_TAG_KEY, str(failing))

    def remove_failing_heartbeats(self, instance_id: str) -> None:
        """Remove that tag, whatever it says."""
        self._client.delete_tags(Resources=[instance_id], Tags=[{"Key": HEARTBEATS_TAG_KEY}])

    def _write(self, instance_id: str, key: str, value: str) -> None:
        self._client.create_tags(Resources=[instance_id], Tags=[{"Key": key, "Value": value}])

    def _tag(self, instance_ids: Sequence[str], tags: Mapping[str, str]) -> None:
        owned = {**tags, OWNER_TAG_KEY: self._owner}
        self._client.create_tags(
            Resources=instance_ids,
            Tags=[{"Key": key, "Value": value} for key, value in owned.items()],
        )

    def _all(self, name: str, values: Sequence[str]) -> dict[str, Instance]:
        pages = self._client.get_paginator("describe_instances").paginate(
            Filters=[{"Name": name, "Values": values}]
        )
        return {
            one["InstanceId"]: _read(one)
            for page in pages
            for reservation in page["Reservations"]
            for one in reservation["Instances"]
        }


def address_of(instance: Instance) -> Address | None:
    """Return the address of an instance, None if it is terminated or about to be.

    Raises UnexpectedState for a live instance without an address.
    """
    if instance.is_ending:
        return None
    if instance.address is None:
        raise UnexpectedState(f"{instance.id} has neither a private IPv4 nor an IPv6 address")
    return instance.address


def _read(instance: "InstanceTypeDef") -> Instance:
    ip_address = instance.get("PrivateIpAddress") or _ipv6_address(instance)
    tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
    return Instance(
        id=instance["InstanceId"],
        state=instance["State"]["Name"],
        launched_at=instance["LaunchTime"].timestamp(),
        address=Address(ip_address, instance["Placement"]["AvailabilityZone"])
        if ip_address
        else None,
        mark=read_mark(tags.get(TAG_KEY)),
        group=tags.get(_GROUP_TAG_KEY),
        is_counted=COUNTED_TAG_KEY in tags,
        failing_heartbeats=tags.get(HEARTBEATS_TAG_KEY),
        looked=tags.get(LOOKED_TAG_KEY),
        not_ready=tags.get(NOT_READY_TAG_KEY),
        queue_cleared=tags.get(QUEUE_CLEARED_TAG_KEY),
        not_provable=tags.get(NOT_PROVABLE_TAG_KEY),
        owner=tags.get(OWNER_TAG_KEY),
    )


def _ipv6_address(instance: "InstanceTypeDef") -> str | None:
    """Return the IPv6 address of an instance's primary network interface, None if it has none.

    Of several it is the one that stays for the life of the instance, if there is such a one
    (docs.aws.amazon.com/AWSEC2/latest/APIReference, InstanceIpv6Address).
    """
    addresses = [
        one
        for interface in instance.get("NetworkInterfaces", [])
        if interface.get("Attachment", {}).get("DeviceIndex") == 0
        for one in interface.get("Ipv6Addresses", [])
    ]
    addresses.sort(key=lambda one: not one.get("IsPrimaryIpv6", False))
    return addresses[0].get("Ipv6Address") if addresses else instance.get("Ipv6Address")
