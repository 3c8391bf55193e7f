"""Ends that no hook holds up: what EC2 and Auto Scaling tell of them, and when."""

from typing import Any

from sandbox.emulator.autoscaling.backend import WaitingAutoScalingBackend
from sandbox.emulator.autoscaling.interruptions import reclaim, recommend
from tests.sandbox.emulator.conftest import GROUP, Cloud

NO_GROUP = {"version": "0", "account": "123456789012", "region": "ap-northeast-1"}


def backend(cloud: Cloud) -> WaitingAutoScalingBackend:
    [found] = [
        one
        for one in WaitingAutoScalingBackend.all_of(cloud.world)
        if GROUP in one.autoscaling_groups
    ]
    return found


def ends(cloud: Cloud) -> list[dict[str, Any]]:
    return [
        event["detail"]
        for event in cloud.world.events
        if event["detail-type"] == "EC2 Instance Terminate Successful"
    ]


def test_an_end_is_told_as_auto_scaling_tells_it(cloud: Cloud) -> None:
    cloud.create_group(1)
    cloud.put_hook("drain", "TERMINATING")
    [instance_id] = cloud.states()
    cloud.scale_to(0)
    assert ends(cloud) == []
    cloud.pass_time(90)
    cloud.complete("drain", InstanceId=instance_id)
    [group] = cloud.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    [*_, event] = cloud.world.events
    assert (event["source"], event["detail-type"]) == (
        "aws.autoscaling",
        "EC2 Instance Terminate Successful",
    )
    assert event["resources"] == [
        group["AutoScalingGroupARN"],
        f"arn:aws:ec2:ap-northeast-1:123456789012:instance/{instance_id}",
    ]
    [detail] = ends(cloud)
    assert (detail["AutoScalingGroupName"], detail["EC2InstanceId"]) == (GROUP, instance_id)
    assert (detail["Origin"], detail["Destination"]) == ("AutoScalingGroup", "EC2")
    # From when it began to leave.
    assert detail["StartTime"] == "2023-11-14T22:13:20Z"
    assert detail["EndTime"] == "2023-11-14T22:14:50Z"


def test_an_abandoned_launch_ends_too(cloud: Cloud) -> None:
    cloud.create_group(0)
    cloud.put_hook("launch", "LAUNCHING", HeartbeatTimeout=60)
    cloud.scale_to(1)
    [instance_id] = cloud.states()
    cloud.pass_time(60)
    cloud.world.tick()
    assert [one["EC2InstanceId"] for one in ends(cloud)] == [instance_id]


def test_an_instance_of_the_warm_pool_ends_there(cloud: Cloud) -> None:
    cloud.create_group(0, MaxSize=1)
    cloud.autoscaling.put_warm_pool(AutoScalingGroupName=GROUP, MaxGroupPreparedCapacity=1)
    cloud.autoscaling.delete_warm_pool(AutoScalingGroupName=GROUP)
    assert [one["Origin"] for one in ends(cloud)] == ["WarmPool"]


def test_a_warning_is_as_ec2_writes_it_and_the_instance_is_taken_two_minutes_later(
    cloud: Cloud,
) -> None:
    cloud.create_group(1)
    [instance_id] = cloud.states()
    with cloud.world.turn():
        reclaim(backend(cloud), instance_id)
    [event] = cloud.world.events
    assert {**event, "id": ""} == NO_GROUP | {
        "id": "",
        "detail-type": "EC2 Spot Instance Interruption Warning",
        "source": "aws.ec2",
        "time": "2023-11-14T22:13:20Z",
        "resources": [f"arn:aws:ec2:ap-northeast-1:123456789012:instance/{instance_id}"],
        "detail": {"instance-id": instance_id, "instance-action": "terminate"},
    }
    cloud.pass_time(119)
    assert cloud.ec2_state(instance_id) == "running"
    cloud.pass_time(1)
    assert cloud.ec2_state(instance_id) == "terminated"
    assert instance_id not in cloud.states()
    assert len(cloud.states()) == 1, "it is replaced"


def shut_down(cloud: Cloud) -> list[dict[str, Any]]:
    return [
        event
        for event in cloud.world.events
        if event["detail-type"] == "EC2 Instance State-change Notification"
    ]


def test_ec2_tells_that_an_instance_shuts_down_the_moment_that_it_is_killed(cloud: Cloud) -> None:
    cloud.create_group(1)
    [instance_id] = cloud.states()
    cloud.ec2.terminate_instances(InstanceIds=[instance_id])
    cloud.ec2.terminate_instances(InstanceIds=[instance_id])
    [event] = shut_down(cloud)
    assert {**event, "id": ""} == NO_GROUP | {
        "id": "",
        "detail-type": "EC2 Instance State-change Notification",
        "source": "aws.ec2",
        "time": "2023-11-14T22:13:20Z",
        "resources": [f"arn:aws:ec2:ap-northeast-1:123456789012:instance/{instance_id}"],
        "detail": {"instance-id": instance_id, "state": "shutting-down"},
    }
    assert cloud.ec2_state(instance_id) == "terminated"


