"""What every simulated account begins with: a network, a launch template, a Cloud Map service."""

from typing import Any


def create_network(ec2: Any, cidr: str) -> tuple[str, str]:
    """Make a VPC with one subnet and the aggregators' launch template; the ids of both."""
    vpc_id: str = ec2.create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"]
    subnet_id: str = ec2.create_subnet(VpcId=vpc_id, CidrBlock=cidr)["Subnet"]["SubnetId"]
    ec2.create_launch_template(
        LaunchTemplateName="aggregator",
        LaunchTemplateData={"ImageId": "ami-12345678", "InstanceType": "c6g.large"},
    )
    return vpc_id, subnet_id


def create_service(cloud_map: Any, vpc_id: str, ttl: int = 10) -> dict[str, Any]:
    """Make a service with SRV records in a private namespace; what Cloud Map says of it."""
    operation_id = cloud_map.create_private_dns_namespace(Name="logs.internal", Vpc=vpc_id)[
        "OperationId"
    ]
    operation = cloud_map.get_operation(OperationId=operation_id)["Operation"]
    namespace_id = operation["Targets"]["NAMESPACE"]
    records = {"DnsRecords": [{"Type": "SRV", "TTL": ttl}], "RoutingPolicy": "MULTIVALUE"}
    made: dict[str, Any] = cloud_map.create_service(
        Name="_fluentd._tcp", DnsConfig={"NamespaceId": namespace_id, **records}
    )["Service"]
    return {**made, "NamespaceId": namespace_id}
