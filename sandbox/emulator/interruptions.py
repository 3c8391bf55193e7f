"""What EC2 does to spot instances: it warns, and two minutes later takes them, hook or no hook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.emulator.events import GroupIdentity, rebalance_event, spot_interruption_event

if TYPE_CHECKING:
    from sandbox.emulator.autoscaling import WaitingAutoScalingBackend

NOTICE_SECONDS = 120.0


def reclaim(backend: WaitingAutoScalingBackend, instance_id: str) -> None:
    """Warn of a spot interruption, and kill the instance when the notice is over."""
    world = backend.world
    world.emit(spot_interruption_event(_whose(backend), instance_id, world.now))

    def take() -> None:
        backend.ec2_backend.terminate_instances([instance_id])
        backend.notify_terminate_instances([instance_id])

    world.call_at(world.now + NOTICE_SECONDS, take)


def recommend(backend: WaitingAutoScalingBackend, instance_id: str) -> None:
    """Recommend to rebalance; nothing else happens."""
    world = backend.world
    world.emit(rebalance_event(_whose(backend), instance_id, world.now))


def _whose(backend: WaitingAutoScalingBackend) -> GroupIdentity:
    """Whose event it is; EC2 knows no group."""
    return GroupIdentity("", "", backend.region_name, backend.account_id)
