"""The emulator holds instances in wait states exactly as EC2 Auto Scaling does."""

from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.emulator.autoscaling.kit import (
    start_terminating,
    start_with_launch_hook,
    terminate,
)
from tests.sandbox.emulator.conftest import GROUP, Cloud


def refusal(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, str]:
    described = error.value.response["Error"]
    return described["Code"], described["Message"]


def retain_on_abandon(cloud: Cloud) -> None:
    cloud.autoscaling.update_auto_scaling_group(
        AutoScalingGroupName=GROUP,
        InstanceLifecyclePolicy={"RetentionTriggers": {"TerminateHookAbandon": "retain"}},
    )


class TestLaunching:
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

    def test_proceeding_takes_as_long_as_it_is_set_to(self, cloud: Cloud) -> None:
        cloud.world.faults.proceed_seconds = 5
        instance_id = start_with_launch_hook(cloud)
        cloud.complete("launch", InstanceId=instance_id)
        cloud.pass_time(4.9)
        assert cloud.only_state() == "Pending:Proceed"
        cloud.pass_time(0.1)
        assert cloud.only_state() == "InService"


class TestTerminating:
    @pytest.mark.parametrize("result", ["CONTINUE", "ABANDON"])
    def test_either_result_lets_it_die(self, cloud: Cloud, result: str) -> None:
        instance_id = start_terminating(cloud)
        cloud.complete("drain", result, InstanceId=instance_id)
        assert cloud.states() == {}
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

    def test_an_instance_terminated_with_decrement_is_not_replaced(self, cloud: Cloud) -> None:
        cloud.create_group(2)
        instance_id, _ = cloud.states()
        terminate(cloud, instance_id, decrement=True)
        [group] = cloud.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
        assert (group["DesiredCapacity"], len(group["Instances"])) == (1, 1)

    @pytest.mark.parametrize(
        ("ends", "state"),
        [
            (terminate, "Terminating:Wait"),
            (
                lambda cloud, one: cloud.ec2.terminate_instances(InstanceIds=[one]),
                "Terminating:Wait",
            ),
            (
                lambda cloud, one: cloud.autoscaling.set_instance_health(
                    InstanceId=one, HealthStatus="Unhealthy"
                ),
                "Terminating:Wait",
            ),
            # No hook is asked.
            (
                lambda cloud, one: cloud.autoscaling.enter_standby(
                    AutoScalingGroupName=GROUP,
                    InstanceIds=[one],
                    ShouldDecrementDesiredCapacity=False,
                ),
                "Standby",
            ),
        ],
        ids=["in the group", "through EC2", "unhealthy", "standby"],
    )
    def test_an_instance_that_leaves_is_replaced(
        self, cloud: Cloud, ends: Callable[[Cloud, str], object], state: str
    ) -> None:
        cloud.create_group(1)
        cloud.put_hook("drain", "TERMINATING")
        [instance_id] = cloud.states()
        ends(cloud, instance_id)
        states = cloud.states()
        assert states.pop(instance_id) == state
        assert list(states.values()) == ["InService"]
        assert bool(cloud.world.lifecycle_events) is (state != "Standby")


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

    def test_a_retained_instance_ends_by_terminate_in_group(self, cloud: Cloud) -> None:
        instance_id = start_terminating(cloud)
        retain_on_abandon(cloud)
        cloud.complete("drain", "ABANDON", InstanceId=instance_id)
        terminate(cloud, instance_id)
        assert cloud.states() == {}
        assert cloud.ec2_state(instance_id) == "terminated"


class TestGroups:
    def test_force_deletion_asks_no_hook(self, cloud: Cloud) -> None:
        instance_id = start_terminating(cloud)
        cloud.autoscaling.delete_auto_scaling_group(AutoScalingGroupName=GROUP, ForceDelete=True)
        assert cloud.ec2_state(instance_id) == "terminated"
        assert cloud.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"] == []


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

    def test_an_unknown_fault_is_refused(self, cloud: Cloud) -> None:
        with pytest.raises(ValueError, match="gremlins"):
            cloud.world.faults.update({"gremlins": 1})
