"""The emulator holds instances in wait states exactly as EC2 Auto Scaling does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from tests.sandbox.emulator.conftest import Cloud

GROUP = "aggregators"


def refusal(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, str]:
    described = error.value.response["Error"]
    return described["Code"], described["Message"]


def start_with_launch_hook(cloud: Cloud, **hook: Any) -> str:
    cloud.create_group(0)
    cloud.put_hook("launch", "LAUNCHING", **hook)
    cloud.scale_to(1)
    [instance_id] = cloud.states()
    return instance_id


def start_terminating(cloud: Cloud, **hook: Any) -> str:
    cloud.create_group(1)
    cloud.put_hook("drain", "TERMINATING", **hook)
    [instance_id] = cloud.states()
    cloud.scale_to(0)
    return instance_id


def retain_on_abandon(cloud: Cloud) -> None:
    cloud.autoscaling.update_auto_scaling_group(
        AutoScalingGroupName=GROUP,
        InstanceLifecyclePolicy={"RetentionTriggers": {"TerminateHookAbandon": "retain"}},
    )


class TestLaunching:
    def test_without_a_hook_an_instance_goes_straight_into_service(self, cloud: Cloud) -> None:
        cloud.create_group(2)
        assert list(cloud.states().values()) == ["InService", "InService"]

    def test_a_hook_holds_a_launching_instance(self, cloud: Cloud) -> None:
        start_with_launch_hook(cloud)
        assert cloud.only_state() == "Pending:Wait"

    def test_hooks_given_with_the_group_hold_its_first_instances(self, cloud: Cloud) -> None:
        hook = {
            "LifecycleHookName": "launch",
            "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
        }
        cloud.create_group(1, LifecycleHookSpecificationList=[hook])
        assert cloud.only_state() == "Pending:Wait"

    def test_continue_puts_it_in_service(self, cloud: Cloud) -> None:
        instance_id = start_with_launch_hook(cloud)
        cloud.complete("launch", InstanceId=instance_id)
        assert cloud.states() == {instance_id: "InService"}
        assert cloud.history(instance_id) == [
            "launched",
            "pending_wait",
            "completed",
            "pending_proceed",
            "in_service",
        ]

    def test_abandon_terminates_and_replaces_it(self, cloud: Cloud) -> None:
        instance_id = start_with_launch_hook(cloud)
        cloud.complete("launch", "ABANDON", InstanceId=instance_id)
        [(replacement, state)] = cloud.states().items()
        assert (replacement != instance_id, state) == (True, "Pending:Wait")
        assert cloud.ec2_state(instance_id) == "terminated"

    def test_a_waiting_instance_counts_towards_capacity(self, cloud: Cloud) -> None:
        start_with_launch_hook(cloud)
        cloud.scale_to(1)
        assert len(cloud.states()) == 1

    def test_proceeding_takes_as_long_as_it_is_set_to(self, cloud: Cloud) -> None:
        cloud.world.faults.proceed_seconds = 5
        instance_id = start_with_launch_hook(cloud)
        cloud.complete("launch", InstanceId=instance_id)
        cloud.pass_time(4.9)
        assert cloud.only_state() == "Pending:Proceed"
        cloud.pass_time(0.1)
        assert cloud.only_state() == "InService"


class TestTerminating:
    def test_a_hook_holds_an_instance_that_is_scaled_in(self, cloud: Cloud) -> None:
        instance_id = start_terminating(cloud)
        assert cloud.states() == {instance_id: "Terminating:Wait"}
        assert cloud.ec2_state(instance_id) == "running"

    @pytest.mark.parametrize("result", ["CONTINUE", "ABANDON"])
    def test_either_result_lets_it_die(self, cloud: Cloud, result: str) -> None:
        instance_id = start_terminating(cloud)
        cloud.complete("drain", result, InstanceId=instance_id)
        assert cloud.states() == {}
        assert cloud.ec2_state(instance_id) == "terminated"

    def test_without_a_hook_it_dies_at_once(self, cloud: Cloud) -> None:
        cloud.create_group(1)
        [instance_id] = cloud.states()
        cloud.scale_to(0)
        assert cloud.ec2_state(instance_id) == "terminated"

    def test_scale_in_takes_the_oldest_unprotected_instance_in_service(self, cloud: Cloud) -> None:
        cloud.create_group(3)
        cloud.put_hook("drain", "TERMINATING")
        oldest, second, _ = cloud.states()
        cloud.autoscaling.set_instance_protection(
            AutoScalingGroupName=GROUP, InstanceIds=[oldest], ProtectedFromScaleIn=True
        )
        cloud.scale_to(2)
        waiting = [one for one, state in cloud.states().items() if state == "Terminating:Wait"]
        assert waiting == [second]

    def test_scale_in_prefers_an_instance_in_service_to_one_that_launches(
        self, cloud: Cloud
    ) -> None:
        cloud.create_group(1)
        cloud.put_hook("launch", "LAUNCHING")
        cloud.put_hook("drain", "TERMINATING")
        [in_service] = cloud.states()
        cloud.scale_to(2)
        cloud.scale_to(1)
        assert cloud.states()[in_service] == "Terminating:Wait"

    def test_an_instance_that_is_leaving_does_not_count_as_active(self, cloud: Cloud) -> None:
        leaving = start_terminating(cloud)
        cloud.scale_to(1)
        states = cloud.states()
        assert states.pop(leaving) == "Terminating:Wait"
        assert list(states.values()) == ["InService"]

    def test_an_instance_terminated_in_the_group_is_replaced(self, cloud: Cloud) -> None:
        cloud.create_group(1)
        cloud.put_hook("drain", "TERMINATING")
        [instance_id] = cloud.states()
        cloud.autoscaling.terminate_instance_in_auto_scaling_group(
            InstanceId=instance_id, ShouldDecrementDesiredCapacity=False
        )
        states = cloud.states()
        assert states.pop(instance_id) == "Terminating:Wait"
        assert list(states.values()) == ["InService"]

    def test_an_instance_terminated_with_decrement_is_not_replaced(self, cloud: Cloud) -> None:
        cloud.create_group(2)
        instance_id, _ = cloud.states()
        cloud.autoscaling.terminate_instance_in_auto_scaling_group(
            InstanceId=instance_id, ShouldDecrementDesiredCapacity=True
        )
        [group] = cloud.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
        assert (group["DesiredCapacity"], len(group["Instances"])) == (1, 1)

    def test_decrementing_below_the_minimum_is_refused(self, cloud: Cloud) -> None:
        cloud.create_group(1, MinSize=1)
        [instance_id] = cloud.states()
        with pytest.raises(ClientError, match="desiredSize equals minSize"):
            cloud.autoscaling.terminate_instance_in_auto_scaling_group(
                InstanceId=instance_id, ShouldDecrementDesiredCapacity=True
            )

    def test_an_instance_killed_through_ec2_meets_the_hook_and_is_replaced(
        self, cloud: Cloud
    ) -> None:
        cloud.create_group(1)
        cloud.put_hook("drain", "TERMINATING")
        [instance_id] = cloud.states()
        cloud.ec2.terminate_instances(InstanceIds=[instance_id])
        states = cloud.states()
        assert states.pop(instance_id) == "Terminating:Wait"
        assert list(states.values()) == ["InService"]

    def test_an_unhealthy_instance_meets_the_hook_and_is_replaced(self, cloud: Cloud) -> None:
        cloud.create_group(1)
        cloud.put_hook("drain", "TERMINATING")
        [instance_id] = cloud.states()
        cloud.autoscaling.set_instance_health(InstanceId=instance_id, HealthStatus="Unhealthy")
        states = cloud.states()
        assert states.pop(instance_id) == "Terminating:Wait"
        assert list(states.values()) == ["InService"]

    def test_standby_holds_no_hook_and_is_replaced_in_service(self, cloud: Cloud) -> None:
        cloud.create_group(1)
        cloud.put_hook("drain", "TERMINATING")
        [instance_id] = cloud.states()
        cloud.autoscaling.enter_standby(
            AutoScalingGroupName=GROUP,
            InstanceIds=[instance_id],
            ShouldDecrementDesiredCapacity=False,
        )
        states = cloud.states()
        assert states.pop(instance_id) == "Standby"
        assert list(states.values()) == ["InService"]
        assert cloud.world.lifecycle_events == []


class TestSeveralHooks:
    def start(self, cloud: Cloud) -> str:
        cloud.create_group(1)
        cloud.put_hook("drain", "TERMINATING")
        cloud.put_hook("backup", "TERMINATING")
        [instance_id] = cloud.states()
        cloud.scale_to(0)
        return instance_id

    def test_all_must_continue(self, cloud: Cloud) -> None:
        instance_id = self.start(cloud)
        cloud.complete("drain", InstanceId=instance_id)
        assert cloud.only_state() == "Terminating:Wait"
        cloud.complete("backup", InstanceId=instance_id)
        assert cloud.states() == {}

    def test_one_abandon_cancels_the_others(self, cloud: Cloud) -> None:
        instance_id = self.start(cloud)
        cloud.complete("drain", "ABANDON", InstanceId=instance_id)
        assert cloud.states() == {}
        with pytest.raises(ClientError, match="No active Lifecycle Action found"):
            cloud.complete("backup", InstanceId=instance_id)

    def test_each_has_an_event_and_a_token_of_its_own(self, cloud: Cloud) -> None:
        self.start(cloud)
        details = [event["detail"] for event in cloud.world.lifecycle_events]
        assert [one["LifecycleHookName"] for one in details] == ["drain", "backup"]
        assert len({one["LifecycleActionToken"] for one in details}) == 2


class TestCompletion:
    def test_the_token_alone_is_enough(self, cloud: Cloud) -> None:
        start_terminating(cloud)
        [event] = cloud.world.lifecycle_events
        cloud.complete("drain", LifecycleActionToken=event["detail"]["LifecycleActionToken"])
        assert cloud.states() == {}

    def test_a_second_completion_finds_no_active_action(self, cloud: Cloud) -> None:
        instance_id = start_terminating(cloud)
        cloud.complete("drain", InstanceId=instance_id)
        with pytest.raises(ClientError) as error:
            cloud.complete("drain", InstanceId=instance_id)
        expected = f"No active Lifecycle Action found with instance ID {instance_id}"
        assert refusal(error) == ("ValidationError", expected)

    def test_a_wrong_token_is_refused_and_changes_nothing(self, cloud: Cloud) -> None:
        instance_id = start_terminating(cloud)
        token = "12345678-1234-1234-1234-123456789012"
        with pytest.raises(ClientError) as error:
            cloud.complete("drain", LifecycleActionToken=token, InstanceId=instance_id)
        expected = f"No active Lifecycle Action found with token {token}"
        assert refusal(error) == ("ValidationError", expected)
        assert cloud.only_state() == "Terminating:Wait"

    def test_a_token_of_another_instance_is_refused(self, cloud: Cloud) -> None:
        cloud.create_group(2)
        cloud.put_hook("drain", "TERMINATING")
        first, second = cloud.states()
        cloud.scale_to(0)
        token = cloud.world.lifecycle_events[1]["detail"]["LifecycleActionToken"]
        with pytest.raises(ClientError, match="No active Lifecycle Action found with token"):
            cloud.complete("drain", LifecycleActionToken=token, InstanceId=first)
        assert set(cloud.states()) == {first, second}

    def test_an_unknown_hook_is_refused(self, cloud: Cloud) -> None:
        instance_id = start_terminating(cloud)
        with pytest.raises(ClientError, match="No Lifecycle Hook found"):
            cloud.complete("dr4in", InstanceId=instance_id)

    def test_an_unknown_group_is_refused(self, cloud: Cloud) -> None:
        with pytest.raises(ClientError, match="AutoScalingGroup name not found"):
            cloud.complete("drain", InstanceId="i-0123456789abcdef0")

    def test_a_result_that_is_none_is_refused(self, cloud: Cloud) -> None:
        instance_id = start_terminating(cloud)
        with pytest.raises(ClientError, match="CONTINUE, ABANDON"):
            cloud.complete("drain", "DONE", InstanceId=instance_id)

    def test_neither_token_nor_instance_is_refused(self, cloud: Cloud) -> None:
        start_terminating(cloud)
        with pytest.raises(ClientError, match="must be specified"):
            cloud.complete("drain")


class TestHeartbeats:
    def test_silence_for_the_heartbeat_timeout_applies_the_default_result(
        self, cloud: Cloud
    ) -> None:
        instance_id = start_terminating(cloud, HeartbeatTimeout=60, DefaultResult="CONTINUE")
        cloud.pass_time(59)
        assert cloud.only_state() == "Terminating:Wait"
        cloud.pass_time(1)
        assert cloud.states() == {}
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
        cloud.pass_time(59)
        assert cloud.only_state() == "Terminating:Wait"
        cloud.pass_time(1)
        assert cloud.states() == {}

    def test_heartbeats_end_at_a_hundred_times_the_timeout(self, cloud: Cloud) -> None:
        instance_id = start_terminating(cloud, HeartbeatTimeout=30)
        for _ in range(119):
            cloud.pass_time(25)
            cloud.heartbeat("drain", InstanceId=instance_id)
        cloud.pass_time(24)
        assert cloud.only_state() == "Terminating:Wait"
        cloud.pass_time(1)
        assert cloud.states() == {}

    def test_heartbeats_end_after_two_days(self, cloud: Cloud) -> None:
        instance_id = start_terminating(cloud, HeartbeatTimeout=7200)
        for _ in range(47):
            cloud.pass_time(3600)
            cloud.heartbeat("drain", InstanceId=instance_id)
        cloud.pass_time(3599)
        assert cloud.only_state() == "Terminating:Wait"
        cloud.pass_time(1)
        assert cloud.states() == {}

    def test_completing_after_expiry_finds_no_active_action(self, cloud: Cloud) -> None:
        instance_id = start_terminating(cloud, HeartbeatTimeout=60)
        cloud.pass_time(61)
        with pytest.raises(ClientError, match="No active Lifecycle Action found"):
            cloud.complete("drain", InstanceId=instance_id)

    def test_a_heartbeat_after_completion_finds_no_active_action(self, cloud: Cloud) -> None:
        instance_id = start_terminating(cloud)
        cloud.complete("drain", InstanceId=instance_id)
        with pytest.raises(ClientError, match="No active Lifecycle Action found"):
            cloud.heartbeat("drain", InstanceId=instance_id)

    def test_expiry_is_recorded_when_it_was_due_however_late_one_looks(self, cloud: Cloud) -> None:
        start = cloud.clock.now
        start_terminating(cloud, HeartbeatTimeout=60)
        cloud.pass_time(5000)
        cloud.world.tick()
        [expired] = [one for one in cloud.world.journal if one["event"] == "expired"]
        assert expired["at"] == start + 60


class TestRetention:
    def test_an_abandoned_termination_is_retained_and_does_not_count(self, cloud: Cloud) -> None:
        cloud.create_group(1)
        cloud.put_hook("drain", "TERMINATING", HeartbeatTimeout=60)
        retain_on_abandon(cloud)
        [instance_id] = cloud.states()
        cloud.scale_to(0)
        cloud.pass_time(60)
        assert cloud.states() == {instance_id: "Terminating:Retained"}
        assert cloud.ec2_state(instance_id) == "running"
        cloud.scale_to(1)
        assert sorted(cloud.states().values()) == ["InService", "Terminating:Retained"]

    def test_continue_does_not_retain(self, cloud: Cloud) -> None:
        instance_id = start_terminating(cloud)
        retain_on_abandon(cloud)
        cloud.complete("drain", InstanceId=instance_id)
        assert cloud.states() == {}

    def test_a_retained_instance_ends_by_terminate_in_group(self, cloud: Cloud) -> None:
        instance_id = start_terminating(cloud)
        retain_on_abandon(cloud)
        cloud.complete("drain", "ABANDON", InstanceId=instance_id)
        cloud.autoscaling.terminate_instance_in_auto_scaling_group(
            InstanceId=instance_id, ShouldDecrementDesiredCapacity=False
        )
        assert cloud.states() == {}
        assert cloud.ec2_state(instance_id) == "terminated"


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

    @pytest.mark.parametrize("seconds", [29, 7201])
    def test_a_heartbeat_timeout_out_of_range_is_refused(self, cloud: Cloud, seconds: int) -> None:
        cloud.create_group(0)
        with pytest.raises(ClientError, match="between 30 and 7200"):
            cloud.put_hook("drain", "TERMINATING", HeartbeatTimeout=seconds)

    def test_a_default_result_that_is_none_is_refused(self, cloud: Cloud) -> None:
        cloud.create_group(0)
        with pytest.raises(ClientError, match="CONTINUE, ABANDON"):
            cloud.put_hook("drain", "TERMINATING", DefaultResult="RETRY")

    def test_an_unknown_transition_is_refused(self, cloud: Cloud) -> None:
        cloud.create_group(0)
        with pytest.raises(ClientError, match="transition must be one of"):
            cloud.put_hook("drain", "REBOOTING")

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

    def test_deleting_a_hook_lets_go_what_it_holds(self, cloud: Cloud) -> None:
        start_terminating(cloud)
        cloud.autoscaling.delete_lifecycle_hook(
            AutoScalingGroupName=GROUP, LifecycleHookName="drain"
        )
        assert cloud.states() == {}

    def test_a_hook_does_not_hold_an_instance_that_launched_before_it(self, cloud: Cloud) -> None:
        cloud.create_group(1)
        cloud.put_hook("launch", "LAUNCHING")
        assert cloud.only_state() == "InService"


class TestGroups:
    def test_a_group_with_instances_cannot_be_deleted(self, cloud: Cloud) -> None:
        start_terminating(cloud)
        with pytest.raises(ClientError) as error:
            cloud.autoscaling.delete_auto_scaling_group(AutoScalingGroupName=GROUP)
        assert refusal(error)[0] == "ResourceInUse"

    def test_force_deletion_asks_no_hook(self, cloud: Cloud) -> None:
        instance_id = start_terminating(cloud)
        cloud.autoscaling.delete_auto_scaling_group(AutoScalingGroupName=GROUP, ForceDelete=True)
        assert cloud.ec2_state(instance_id) == "terminated"
        assert cloud.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"] == []

    def test_a_group_can_be_deleted_once_it_is_drained(self, cloud: Cloud) -> None:
        instance_id = start_terminating(cloud)
        cloud.complete("drain", InstanceId=instance_id)
        cloud.autoscaling.delete_auto_scaling_group(AutoScalingGroupName=GROUP)
        assert cloud.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"] == []

    def test_a_second_group_of_the_same_name_is_refused(self, cloud: Cloud) -> None:
        cloud.create_group(1)
        with pytest.raises(ClientError) as error:
            cloud.create_group(1)
        assert refusal(error)[0] == "AlreadyExists"

    def test_capacity_outside_its_bounds_is_refused(self, cloud: Cloud) -> None:
        cloud.create_group(1, MaxSize=2)
        with pytest.raises(ClientError, match="above max value 2"):
            cloud.scale_to(3)

    def test_a_lower_maximum_scales_in_and_does_not_count_who_is_leaving(
        self, cloud: Cloud
    ) -> None:
        cloud.create_group(3)
        cloud.put_hook("drain", "TERMINATING")
        for maximum in (2, 2):
            cloud.autoscaling.update_auto_scaling_group(AutoScalingGroupName=GROUP, MaxSize=maximum)
        assert sorted(cloud.states().values()) == ["InService", "InService", "Terminating:Wait"]


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


class TestFaults:
    def test_a_throttled_call_changes_nothing(self, cloud: Cloud) -> None:
        instance_id = start_terminating(cloud)
        cloud.world.faults.throttle("CompleteLifecycleAction", times=5)
        with pytest.raises(ClientError) as error:
            cloud.complete("drain", InstanceId=instance_id)
        assert refusal(error) == ("Throttling", "Rate exceeded")
        assert cloud.only_state() == "Terminating:Wait"

    def test_a_lost_reply_leaves_the_work_done(self, cloud: Cloud) -> None:
        instance_id = start_terminating(cloud)
        cloud.world.faults.fail_calls("CompleteLifecycleAction", "Oops", moment="after")
        with pytest.raises(ClientError, match="Oops"):
            cloud.complete("drain", InstanceId=instance_id)
        assert cloud.states() == {}

    def test_faults_set_from_json_are_the_faults_reported(self, cloud: Cloud) -> None:
        failure = {
            "action": "GetOperation",
            "code": "Throttling",
            "message": "slow down",
            "times": 2,
            "moment": "before",
        }
        cloud.world.faults.update({"operation_seconds": 7, "call_failures": [failure]})
        reported = cloud.world.faults.as_dict()
        assert (reported["operation_seconds"], reported["call_failures"]) == (7.0, [failure])
        cloud.world.faults.clear()
        assert cloud.world.faults.as_dict()["call_failures"] == []

    def test_an_unknown_fault_is_refused(self, cloud: Cloud) -> None:
        with pytest.raises(ValueError, match="gremlins"):
            cloud.world.faults.update({"gremlins": 1})
