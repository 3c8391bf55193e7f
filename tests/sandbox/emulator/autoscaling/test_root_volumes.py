"""An instance refresh with the strategy ReplaceRootVolume, as the user guide describes it."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.emulator.conftest import Cloud

GROUP = "aggregators"
POLICY = {
    "LaunchTemplate": {
        "LaunchTemplateSpecification": {"LaunchTemplateName": "aggregator", "Version": "1"},
        "Overrides": [{"InstanceType": "c6g.large", "ImageId": "ami-87654321"}],
    }
}


def start(cloud: Cloud, **settings: Any) -> str:
    defaults: dict[str, Any] = {
        "Strategy": "ReplaceRootVolume",
        "DesiredConfiguration": {"MixedInstancesPolicy": POLICY},
    }
    refresh = cloud.autoscaling.start_instance_refresh(
        AutoScalingGroupName=GROUP, **{**defaults, **settings}
    )
    return refresh["InstanceRefreshId"]


def with_hooks(cloud: Cloud, size: int = 1) -> list[str]:
    cloud.create_group(size)
    cloud.put_hook("launch", "LAUNCHING")
    cloud.put_hook("drain", "TERMINATING")
    return list(cloud.states())


def described(cloud: Cloud, instance_id: str) -> Any:
    [reservation] = cloud.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
    return reservation["Instances"][0]


def root_volume(cloud: Cloud, instance_id: str) -> str:
    [mapping] = described(cloud, instance_id)["BlockDeviceMappings"]
    return str(mapping["Ebs"]["VolumeId"])


def volumes(cloud: Cloud) -> set[str]:
    return {one["VolumeId"] for one in cloud.ec2.describe_volumes()["Volumes"]}


def progress(cloud: Cloud) -> tuple[str, int]:
    [newest, *_] = cloud.autoscaling.describe_instance_refreshes(AutoScalingGroupName=GROUP)[
        "InstanceRefreshes"
    ]
    return newest["Status"], newest["PercentageComplete"]


class TestOneInstance:
    def test_a_terminating_hook_holds_it_before_its_volume_is_touched(self, cloud: Cloud) -> None:
        [instance_id] = with_hooks(cloud)
        volume_id = root_volume(cloud, instance_id)
        start(cloud)
        assert cloud.states() == {instance_id: "ReplacingRootVolume:Wait"}
        assert root_volume(cloud, instance_id) == volume_id
        detail = cloud.world.lifecycle_events[-1]["detail"]
        assert {name: detail[name] for name in ("Origin", "Destination", "Action")} == {
            "Origin": "AutoScalingGroup",
            "Destination": "AutoScalingGroup",
            "Action": "ReplaceRootVolume",
        }
        assert detail["LifecycleTransition"] == "autoscaling:EC2_INSTANCE_TERMINATING"

    def test_afterwards_it_is_the_same_instance_with_another_volume_in_the_launching_hook(
        self, cloud: Cloud
    ) -> None:
        [instance_id] = with_hooks(cloud)
        volume_id, before = root_volume(cloud, instance_id), described(cloud, instance_id)
        start(cloud)
        cloud.complete("drain", InstanceId=instance_id)
        assert cloud.states() == {instance_id: "Pending:Wait"}
        assert volume_id not in volumes(cloud), "the old one is deleted"
        assert root_volume(cloud, instance_id) in volumes(cloud)
        after = described(cloud, instance_id)
        assert after["PrivateIpAddress"] == before["PrivateIpAddress"]
        assert (before["ImageId"], after["ImageId"]) == ("ami-12345678", "ami-87654321")
        event = cloud.world.lifecycle_events[-1]["detail"]
        assert (event["LifecycleTransition"], event["Action"]) == (
            "autoscaling:EC2_INSTANCE_LAUNCHING",
            "ReplaceRootVolume",
        )
        cloud.complete("launch", InstanceId=instance_id)
        assert cloud.states() == {instance_id: "InService"}
        assert progress(cloud) == ("Successful", 100)

    def test_no_successor_is_launched_meanwhile(self, cloud: Cloud) -> None:
        with_hooks(cloud)
        start(cloud)
        cloud.scale_to(1)
        assert len(cloud.states()) == 1

    @pytest.mark.parametrize(
        ("outcome", "state"),
        [("replaced", "Pending:Wait"), ("kept", "InService"), ("terminated", "Terminating:Wait")],
    )
    def test_what_abandon_does_is_chosen_since_nothing_documents_it(
        self, cloud: Cloud, outcome: str, state: str
    ) -> None:
        [instance_id] = with_hooks(cloud)
        cloud.world.faults.update({"abandoned_replacement": outcome})
        start(cloud)
        cloud.complete("drain", "ABANDON", InstanceId=instance_id)
        assert cloud.states()[instance_id] == state

    def test_a_replacement_that_fails_ends_the_instance_through_the_hook(
        self, cloud: Cloud
    ) -> None:
        [instance_id] = with_hooks(cloud)
        cloud.world.faults.failing_replacements = 1
        start(cloud)
        cloud.complete("drain", InstanceId=instance_id)
        assert cloud.states()[instance_id] == "Terminating:Wait"
        assert len(cloud.states()) == 2, "and another one is launched"

    def test_a_launch_that_is_abandoned_afterwards_ends_it(self, cloud: Cloud) -> None:
        [instance_id] = with_hooks(cloud)
        start(cloud)
        cloud.complete("drain", InstanceId=instance_id)
        cloud.complete("launch", "ABANDON", InstanceId=instance_id)
        assert instance_id not in cloud.states()


class TestSeveral:
    def test_they_take_turns(self, cloud: Cloud) -> None:
        first, second, third = with_hooks(cloud, 3)
        start(cloud)
        for one in (first, second, third):
            assert cloud.states()[one] == "ReplacingRootVolume:Wait"
            waiting = [state for state in cloud.states().values() if state.endswith(":Wait")]
            assert len(waiting) == 1
            cloud.complete("drain", InstanceId=one)
            cloud.complete("launch", InstanceId=one)
        assert progress(cloud) == ("Successful", 100)

    def test_as_many_at_once_as_the_minimum_healthy_percentage_allows(self, cloud: Cloud) -> None:
        with_hooks(cloud, 4)
        start(cloud, Preferences={"MinHealthyPercentage": 50})
        states = list(cloud.states().values())
        assert states.count("ReplacingRootVolume:Wait") == 2


class TestRefused:
    @pytest.mark.parametrize(
        ("settings", "before", "code"),
        [
            ({}, start, "InstanceRefreshInProgress"),
            (
                {},
                lambda cloud: cloud.autoscaling.put_warm_pool(AutoScalingGroupName=GROUP),
                "ValidationError",
            ),
            # Without an image for each instance type.
            ({"DesiredConfiguration": {}}, None, "ValidationError"),
            ({"Strategy": "Rolling"}, None, "ValidationError"),
        ],
        ids=["a second one", "a warm pool", "no image", "another strategy"],
    )
    def test_a_refresh(
        self,
        cloud: Cloud,
        settings: dict[str, Any],
        before: Callable[[Cloud], object] | None,
        code: str,
    ) -> None:
        with_hooks(cloud)
        if before:
            before(cloud)
        with pytest.raises(ClientError, match=code):
            start(cloud, **settings)

    def test_to_cancel_what_does_not_run(self, cloud: Cloud) -> None:
        with_hooks(cloud)
        with pytest.raises(ClientError, match="ActiveInstanceRefreshNotFound"):
            cloud.autoscaling.cancel_instance_refresh(AutoScalingGroupName=GROUP)

    def test_an_outcome_of_abandon_that_is_none(self, cloud: Cloud) -> None:
        with pytest.raises(ValueError, match=r"abandoned_replacement\n.*'terminated' or 'kept'"):
            cloud.world.faults.update({"abandoned_replacement": "forgotten"})
