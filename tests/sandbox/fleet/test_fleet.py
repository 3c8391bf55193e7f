"""The whole fleet on a plain moto: discovery, load, Prometheus, and an honest account."""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, cast

import boto3
import pytest

from sandbox.fleet.fleet import Fleet, FleetSettings
from sandbox.fleet.fluentd.buffer import StagingPolicy
from sandbox.host.ports import held_subnet
from sandbox.host.waiting import CheckFailed
from tests.sandbox.fleet.kit import create_bucket, wait_until
from tests.support.network import create_service

GROUP = "aggregators"


@dataclass
class Cloud:
    """Instances and a service, made and ended by hand: no function drains them."""

    ec2: Any
    cloud_map: Any
    subnet_id: str
    service_id: str

    @classmethod
    def create(cls, subnet: IPv4Network) -> "Cloud":
        ec2, cloud_map = boto3.client("ec2"), boto3.client("servicediscovery")
        vpc_id = ec2.create_vpc(CidrBlock=str(subnet))["Vpc"]["VpcId"]
        made = ec2.create_subnet(VpcId=vpc_id, CidrBlock=str(subnet))["Subnet"]
        return cls(ec2, cloud_map, made["SubnetId"], create_service(cloud_map, vpc_id)["Id"])

    def launch(self, group: str) -> str:
        tags = [{"Key": "aws:autoscaling:groupName", "Value": group}]
        made = self.ec2.run_instances(
            ImageId="ami-12345678",
            MinCount=1,
            MaxCount=1,
            SubnetId=self.subnet_id,
            TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
        )["Instances"][0]
        address = {"AWS_INSTANCE_IPV4": made["PrivateIpAddress"], "AWS_INSTANCE_PORT": "24224"}
        self.cloud_map.register_instance(
            ServiceId=self.service_id, InstanceId=made["InstanceId"], Attributes=address
        )
        return str(made["InstanceId"])

    def deregister(self, instance_id: str) -> None:
        self.cloud_map.deregister_instance(ServiceId=self.service_id, InstanceId=instance_id)

    def terminate(self, instance_id: str) -> None:
        self.ec2.terminate_instances(InstanceIds=[instance_id])


@pytest.fixture
def group(tmp_path: Path) -> str:
    """A name that no other test on this moto uses."""
    return f"{GROUP}-{tmp_path.name}"


@pytest.fixture
def cloud(aws_environment: dict[str, str]) -> Iterator[Cloud]:
    with held_subnet() as subnet:
        yield Cloud.create(subnet)


@pytest.fixture
def fleet(
    cloud: Cloud, group: str, aws_environment: dict[str, str], tmp_path: Path
) -> Iterator[Fleet]:
    settings = FleetSettings(
        autoscaling_group_name=group,
        namespace="logs.internal",
        service_ids=(cloud.service_id,),
        bucket=create_bucket(boto3.client("s3")),
        forwarders=4,
        lines_per_second=400,
        forwarder_interval_seconds=0.5,
        forwarder_tick_seconds=0.5,
        monitor_interval_seconds=0.2,
        boot_seconds=(0.1, 0.1),
        staging=StagingPolicy(flush_interval_seconds=1.0),
    )
    with Fleet(
        settings, tmp_path / "fleet", client=cast(Any, boto3.client), environment=aws_environment
    ) as fleet:
        yield fleet


def receives(fleet: Fleet, instance_id: str) -> bool:
    history = fleet.history(instance_id) if instance_id in fleet.known() else None
    return history is not None and any(moment.event == "staged" for moment in history.moments)


def test_what_drained_before_its_end_is_delivered_and_what_died_is_lost(
    cloud: Cloud, group: str, fleet: Fleet
) -> None:
    drained, killed = cloud.launch(group), cloud.launch(group)
    wait_until(lambda: receives(fleet, drained) and receives(fleet, killed))
    cloud.deregister(drained)
    wait_until(lambda: drained_targets(fleet) == 1)
    wait_until(lambda: fleet.history(drained).empty_for_good_at() is not None)
    cloud.terminate(drained)
    wait_until(lambda: drained not in fleet.alive())
    assert fleet.history(drained).moments[-1].state.lines == 0
    survivor = cloud.launch(group)
    wait_until(lambda: receives(fleet, survivor))
    wait_until(lambda: fleet.held_bytes(killed) > 0)
    cloud.terminate(killed)
    wait_until(lambda: killed not in fleet.alive())
    cloud.deregister(killed)
    died = fleet.history(killed).moments[-1].state.lines
    delivery = fleet.finish(timeout_seconds=100)
    assert delivery.sent > 400
    assert (delivery.lost, delivery.damaged) == (died, 0)
    assert sum(fleet.sent().values()) == delivery.sent


def drained_targets(fleet: Fleet) -> int:
    """How many aggregators the forwarders send to, all together."""
    return len({target for report in fleet.reports().values() for target in report["targets"]})


def test_lines_that_no_aggregator_took_are_not_reported_as_finished(
    cloud: Cloud, group: str, fleet: Fleet
) -> None:
    instance_id = cloud.launch(group)
    wait_until(lambda: receives(fleet, instance_id))
    cloud.terminate(instance_id)
    wait_until(lambda: instance_id not in fleet.alive())
    sent = sum(fleet.sent().values())
    wait_until(lambda: sum(fleet.sent().values()) > sent)
    with pytest.raises(CheckFailed, match="no aggregator acknowledged"):
        fleet.end_load(timeout_seconds=1)