def test_ec2_tells_of_a_reclaim_and_of_what_auto_scaling_ends_as_well(cloud: Cloud) -> None:
    cloud.create_group(2)
    reclaimed, ended = cloud.states()
    with cloud.world.turn():
        reclaim(backend(cloud), reclaimed)
    cloud.pass_time(119)
    assert shut_down(cloud) == []
    cloud.pass_time(1)
    cloud.world.tick()
    cloud.autoscaling.terminate_instance_in_auto_scaling_group(
        InstanceId=ended, ShouldDecrementDesiredCapacity=True
    )
    told = [one["detail"]["instance-id"] for one in shut_down(cloud)]
    assert told == [reclaimed, ended]


def test_a_group_can_notice_later_than_ec2_that_an_instance_is_gone(cloud: Cloud) -> None:
    cloud.create_group(1)
    cloud.put_hook("drain", "TERMINATING")
    cloud.world.faults.unnoticed_seconds = 90
    [instance_id] = cloud.states()
    cloud.ec2.terminate_instances(InstanceIds=[instance_id])
    assert len(shut_down(cloud)) == 1
    cloud.pass_time(89)
    assert cloud.states() == {instance_id: "InService"}
    cloud.pass_time(1)
    assert cloud.states()[instance_id] == "Terminating:Wait"


def test_a_hook_hears_of_a_reclaim_and_cannot_stop_it(cloud: Cloud) -> None:
    cloud.create_group(1)
    cloud.put_hook("drain", "TERMINATING")
    [instance_id] = cloud.states()
    with cloud.world.turn():
        reclaim(backend(cloud), instance_id)
    cloud.pass_time(120)
    assert cloud.states()[instance_id] == "Terminating:Wait"
    assert cloud.ec2_state(instance_id) == "terminated"


def test_a_recommendation_takes_nothing(cloud: Cloud) -> None:
    cloud.create_group(1)
    [instance_id] = cloud.states()
    with cloud.world.turn():
        recommend(backend(cloud), instance_id)
    [event] = cloud.world.events
    assert event["detail-type"] == "EC2 Instance Rebalance Recommendation"
    assert event["detail"] == {"instance-id": instance_id}
    cloud.pass_time(3600)
    assert cloud.states() == {instance_id: "InService"}


def test_ec2_tells_that_an_instance_stops_whatever_stops_it(cloud: Cloud) -> None:
    cloud.create_group(1)
    cloud.world.faults.unnoticed_seconds = 90
    [instance_id] = cloud.states()
    cloud.ec2.stop_instances(InstanceIds=[instance_id])
    cloud.ec2.stop_instances(InstanceIds=[instance_id])
    [event] = shut_down(cloud)
    assert event["detail"] == {"instance-id": instance_id, "state": "stopping"}
    assert cloud.states() == {instance_id: "InService"}


def test_a_group_replaces_an_instance_in_service_that_it_finds_stopped(cloud: Cloud) -> None:
    cloud.create_group(1)
    cloud.put_hook("drain", "TERMINATING")
    cloud.world.faults.unnoticed_seconds = 90
    [instance_id] = cloud.states()
    cloud.ec2.stop_instances(InstanceIds=[instance_id])
    cloud.pass_time(90)
    assert cloud.states()[instance_id] == "Terminating:Wait"
    assert cloud.ec2_state(instance_id) == "stopped"
    assert len(cloud.states()) == 2


def test_one_that_is_started_again_before_the_group_has_noticed_stays(cloud: Cloud) -> None:
    cloud.create_group(1)
    cloud.world.faults.unnoticed_seconds = 90
    [instance_id] = cloud.states()
    cloud.pass_time(30)
    cloud.ec2.stop_instances(InstanceIds=[instance_id])
    cloud.pass_time(60)
    cloud.ec2.start_instances(InstanceIds=[instance_id])
    cloud.pass_time(60)
    assert cloud.states() == {instance_id: "InService"}
    [reservation] = cloud.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
    started = reservation["Instances"][0]["LaunchTime"].timestamp()
    assert started == cloud.clock.now - 60, "EC2's LaunchTime is that of the last start"


def test_a_warm_pool_stops_its_instances_with_the_same_event_and_keeps_them(cloud: Cloud) -> None:
    cloud.create_group(0, MaxSize=1)
    cloud.autoscaling.put_warm_pool(AutoScalingGroupName=GROUP)
    [(instance_id, state)] = cloud.states().items()
    assert state == "Warmed:Stopped"
    assert [one["detail"]["state"] for one in shut_down(cloud)] == ["stopping"]
    cloud.pass_time(600)
    assert cloud.states() == {instance_id: "Warmed:Stopped"}
