"""The disks of an instance that a stage gives up on."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from lifecycle.adapters import clients
from lifecycle.events import CheckMessage
from lifecycle.flows.snapshots import TAKING_SECONDS, Snapshots
from lifecycle.telemetry import LogEvent, Metric
from tests.support.messages import (
    INSTANCE_ID,
    NOW,
    OTHER_INSTANCE_ID,
    buffer_check,
    flush_check,
    operation_check,
)
from tests.support.recording import RecordingTelemetry
from tests.support.scripted import THROTTLED, scripted

INSTANCE = {
    "RootDeviceName": "/dev/xvda",
    "BlockDeviceMappings": [
        {"DeviceName": "/dev/xvda", "Ebs": {"VolumeId": "vol-root"}},
        {"DeviceName": "/dev/sdb", "Ebs": {"VolumeId": "vol-buffer"}},
        {"DeviceName": "/dev/sdc", "Ebs": {"VolumeId": "vol-other"}},
    ],
}


def snapshot(age: float, state: str = "completed") -> dict[str, Any]:
    return {"StartTime": datetime.fromtimestamp(NOW - age, UTC), "State": state}


class Taken:
    """What one attempt does."""

    def __init__(
        self,
        *device_names: str,
        existing: Any = (),
        creation: Any = None,
        messages: Sequence[CheckMessage] = (buffer_check(),),
        call_seconds: float = 0,
    ) -> None:
        known = existing if isinstance(existing, Exception) else {"Snapshots": list(existing)}
        self.ec2 = scripted(
            describe_snapshots=known,
            describe_instances={"Reservations": [{"Instances": [INSTANCE]}]},
            create_snapshots=creation or {"Snapshots": [{"SnapshotId": "snap-1"}]},
        )
        self.telemetry = RecordingTelemetry()
        Snapshots(
            self.ec2,
            device_names,
            self.telemetry,
            lambda: NOW + call_seconds * len(self.ec2.calls),
        ).take(messages)

    @property
    def requests(self) -> list[dict[str, Any]]:
        return [one["InstanceSpecification"] for one in self.ec2.arguments_of("create_snapshots")]


def test_all_volumes_are_taken_unless_some_are_named() -> None:
    taken = Taken()
    assert taken.requests == [{"InstanceId": INSTANCE_ID}]
    [request] = taken.ec2.arguments_of("create_snapshots")
    assert request["TagSpecifications"] == [
        {
            "ResourceType": "snapshot",
            "Tags": [{"Key": "fluentd-lifecycle-rescue", "Value": INSTANCE_ID}],
        }
    ]
    assert taken.telemetry.the(LogEvent.SNAPSHOTS_REQUESTED)["snapshot_ids"] == ["snap-1"]
    assert taken.telemetry.total(Metric.SNAPSHOTS_FAILED) == 0


def test_only_the_named_volumes_are_taken() -> None:
    assert Taken("/dev/sdb").requests == [
        {
            "InstanceId": INSTANCE_ID,
            "ExcludeBootVolume": True,
            "ExcludeDataVolumeIds": ["vol-other"],
        }
    ]
    assert Taken("/dev/xvda").requests == [
        {
            "InstanceId": INSTANCE_ID,
            "ExcludeBootVolume": False,
            "ExcludeDataVolumeIds": ["vol-buffer", "vol-other"],
        }
    ]


def test_names_that_the_instance_does_not_have_leave_nothing_out() -> None:
    assert Taken("/dev/sdz").requests == [{"InstanceId": INSTANCE_ID}]


@pytest.mark.parametrize(
    "message",
    [operation_check(), flush_check(deregistered_at=NOW - 4000)],
    ids=lambda one: one.stage,
)
def test_an_instance_is_not_taken_twice_within_an_hour(message: CheckMessage) -> None:
    assert Taken(messages=[message], existing=[snapshot(3599)]).requests == []
    assert len(Taken(messages=[message], existing=[snapshot(3601)]).requests) == 1
    assert len(Taken(messages=[message], existing=[snapshot(10, "error")]).requests) == 1


def test_what_came_in_before_the_deregistration_must_be_on_them() -> None:
    messages = [buffer_check(deregistered_at=NOW - 60)]
    assert len(Taken(messages=messages, existing=[snapshot(61)]).requests) == 1
    assert Taken(messages=messages, existing=[snapshot(59)]).requests == []


@pytest.mark.parametrize("failing", [{"existing": THROTTLED}, {"creation": THROTTLED}])
def test_a_failure_is_logged_and_counted_and_never_raised(failing: dict[str, Any]) -> None:
    taken = Taken(**failing)
    assert taken.telemetry.total(Metric.SNAPSHOTS_FAILED) == 1
    assert "Throttling" in str(taken.telemetry.the(LogEvent.SNAPSHOTS_FAILED)["reason"])


def test_every_instance_has_its_turn_whatever_happens_to_the_one_before() -> None:
    messages = [flush_check(), flush_check(instance_id=OTHER_INSTANCE_ID)]
    taken = Taken(messages=messages, creation=[THROTTLED, {"Snapshots": []}])
    assert taken.requests == [{"InstanceId": INSTANCE_ID}, {"InstanceId": OTHER_INSTANCE_ID}]
    assert taken.telemetry.the(LogEvent.SNAPSHOTS_FAILED)["instance_id"] == INSTANCE_ID
    assert taken.telemetry.the(LogEvent.SNAPSHOTS_REQUESTED)["instance_id"] == OTHER_INSTANCE_ID


@pytest.mark.usefixtures("aws_environment")
def test_a_slow_ec2_cannot_hold_the_invocation_up() -> None:
    """Every call of ten instances takes as long as it can."""
    config: Any = clients.ec2_once_patiently().meta.config
    longest_call = config.connect_timeout + config.read_timeout
    assert config.retries["total_max_attempts"] == 1
    messages = [buffer_check(instance_id=f"i-{number:017x}") for number in range(10)]
    taken = Taken("/dev/sdb", messages=messages, call_seconds=longest_call)
    assert len(taken.requests) >= 1
    assert len(taken.ec2.calls) * longest_call <= TAKING_SECONDS
    skipped = taken.telemetry.of(LogEvent.SNAPSHOTS_FAILED)
    assert len(skipped) + len(taken.requests) == 10
    assert "no time left" in str(skipped[-1]["reason"])
    assert taken.telemetry.total(Metric.SNAPSHOTS_FAILED) == len(skipped)
