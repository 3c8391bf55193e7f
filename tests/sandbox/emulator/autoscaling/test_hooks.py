"""Hooks, their heartbeats and their events, exactly as EC2 Auto Scaling has them."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.emulator.autoscaling.kit import (
    start_terminating,
    start_with_launch_hook,
    terminate,
)
from tests.sandbox.emulator.conftest import GROUP, Cloud


class TestRefused:
    """What AWS refuses, in its own words."""

    @pytest.mark.parametrize(
        ("hook", "result", "which", "words"),
        [
            ("dr4in", "CONTINUE", {"InstanceId": "i-1"}, "No Lifecycle Hook found"),
            ("drain", "DONE", {"InstanceId": "i-1"}, "CONTINUE, ABANDON"),
            ("drain", "CONTINUE", {}, "must be specified"),
        ],
    )
    def test_a_completion(
        self, cloud: Cloud, hook: str, result: str, which: dict[str, str], words: str
    ) -> None:
        start_terminating(cloud)
        with pytest.raises(ClientError, match=words):
            cloud.complete(hook, result, **which)

    @pytest.mark.parametrize(
        ("transition", "settings", "words"),
        [
            ("TERMINATING", {"HeartbeatTimeout": 29}, "between 30 and 7200"),
            ("TERMINATING", {"HeartbeatTimeout": 7201}, "between 30 and 7200"),
            ("TERMINATING", {"DefaultResult": "RETRY"}, "CONTINUE, ABANDON"),
            ("REBOOTING", {}, "transition must be one of"),
        ],
    )
    def test_a_hook(
        self, cloud: Cloud, transition: str, settings: dict[str, Any], words: str
    ) -> None:
        cloud.create_group(0)
        with pytest.raises(ClientError, match=words):
            cloud.put_hook("drain", transition, **settings)

    def test_a_call_about_a_group(self, cloud: Cloud) -> None:
        with pytest.raises(ClientError, match="AutoScalingGroup name not found"):
            cloud.complete("drain", InstanceId="i-0123456789abcdef0")
        cloud.create_group(1, MinSize=1, MaxSize=2)
        [instance_id] = cloud.states()
        refusals: list[tuple[Callable[[], object], str]] = [
            (lambda: cloud.create_group(1), "AlreadyExists"),
            (lambda: cloud.scale_to(3), "above max value 2"),
            (lambda: terminate(cloud, instance_id, decrement=True), "desiredSize equals minSize"),
            (
                lambda: cloud.autoscaling.delete_auto_scaling_group(AutoScalingGroupName=GROUP),
                "ResourceInUse",
            ),
        ]
        for call, words in refusals:
            with pytest.raises(ClientError, match=words):
                call()


def assert_ends_after(cloud: Cloud, seconds: float) -> None:
    cloud.pass_time(seconds - 1)
    assert cloud.only_state() == "Terminating:Wait"
    cloud.pass_time(1)
    assert cloud.states() == {}


class TestHeartbeats:
    def test_silence_for_the_heartbeat_timeout_applies_the_default_result(
        self, cloud: Cloud
    ) -> None:
        instance_id = start_terminating(cloud, HeartbeatTimeout=60, DefaultResult="CONTINUE")
        assert_ends_after(cloud, 60)
        assert "expired" in cloud.history(instance_id)

    def test_an_expired_launch_is_abandoned_and_replaced(self, cloud: Cloud) -> None:
        instance_id = start_with_launch_hook(cloud, HeartbeatTimeout=60)
        cloud.pass_time(60)
        [replacement] = cloud.states()
        assert replacement != instance_id

    def test_a_heartbeat_starts_the_whole_timer_again(self, cloud: Cloud) -> None:
        instance_id = start_terminating(cloud, HeartbeatTimeout=60)
        cloud.pass_time(50)
        cloud.heartbeat("drain", InstanceId=instance_id)
        assert_ends_after(cloud, 60)

    @pytest.mark.parametrize(
        ("timeout", "beats", "seconds"),
        [(30, 119, 25), (7200, 47, 3600)],
        ids=["a hundred times the timeout", "two days"],
    )
    def test_heartbeats_have_an_end(
        self, cloud: Cloud, timeout: int, beats: int, seconds: int
    ) -> None:
        instance_id = start_terminating(cloud, HeartbeatTimeout=timeout)
        for _ in range(beats):
            cloud.pass_time(seconds)
            cloud.heartbeat("drain", InstanceId=instance_id)
        assert_ends_after(cloud, seconds)

    def test_expiry_is_recorded_when_it_was_due_however_late_one_looks(self, cloud: Cloud) -> None:
        start = cloud.clock.now
        start_terminating(cloud, HeartbeatTimeout=60)
        cloud.pass_time(5000)
        cloud.world.tick()
        [expired] = [one for one in cloud.world.journal if one["event"] == "expired"]
        assert expired["at"] == start + 60


class TestHooks:
    def test_a_description_holds_what_was_given_and_nothing_else(self, cloud: Cloud) -> None:
        cloud.create_group(0)
        cloud.put_hook("drain", "TERMINATING", HeartbeatTimeout=900)
        [hook] = cloud.autoscaling.describe_lifecycle_hooks(AutoScalingGroupName=GROUP)[
            "LifecycleHooks"
        ]
        assert hook == {
            "LifecycleHookName": "drain",
            "AutoScalingGroupName": GROUP,
            "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
            "HeartbeatTimeout": 900,
            "GlobalTimeout": 90_000,
            "DefaultResult": "ABANDON",
        }

    def test_an_update_keeps_what_it_does_not_mention(self, cloud: Cloud) -> None:
        cloud.create_group(0)
        cloud.put_hook("drain", "TERMINATING", DefaultResult="CONTINUE", HeartbeatTimeout=300)
        cloud.autoscaling.put_lifecycle_hook(
            AutoScalingGroupName=GROUP, LifecycleHookName="drain", HeartbeatTimeout=600
        )
        [hook] = cloud.autoscaling.describe_lifecycle_hooks(AutoScalingGroupName=GROUP)[
            "LifecycleHooks"
        ]
        assert (hook["DefaultResult"], hook["HeartbeatTimeout"]) == ("CONTINUE", 600)

    def test_deleting_a_hook_ends_the_waits_that_it_holds(self, cloud: Cloud) -> None:
        start_terminating(cloud)
        cloud.autoscaling.delete_lifecycle_hook(
            AutoScalingGroupName=GROUP, LifecycleHookName="drain"
        )
        assert cloud.states() == {}

    def test_a_hook_does_not_hold_an_instance_that_launched_before_it(self, cloud: Cloud) -> None:
        cloud.create_group(1)
        cloud.put_hook("launch", "LAUNCHING")
        assert cloud.only_state() == "InService"


class TestEvents:
    def test_a_termination_is_announced_as_eventbridge_does(self, cloud: Cloud) -> None:
        instance_id = start_terminating(cloud)
        [event] = cloud.world.lifecycle_events
        token = event["detail"]["LifecycleActionToken"]
        assert len(token) == 36
        [group] = cloud.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
        assert {**event, "id": ""} == {
            "version": "0",
            "id": "",
            "detail-type": "EC2 Instance-terminate Lifecycle Action",
            "source": "aws.autoscaling",
            "account": "123456789012",
            "time": "2023-11-14T22:13:20Z",
            "region": "ap-northeast-1",
            "resources": [group["AutoScalingGroupARN"]],
            "detail": {
                "LifecycleActionToken": token,
                "AutoScalingGroupName": GROUP,
                "LifecycleHookName": "drain",
                "EC2InstanceId": instance_id,
                "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
                "Origin": "AutoScalingGroup",
                "Destination": "EC2",
            },
        }

    def test_a_launch_is_announced_with_the_hooks_metadata(self, cloud: Cloud) -> None:
        start_with_launch_hook(cloud, NotificationMetadata="team=logs")
        [event] = cloud.world.lifecycle_events
        assert event["detail-type"] == "EC2 Instance-launch Lifecycle Action"
        detail = event["detail"]
        assert (detail["Origin"], detail["Destination"]) == ("EC2", "AutoScalingGroup")
        assert detail["NotificationMetadata"] == "team=logs"

    def test_a_subscriber_may_call_the_api_about_the_event_it_receives(self, cloud: Cloud) -> None:
        def complete_at_once(event: dict[str, Any]) -> None:
            if token := event["detail"].get("LifecycleActionToken"):
                cloud.complete("drain", LifecycleActionToken=token)

        cloud.world.subscribe(complete_at_once)
        start_terminating(cloud)
        assert cloud.states() == {}

    def test_an_event_is_delivered_when_time_alone_causes_it(self, cloud: Cloud) -> None:
        heard: list[str] = []
        start_with_launch_hook(cloud, HeartbeatTimeout=60)

        def hear(event: dict[str, Any]) -> None:
            detail = event["detail"]
            whose = detail.get("EC2InstanceId") or detail["instance-id"]
            heard.append(f"{event['detail-type']} {whose}")

        cloud.world.subscribe(hear)
        [gone] = cloud.states()
        cloud.pass_time(60)
        cloud.world.tick()
        [next_one] = cloud.states()
        assert heard == [
            f"EC2 Instance State-change Notification {gone}",
            f"EC2 Instance Terminate Successful {gone}",
            f"EC2 Instance-launch Lifecycle Action {next_one}",
        ]
