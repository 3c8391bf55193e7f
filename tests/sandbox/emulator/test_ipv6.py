"""An instance in a subnet that is IPv6-only has no IPv4 address, as on AWS."""

from ipaddress import IPv6Address, IPv6Network

from tests.sandbox.emulator.conftest import Cloud


def test_an_instance_in_an_ipv6_only_subnet_has_an_ipv6_address_and_no_other(
    cloud: Cloud,
) -> None:
    vpc = cloud.ec2.create_vpc(CidrBlock="127.8.0.0/24", AmazonProvidedIpv6CidrBlock=True)["Vpc"]
    block = vpc["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"].replace("/56", "/64")
    subnet = cloud.ec2.create_subnet(VpcId=vpc["VpcId"], Ipv6CidrBlock=block, Ipv6Native=True)
    cloud.create_group(VPCZoneIdentifier=subnet["Subnet"]["SubnetId"])
    [reservation] = cloud.ec2.describe_instances()["Reservations"]
    [instance] = reservation["Instances"]
    [interface] = instance["NetworkInterfaces"]
    address = instance["Ipv6Address"]
    assert IPv6Address(address) in IPv6Network(block)
    assert [one["Ipv6Address"] for one in interface["Ipv6Addresses"]] == [address]
    assert "PrivateIpAddress" not in instance
    assert "PrivateIpAddress" not in interface
    assert interface["PrivateIpAddresses"] == []
    assert instance["PrivateDnsName"].startswith(f"{instance['InstanceId']}.")
    [launched] = [one for one in cloud.world.journal if one["event"] == "launched"]
    assert launched["address"] == address


def test_an_instance_in_any_other_subnet_keeps_its_ipv4_address(cloud: Cloud) -> None:
    cloud.create_group()
    [reservation] = cloud.ec2.describe_instances()["Reservations"]
    [instance] = reservation["Instances"]
    assert instance["PrivateIpAddress"].startswith("127.9.0.")
    assert "Ipv6Address" not in instance
