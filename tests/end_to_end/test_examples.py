"""An example, applied to the local cloud as it stands, with the provider's own defaults."""

from pathlib import Path
from typing import Any

from sandbox.cloud import PROJECT, LocalCloud
from sandbox.demo.set_up import package
from sandbox.host.waiting import wait_until

_EXAMPLE = PROJECT / "terraform" / "examples" / "new-group"
# The reconciler's two snapshots, their grace of a minute, and the registration.
_SECONDS = 150.0


def test_a_group_that_is_created_in_the_same_run_comes_into_service(tmp_path: Path) -> None:
    with LocalCloud(tmp_path / "cloud") as cloud:
        vpc = cloud.client("ec2").create_vpc(CidrBlock=str(cloud.subnet))["Vpc"]["VpcId"]
        subnet = cloud.client("ec2").create_subnet(VpcId=vpc, CidrBlock=str(cloud.subnet))
        topic = cloud.client("sns").create_topic(Name="on-call")["TopicArn"]
        outputs = cloud.apply(
            _EXAMPLE,
            {
                "subnet_ids": [subnet["Subnet"]["SubnetId"]],
                "image_id": "ami-12345678",
                "prometheus_url": "http://127.0.0.1:9",
                "alarm_topic_arns": [topic],
                "lambda": package(),
            },
        )
        group = outputs["autoscaling_group_name"]
        # EventBridge had no rule when its event came: so the reconciler lets it in.
        assert _states(cloud, group) == ["Pending:Wait"]
        cloud.client("lambda").invoke(
            FunctionName=outputs["function_names"]["reconcile"],
            InvocationType="Event",
            Payload=b"{}",
        )
        wait_until("in service", lambda: _states(cloud, group) == ["InService"], _SECONDS)
        [service_id] = outputs["cloud_map_service_ids"]
        found = cloud.client("servicediscovery").list_instances(ServiceId=service_id)
        assert len(found["Instances"]) == 1
        assert outputs["forwarder_service_discovery"]
        assert cloud.plan().status == 0, "the second apply has something to do"


def _states(cloud: LocalCloud, group: str) -> list[Any]:
    groups = cloud.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[group])
    return [one["LifecycleState"] for one in groups["AutoScalingGroups"][0]["Instances"]]
