"""A small group on the extended moto, and a clock that tests move by hand."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.config import Config
from mypy_boto3_autoscaling import AutoScalingClient
from mypy_boto3_ec2 import EC2Client
from mypy_boto3_servicediscovery import ServiceDiscoveryClient

from sandbox.emulator import World, extended_aws
from tests.sandbox.fleet.kit import Clock
from tests.support.network import create_network, create_service

REGION = "ap-northeast-1"
GROUP = "aggregators"


@dataclass
class Cloud:
    """The three clients that tests talk to, and what they would otherwise repeat."""

    world: World
    clock: Clock
    autoscaling: AutoScalingClient
    ec2: EC2Client
    cloud_map: ServiceDiscoveryClient
    subnet_id: str = ""
    vpc_id: str = ""
    service_id: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds

    def create_group(self, desired: int = 1, **settings: Any) -> None:
        defaults = {
            "AutoScalingGroupName": GROUP,
            "MinSize": 0,
            "MaxSize": 10,
            "DesiredCapacity": desired,
            "VPCZoneIdentifier": self.subnet_id,
            "LaunchTemplate": {"LaunchTemplateName": "aggregator"},
        }
        self.autoscaling.create_auto_scaling_group(**{**defaults, **settings})

    def put_hook(self, name: str, transition: str, **settings: Any) -> None:
        self.autoscaling.put_lifecycle_hook(
            AutoScalingGroupName=GROUP,
            LifecycleHookName=name,
            LifecycleTransition=f"autoscaling:EC2_INSTANCE_{transition}",
            **settings,
        )

    def scale_to(self, desired: int) -> None:
        self.autoscaling.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=desired)

    def states(self) -> dict[str, str]:
        instances = self.autoscaling.describe_auto_scaling_instances()["AutoScalingInstances"]
        return {one["InstanceId"]: one["LifecycleState"] for one in instances}

    def only_state(self) -> str:
        [state] = self.states().values()
        return state

    def complete(self, hook: str, result: str = "CONTINUE", **which: Any) -> None:
        self.autoscaling.complete_lifecycle_action(
            AutoScalingGroupName=GROUP,
            LifecycleHookName=hook,
            LifecycleActionResult=result,
            **which,
        )

    def heartbeat(self, hook: str, **which: Any) -> None:
        self.autoscaling.record_lifecycle_action_heartbeat(
            AutoScalingGroupName=GROUP, LifecycleHookName=hook, **which
        )

    def history(self, instance_id: str) -> list[str]:
        self.world.tick()
        return [one["event"] for one in self.world.journal if one["instance_id"] == instance_id]

    def ec2_state(self, instance_id: str) -> str:
        [reservation] = self.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
        return reservation["Instances"][0]["State"]["Name"]

    def register(self, instance_id: str = "i-1", address: str = "127.9.0.4", **more: Any) -> str:
        return self.cloud_map.register_instance(
            ServiceId=self.service_id,
            InstanceId=instance_id,
            Attributes={"AWS_INSTANCE_IPV4": address, "AWS_INSTANCE_PORT": "24224"},
            **more,
        )["OperationId"]

    def deregister(self, instance_id: str = "i-1") -> str:
        return self.cloud_map.deregister_instance(
            ServiceId=self.service_id, InstanceId=instance_id
        )["OperationId"]

    def operation(self, operation_id: str) -> Any:
        return self.cloud_map.get_operation(OperationId=operation_id)["Operation"]

    def registered(self) -> dict[str, dict[str, str]]:
        instances = self.cloud_map.list_instances(ServiceId=self.service_id)["Instances"]
        return {one["Id"]: one["Attributes"] for one in instances}


@pytest.fixture(scope="session")
def clients() -> tuple[AutoScalingClient, EC2Client, ServiceDiscoveryClient]:
    """Made once: making a client takes longer than most of these tests."""
    session = boto3.Session("AKIATESTTESTTESTTEST", "secret", region_name=REGION)
    config = Config(retries={"total_max_attempts": 1}, inject_host_prefix=False)
    return (
        session.client("autoscaling", config=config),
        session.client("ec2", config=config),
        session.client("servicediscovery", config=config),
    )


@pytest.fixture
def cloud(clients: tuple[AutoScalingClient, EC2Client, ServiceDiscoveryClient]) -> Iterator[Cloud]:
    clock = Clock()
    with extended_aws(clock=clock) as world:
        made = Cloud(world, clock, *clients)
        made.vpc_id, made.subnet_id = create_network(made.ec2, "127.9.0.0/24")
        yield made


@pytest.fixture
def cloud_with_service(cloud: Cloud) -> Cloud:
    service = create_service(cloud.cloud_map, cloud.vpc_id)
    cloud.service_id, cloud.extra["namespace_id"] = service["Id"], service["NamespaceId"]
    return cloud


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What these tests ask themselves is on this machine, whatever proxy it has."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")
