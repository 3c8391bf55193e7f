"""The whole fleet on a plain moto: discovery, load, Prometheus, and an honest account."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, cast

import boto3
import pytest

from sandbox.fleet.fleet import Fleet, FleetSettings
from sandbox.fleet.fluentd.buffer import StagingPolicy
from sandbox.fleet.fluentd.exporter import ExporterMode
from sandbox.fleet.prometheus import Prometheus, PrometheusSettings
from sandbox.host.ports import held_subnet
from sandbox.host.waiting import CheckFailed
from tests.sandbox.fleet.forwarders.test_discovery import Register, create_service
from tests.sandbox.fleet.kit import create_bucket, wait_until

GROUP = "aggregators"


@dataclass
class Cloud:
    """Instances and a service, made and ended by hand: no function drains them."""

    ec2: Any
    register: Register
    subnet_id: str

    @classmethod
    def create(cls, subnet: IPv4Network) -> "Cloud":
        ec2 = boto3.client("ec2")
        vpc_id = ec2.create_vpc(CidrBlock=str(subnet))["Vpc"]["VpcId"]
        made = ec2.create_subnet(VpcId=vpc_id, CidrBlock=str(subnet))["Subnet"]
        register = create_service(boto3.client("servicediscovery"), vpc_id)
        return cls(ec2, register, made["SubnetId"])

    def launch(self, group: str) -> str:
        tags = [{"Key": "aws:autoscaling:groupName", "Value": group}]
        made = self.ec2.run_instances(
            ImageId="ami-12345678",
            MinCount=1,
            MaxCount=1,
            SubnetId=self.subnet_id,
            TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
        )["Instances"][0]
        self.register(made["InstanceId"], made["PrivateIpAddress"])
        return str(made["InstanceId"])

    def deregister(self, instance_id: str) -> None:
        service_id = self.register.service_id
        self.register.client.deregister_instance(ServiceId=service_id, InstanceId=instance_id)

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
        service_ids=(cloud.register.service_id,),
        bucket=create_bucket(boto3.client("s3")),
        forwarders=4,
        lines_per_second=400,
        forwarder_interval_seconds=0.5,
        forwarder_tick_seconds=0.5,
        monitor_interval_seconds=0.2,
        boot_seconds=0.1,
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


def test_prometheus_finds_the_instances_by_itself_and_sees_them_fail(
    cloud: Cloud, group: str, fleet: Fleet, moto_endpoint: str, tmp_path: Path
) -> None:
    settings = PrometheusSettings(group, moto_endpoint, "ap-northeast-1")
    with Prometheus(settings, tmp_path / "prometheus") as prometheus:
        first, second = cloud.launch(group), cloud.launch(group)
        wait_until(lambda: up(prometheus) == {first: 1.0, second: 1.0})
        heartbeat = 'fluentd_output_status_emit_records{plugin_id="out_heartbeat"}'
        wait_until(lambda: len(prometheus.query(heartbeat)) == 2)
        fleet.exporter(ExporterMode.DEAD, first)
        wait_until(lambda: up(prometheus) == {first: 0.0, second: 1.0})
        prometheus.stop()
        fleet.exporter(ExporterMode.OK, first)
        prometheus.start()
        wait_until(lambda: up(prometheus) == {first: 1.0, second: 1.0})
        crashed_at = time.time()
        prometheus.crash()
        wait_until(lambda: up(prometheus) == {first: 1.0, second: 1.0})
        kept = f'count_over_time(up{{instance_id="{second}"}}[1m] @ {crashed_at:.3f})'
        assert float(prometheus.query(kept)[0]["value"][1]) > 0


def up(prometheus: Prometheus) -> dict[str, float]:
    series = prometheus.query('up{job="fluentd"}')
    return {one["metric"]["instance_id"]: float(one["value"][1]) for one in series}
