"""Instance refreshes that replace root volumes: StartInstanceRefresh, strategy ReplaceRootVolume.

An instance keeps its id and its address; its root volume is deleted and a new one attached. A
terminating hook holds it before, in ReplacingRootVolume:Wait, a launching hook afterwards, in
Pending:Wait (user guide, "Replace root volumes during instance refresh"). What ABANDON does before
is not documented: the faults choose. Only this strategy is emulated; the group itself need not have
a mixed instances policy, which AWS demands.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.autoscaling.models import FakeWarmPool, InstanceState
from moto.moto_api._internal import mock_random

from sandbox.emulator.autoscaling.events import RELAUNCH, REPLACE, TERMINATE, Journey
from sandbox.emulator.autoscaling.wait_states import Passage
from sandbox.emulator.autoscaling.warm_pools import PooledGroup
from sandbox.emulator.world import World

STRATEGY = "ReplaceRootVolume"
DEFAULT_MIN_HEALTHY_PERCENTAGE = 90
DEFAULT_CHECKPOINT_DELAY_SECONDS = 3600
UNFINISHED = frozenset({"InProgress", "RollbackInProgress"})
REPLACED = "RootVolumeReplaced"
STATES = frozenset({REPLACE.state, f"{REPLACE.state}:Wait", f"{REPLACE.state}:Proceed", REPLACED})


class RefreshedGroup(PooledGroup, Protocol):
    """What a refresh needs of its group."""

    name: str
    refreshes: "list[InstanceRefresh]"
    warm_pool: FakeWarmPool | None

    @property
    def world(self) -> World: ...

    def active_instances(self) -> list[InstanceState]: ...

    def find(self, instance_id: str) -> InstanceState | None: ...

    def proceed(self, state: InstanceState, journey: Journey) -> None: ...

    def record(self, event: str, state: InstanceState) -> None: ...

    def keep_capacity(self) -> None: ...

    def everybody(self) -> list[InstanceState]: ...


@dataclass
class InstanceRefresh:
    """One refresh of one group: the instances still to be replaced, and those that are done."""

    group: RefreshedGroup
    image_id: str
    left: list[str]
    min_healthy_percentage: int = DEFAULT_MIN_HEALTHY_PERCENTAGE
    checkpoints: list[int] = field(default_factory=list)
    checkpoint_seconds: float = DEFAULT_CHECKPOINT_DELAY_SECONDS
    status: str = "InProgress"
    refresh_id: str = field(default_factory=lambda: str(mock_random.uuid4()))
    done: list[str] = field(default_factory=list)
    under_way: set[str] = field(default_factory=set)
    _waits_until: float = 0.0

    @property
    def is_active(self) -> bool:
        return self.status in UNFINISHED

    def description(self) -> dict[str, Any]:
        total = len(self.left) + len(self.under_way) + len(self.done)
        return {
            "InstanceRefreshId": self.refresh_id,
            "AutoScalingGroupName": self.group.name,
            "Status": self.status,
            "Strategy": STRATEGY,
            "PercentageComplete": 100 * len(self.done) // total if total else 100,
            "InstancesToUpdate": len(self.left) + len(self.under_way),
        }

    def go_on(self) -> None:
        """Note which instances are done, and begin with the next ones."""
        if not self.is_active:
            return
        self._settle()
        world = self.group.world
        while self.left and world.now >= self._waits_until and self._has_room():
            state = self.group.find(self.left.pop(0))
            if state is not None and state.lifecycle_state == "InService":
                self.under_way.add(state.instance_id)
                self.group.set_out(state, REPLACE)
        if not (self.left or self.under_way):
            self.status = "Successful" if self.status == "InProgress" else "RollbackSuccessful"

    def cancel(self) -> None:
        """Take no further instance; who is under way goes on."""
        self.status = "Cancelled"

    def roll_back(self) -> None:
        """Replace again what was replaced, and what is under way when its turn comes."""
        self.left, self.done = [*self.done, *self.under_way], []
        self.checkpoints, self.status, self._waits_until = [], "RollbackInProgress", 0.0
        self.under_way.clear()
        self.go_on()

    def _settle(self) -> None:
        for instance_id in sorted(self.under_way):
            state = self.group.find(instance_id)
            if state is not None and state.lifecycle_state != "InService":
                continue
            self.under_way.discard(instance_id)
            self.done.append(instance_id)
            self._reach_checkpoint()

    def _reach_checkpoint(self) -> None:
        percent = self.description()["PercentageComplete"]
        if not self.checkpoints or percent < self.checkpoints[0] or not self.left:
            return
        self.checkpoints = [one for one in self.checkpoints if one > percent]
        world = self.group.world
        self._waits_until = world.now + self.checkpoint_seconds
        world.call_at(self._waits_until, self.go_on)

    def _has_room(self) -> bool:
        members = len(self.group.active_instances())
        away = members - sum(one.lifecycle_state == "InService" for one in self.group.everybody())
        allowed = members * (100 - self.min_healthy_percentage) // 100
        return away < max(1, allowed)


def start(group: RefreshedGroup, parameters: Mapping[str, Any]) -> InstanceRefresh:
    """StartInstanceRefresh: refuse what AWS refuses, begin the rest."""
    if parameters.get("Strategy") != STRATEGY:
        raise ValidationError(f"the emulator knows the strategy {STRATEGY} only")
    if group.warm_pool is not None:
        raise ValidationError(f"{STRATEGY} is not supported for a group with a warm pool")
    if group.refreshes and group.refreshes[-1].is_active:
        raise AutoscalingClientError(
            "InstanceRefreshInProgress", "An Instance Refresh is already in progress"
        )
    preferences = parameters.get("Preferences") or {}
    refresh = InstanceRefresh(
        group,
        _image_id(parameters),
        [one.instance_id for one in group.everybody() if one.lifecycle_state == "InService"],
        int(preferences.get("MinHealthyPercentage", DEFAULT_MIN_HEALTHY_PERCENTAGE)),
        [int(one) for one in preferences.get("CheckpointPercentages") or []],
        float(preferences.get("CheckpointDelay", DEFAULT_CHECKPOINT_DELAY_SECONDS)),
    )
    group.refreshes.append(refresh)
    refresh.go_on()
    return refresh


def active(group: RefreshedGroup) -> InstanceRefresh:
    """The refresh that CancelInstanceRefresh or RollbackInstanceRefresh means."""
    if group.refreshes and group.refreshes[-1].is_active:
        return group.refreshes[-1]
    raise AutoscalingClientError(
        "ActiveInstanceRefreshNotFound", "No in progress or pending Instance Refresh found"
    )


def outcome(group: RefreshedGroup, state: InstanceState, passage: Passage, result: str) -> None:
    """Go on with an instance that was held before its root volume is replaced."""
    faults = group.world.faults
    if result == "CONTINUE" or faults.abandoned_replacement == "replaced":
        group.proceed(state, passage.journey)
    elif faults.abandoned_replacement == "terminated":
        _replacement_failed(group, state)
    else:
        group.move(state, "InService")


def replace(group: RefreshedGroup, state: InstanceState) -> None:
    """Delete the root volume, attach a new one, and launch the instance again."""
    faults = group.world.faults
    instance: Any = state.instance
    if faults.failing_replacements or instance.state != "running":
        faults.failing_replacements = max(0, faults.failing_replacements - 1)
        _replacement_failed(group, state)
        return
    device, ec2 = instance.root_device_name or "/dev/sda1", group.ec2_backend
    old = instance.block_device_mapping[device].volume_id
    new = ec2.create_volume(size=8, zone_name=instance.placement.zone).id
    ec2.detach_volume(old, state.instance_id, device)
    ec2.delete_volume(old)
    ec2.attach_volume(new, state.instance_id, device, True)  # noqa: FBT003 - moto's signature
    if group.refreshes:
        instance.image_id = group.refreshes[-1].image_id
    group.move(state, REPLACED)
    group.set_out(state, RELAUNCH)


def _replacement_failed(group: RefreshedGroup, state: InstanceState) -> None:
    """Terminate and replace an instance whose root volume could not be replaced."""
    group.record("root_volume_replacement_failed", state)
    group.set_out(state, TERMINATE)
    group.keep_capacity()


def _image_id(parameters: Mapping[str, Any]) -> str:
    policy = (parameters.get("DesiredConfiguration") or {}).get("MixedInstancesPolicy") or {}
    overrides = (policy.get("LaunchTemplate") or {}).get("Overrides") or []
    image_ids = [one.get("ImageId") for one in overrides]
    if not image_ids or not all(image_ids):
        raise ValidationError(
            f"{STRATEGY} needs a desired configuration with a mixed instances policy whose"
            " overrides all have an ImageId"
        )
    return str(image_ids[0])
