"""What EC2 does and tells by itself, hook or no hook.

It warns of a spot interruption, and takes the instance two minutes later. It tells that an instance
shuts down the moment that anybody ends it; other changes of state it would tell of are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.emulator.autoscaling.events import GroupIdentity, ec2_event

if TYPE_CHECKING:
    from collections.abc import Callable

    from moto.autoscaling.models import AutoScalingBackend
    from moto.ec2.models import EC2Backend
    from moto.ec2.models.instances import Instance, InstanceState

    from sandbox.emulator.autoscaling.backend import WaitingAutoScalingBackend
    from sandbox.emulator.world import World

NOTICE_SECONDS = 120.0


def reclaim(backend: WaitingAutoScalingBackend, instance_id: str) -> None:
    """Warn of a spot interruption, and kill the instance when the notice is over."""
    world = backend.world
    warning = "EC2 Spot Instance Interruption Warning"
    action = {"instance-action": "terminate"}
    world.emit(ec2_event(_whose(backend), instance_id, warning, world.now, **action))

    def take() -> None:
        backend.ec2_backend.terminate_instances([instance_id])
        backend.notify_terminate_instances([instance_id])

    world.call_at(world.now + NOTICE_SECONDS, take)


def recommend(backend: WaitingAutoScalingBackend, instance_id: str) -> None:
    """Recommend to rebalance; nothing else happens."""
    world = backend.world
    recommendation = "EC2 Instance Rebalance Recommendation"
    world.emit(ec2_event(_whose(backend), instance_id, recommendation, world.now))


def announced(
    world: World, terminate: Callable[[Instance], InstanceState]
) -> Callable[[Instance], InstanceState]:
    """EC2's end of an instance, and the event of it; an instance shuts down only once."""

    def terminate_aloud(instance: Instance) -> InstanceState:
        before = terminate(instance)
        if before.name != "terminated":
            whose = _whose(instance.ec2_backend)
            change = "EC2 Instance State-change Notification"
            world.emit(ec2_event(whose, instance.id, change, world.now, state="shutting-down"))
        return before

    return terminate_aloud


def _whose(backend: AutoScalingBackend | EC2Backend) -> GroupIdentity:
    """Whose event it is; EC2 knows no group."""
    return GroupIdentity("", "", backend.region_name, backend.account_id)
