"""A local cloud for the tests of one file, with a group and a Cloud Map service in it."""

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.cloud import LocalCloud
from tests.sandbox.kit import GROUP
from tests.support.network import create_network, create_service


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud")) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def service(cloud: LocalCloud) -> dict[str, Any]:
    """A Cloud Map service with SRV records; the namespace's zone is `zone`."""
    vpc_id, subnet_id = create_network(cloud.client("ec2"), str(cloud.subnet))
    cloud_map = cloud.client("servicediscovery")
    made = create_service(cloud_map, vpc_id, ttl=1)
    namespace = cloud_map.get_namespace(Id=made["NamespaceId"])["Namespace"]
    zone = namespace["Properties"]["DnsProperties"]["HostedZoneId"]
    return {**made, "subnet_id": subnet_id, "zone": zone}


@pytest.fixture(scope="module")
def group_arn(cloud: LocalCloud, service: dict[str, Any]) -> str:
    """A group with one instance and a hook that holds it when it goes."""
    autoscaling = cloud.client("autoscaling")
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName=GROUP,
        MinSize=0,
        MaxSize=9,
        DesiredCapacity=0,
        VPCZoneIdentifier=service["subnet_id"],
        LaunchTemplate={"LaunchTemplateName": "aggregator"},
    )
    autoscaling.put_lifecycle_hook(
        AutoScalingGroupName=GROUP,
        LifecycleHookName="launch",
        LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
    )
    [group] = autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    arn: str = group["AutoScalingGroupARN"]
    return arn
