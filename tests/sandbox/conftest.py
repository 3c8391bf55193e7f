"""A local cloud for the tests of one file, with a group and a Cloud Map service in it."""

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.cloud import LocalCloud
from tests.sandbox.kit import GROUP


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud")) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def service(cloud: LocalCloud) -> dict[str, Any]:
    """A Cloud Map service with SRV records; the namespace's zone is `zone`."""
    vpc = cloud.client("ec2").create_vpc(CidrBlock=str(cloud.subnet))["Vpc"]["VpcId"]
    subnet = cloud.client("ec2").create_subnet(VpcId=vpc, CidrBlock=str(cloud.subnet))
    cloud_map = cloud.client("servicediscovery")
    operation = cloud_map.create_private_dns_namespace(Name="logs.internal", Vpc=vpc)
    namespace_id = cloud_map.get_operation(OperationId=operation["OperationId"])["Operation"][
        "Targets"
    ]["NAMESPACE"]
    namespace = cloud_map.get_namespace(Id=namespace_id)["Namespace"]
    made: dict[str, Any] = cloud_map.create_service(
        Name="_fluentd._tcp",
        DnsConfig={
            "NamespaceId": namespace_id,
            "RoutingPolicy": "MULTIVALUE",
            "DnsRecords": [{"Type": "SRV", "TTL": 1}],
        },
    )["Service"]
    return {
        **made,
        "subnet_id": subnet["Subnet"]["SubnetId"],
        "zone": namespace["Properties"]["DnsProperties"]["HostedZoneId"],
    }


@pytest.fixture(scope="module")
def group_arn(cloud: LocalCloud, service: dict[str, Any]) -> str:
    """A group with one instance and a hook that holds it when it goes."""
    autoscaling = cloud.client("autoscaling")
    cloud.client("ec2").create_launch_template(
        LaunchTemplateName="aggregator",
        LaunchTemplateData={"ImageId": "ami-12345678", "InstanceType": "c6g.large"},
    )
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
