"""EC2: the address of a live instance, or none."""

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lifecycle.adapters.instances import Instances
from lifecycle.decisions.instance import Address
from lifecycle.errors import UnexpectedState
from tests.support import parts
from tests.support.messages import INSTANCE_ID, OTHER_INSTANCE_ID
from tests.support.scripted import THROTTLED, scripted


def answer(*instances: dict[str, Any]) -> dict[str, Any]:
    return {"Reservations": [{"Instances": [one]} for one in instances]}


def instance(state: str = "running", **changes: Any) -> dict[str, Any]:
    return {
        "InstanceId": INSTANCE_ID,
        "State": {"Name": state},
        "PrivateIpAddress": "10.0.0.7",
        "Placement": {"AvailabilityZone": "ap-northeast-1a"},
        "LaunchTime": datetime(2023, 11, 14, tzinfo=UTC),
        **changes,
    }


@pytest.mark.parametrize("state", ["pending", "running", "stopping", "stopped"])
def test_a_live_instance_has_an_address_and_a_zone(state: str) -> None:
    client = scripted(describe_instances=answer(instance(state)))
    assert Instances(client, "fluentd").address(INSTANCE_ID) == Address(
        "10.0.0.7", "ap-northeast-1a"
    )
    wanted = [{"Name": "instance-id", "Values": [INSTANCE_ID]}]
    assert client.calls == [("describe_instances", {"Filters": wanted})]


@pytest.mark.parametrize("state", ["shutting-down", "terminated"])
def test_an_instance_that_ends_has_no_address(state: str) -> None:
    assert (
        Instances(scripted(describe_instances=answer(instance(state))), "fluentd").address("i-1")
        is None
    )


def test_an_instance_that_ec2_does_not_know_has_no_address() -> None:
    assert Instances(scripted(describe_instances=answer()), "fluentd").address(INSTANCE_ID) is None


@pytest.mark.parametrize("address", [None, ""])
def test_a_live_instance_without_a_private_address_is_unexpected(address: str | None) -> None:
    odd = answer(instance(PrivateIpAddress=address))
    with pytest.raises(UnexpectedState, match=INSTANCE_ID):
        Instances(scripted(describe_instances=odd), "fluentd").address(INSTANCE_ID)


def interface(index: int, *addresses: str, primary: str | None = None) -> dict[str, Any]:
    """A network interface with these IPv6 addresses."""
    return {
        "Attachment": {"DeviceIndex": index},
        "Ipv6Addresses": [
            {"Ipv6Address": one, "IsPrimaryIpv6": one == primary} for one in addresses
        ],
    }


IPV6 = "2001:db8::7"
BESIDE = interface(0, "2001:db8::8", IPV6, primary=IPV6)


@pytest.mark.parametrize(
    ("shown", "address"),
    [
        ({"Ipv6Address": IPV6}, IPV6),
        ({"NetworkInterfaces": [interface(0, IPV6)]}, IPV6),
        ({"NetworkInterfaces": [interface(1, "2001:db8::9"), interface(0, IPV6)]}, IPV6),
        ({"NetworkInterfaces": [BESIDE]}, IPV6),
        ({"NetworkInterfaces": [BESIDE], "PrivateIpAddress": "10.0.0.7"}, "10.0.0.7"),
    ],
)
def test_an_instance_without_a_private_ipv4_address_has_its_ipv6_address(
    shown: dict[str, Any], address: str
) -> None:
    without = instance(**{"PrivateIpAddress": None, **shown})
    client = scripted(describe_instances=answer(without))
    found = Instances(client, "fluentd").address(INSTANCE_ID)
    assert found == Address(address, "ap-northeast-1a")


@pytest.mark.parametrize("index", [0, 1])
def test_an_address_of_another_network_interface_is_none_of_the_instances(index: int) -> None:
    odd = instance(PrivateIpAddress=None, NetworkInterfaces=[interface(index, *["::1"] * index)])
    with pytest.raises(UnexpectedState, match="neither a private IPv4 nor an IPv6 address"):
        Instances(scripted(describe_instances=answer(odd)), "fluentd").address(INSTANCE_ID)


def test_what_cannot_be_asked_is_not_taken_for_a_dead_instance() -> None:
    instances = Instances(scripted(describe_instances=THROTTLED), "fluentd")
    with pytest.raises(ClientError):
        instances.address(INSTANCE_ID)
    with pytest.raises(ClientError):
        instances.describe([INSTANCE_ID])


def test_one_unknown_instance_does_not_hide_the_others() -> None:
    client = scripted(
        describe_instances=answer(
            instance(),
            instance("terminated", InstanceId=OTHER_INSTANCE_ID, PrivateIpAddress=None),
        )
    )
    wanted = [INSTANCE_ID, OTHER_INSTANCE_ID, "i-00000000"]
    described = Instances(client, "fluentd").describe(wanted)
    assert {
        one.id: one.address and one.address.private_ip_address for one in described.values()
    } == {
        INSTANCE_ID: "10.0.0.7",
        OTHER_INSTANCE_ID: None,
    }
    assert client.calls == [
        ("describe_instances", {"Filters": [{"Name": "instance-id", "Values": wanted}]})
    ]


def test_a_large_fleet_is_described_two_hundred_at_a_time() -> None:
    first, second = instance(), instance("stopped", InstanceId=OTHER_INSTANCE_ID)
    launched = {"LaunchTime": datetime(2023, 11, 14, tzinfo=UTC)}
    client = scripted(describe_instances=[answer(first | launched), answer(second | launched)])
    described = Instances(client, "fluentd").describe([f"i-{number:08x}" for number in range(201)])
    assert {one.id: one.state for one in described.values()} == {
        INSTANCE_ID: "running",
        OTHER_INSTANCE_ID: "stopped",
    }
    asked = [one["Filters"][0]["Values"] for one in client.arguments_of("describe_instances")]
    assert [len(ids) for ids in asked] == [200, 1]


def test_none_is_described_without_a_question() -> None:
    client = scripted(describe_instances=THROTTLED)
    assert Instances(client, "fluentd").describe([]) == {}
    assert client.calls == []


@pytest.mark.parametrize("tags", [{}, {"aws:autoscaling:groupName": "others"}])
def test_an_instance_names_its_group_by_auto_scalings_tag(tags: dict[str, Any]) -> None:
    found = Instances(scripted(describe_instances=parts.described(INSTANCE_ID, **tags)), "fluentd")
    instance = found.find(INSTANCE_ID)
    assert instance is not None
    assert instance.group == tags.get("aws:autoscaling:groupName")
