"""Snapshots of an instance's volumes, for when a stage gives up on it: the chunks outlive it.

Semantics: docs.aws.amazon.com/AWSEC2/latest/APIReference (CreateSnapshots, DescribeSnapshots).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.events import CheckMessage, LifecycleAction, OperationCheck
from lifecycle.telemetry import LogEvent, Metric, Telemetry

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import InstanceSpecificationTypeDef

# The runbooks look for it; the volumes that a person keeps have it as well.
RESCUE_TAG_KEY = "fluentd-lifecycle-rescue"
_FRESH_SECONDS = 3600.0
# No call is begun later than this; the last may take 6 seconds more (adapters/clients.py).
# Terraform counts with the sum, TAKING_SECONDS.
_BEGIN_WITHIN_SECONDS = 19.0
TAKING_SECONDS = 25


@dataclass(frozen=True, slots=True)
class Snapshots:
    """Takes snapshots of an instance's EBS volumes.

    ``device_names`` are those of the volumes to take, as EC2 attaches them (``/dev/sdb``). No name,
    or none that the instance has, means all of its volumes: what may hold a chunk is not left out.
    """

    client: "EC2Client"
    device_names: Sequence[str]
    telemetry: Telemetry
    clock: Callable[[], float]

    def take(self, messages: Sequence[CheckMessage]) -> None:
        """Take those of each instance, unless there are some of the last hour that will do.

        Never raises, and takes no longer than TAKING_SECONDS: it is only a rescue. What is not done
        by then is logged, and counted, as failed.
        """
        deadline = self.clock() + _BEGIN_WITHIN_SECONDS
        for message in messages:
            try:
                self._take(message, deadline)
            except Exception as error:  # noqa: BLE001 (the next instance has its turn)
                self.telemetry.error(
                    LogEvent.SNAPSHOTS_FAILED,
                    **message.action.log_fields(),
                    reason=f"{type(error).__name__}: {error}",
                )
                self.telemetry.measure(Metric.SNAPSHOTS_FAILED)

    def _take(self, message: CheckMessage, deadline: float) -> None:
        action = message.action
        self._check(deadline)
        if self._are_there(action.instance_id, self._since(message)):
            return
        self._check(deadline)
        volumes = self._volumes_of(action.instance_id)
        self._check(deadline)
        self._request(action, volumes)

    def _check(self, deadline: float) -> None:
        if self.clock() > deadline:
            raise TimeoutError("no time left in this invocation")

    def _since(self, message: CheckMessage) -> float:
        """Return from when on snapshots will do.

        Those of an instance that was still registered lack what forwarders have sent it since.
        """
        since = self.clock() - _FRESH_SECONDS
        if isinstance(message, OperationCheck):
            return since
        return max(since, message.deregistered_at)

    def _are_there(self, instance_id: str, since: float) -> bool:
        answer = self.client.describe_snapshots(
            OwnerIds=["self"],
            Filters=[{"Name": f"tag:{RESCUE_TAG_KEY}", "Values": [instance_id]}],
        )
        return any(
            one["StartTime"].timestamp() >= since and one["State"] != "error"
            for one in answer["Snapshots"]
        )

    def _request(self, action: LifecycleAction, volumes: "InstanceSpecificationTypeDef") -> None:
        answer = self.client.create_snapshots(
            InstanceSpecification=volumes,
            Description=f"Buffers of {action.instance_id}, which was not proven empty",
            TagSpecifications=[
                {
                    "ResourceType": "snapshot",
                    "Tags": [{"Key": RESCUE_TAG_KEY, "Value": action.instance_id}],
                }
            ],
        )
        self.telemetry.info(
            LogEvent.SNAPSHOTS_REQUESTED,
            **action.log_fields(),
            snapshot_ids=[one["SnapshotId"] for one in answer["Snapshots"]],
        )

    def _volumes_of(self, instance_id: str) -> "InstanceSpecificationTypeDef":
        everything: InstanceSpecificationTypeDef = {"InstanceId": instance_id}
        if not self.device_names:
            return everything
        answer = self.client.describe_instances(InstanceIds=[instance_id])
        [instance] = [one for group in answer["Reservations"] for one in group["Instances"]]
        volumes = {
            one["DeviceName"]: one["Ebs"]["VolumeId"] for one in instance["BlockDeviceMappings"]
        }
        if not set(volumes) & set(self.device_names):
            return everything
        root = instance.get("RootDeviceName")
        return {
            **everything,
            "ExcludeBootVolume": root not in self.device_names,
            "ExcludeDataVolumeIds": [
                volume
                for name, volume in volumes.items()
                if name != root and name not in self.device_names
            ],
        }
