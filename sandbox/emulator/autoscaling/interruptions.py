"""What EC2 does and announces by itself, whatever the hooks say.

It warns of a spot interruption, and terminates the instance two minutes later. It sends an event
when an instance shuts down or stops, whatever the cause; the events of other changes of state are
left out. A group finds an instance in service that is stopped unhealthy, and replaces
it, unless it was started again before the group has noticed.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from moto.autoscaling.models import AutoScalingBackend
from moto.ec2.models import EC2Backend
from moto.ec2.models.instances import Instance, InstanceState

from sandbox.emulator.autoscaling.backend import WaitingAutoScalingBackend
from sandbox.emulator.autoscaling.events import GroupIdentity, ec2_event
from sandbox.emulator.world import World

Change = Callable[[Instance], InstanceState]

NOTICE_SECONDS = 120.0
STATE_CHANGE = "EC2 Instance State-change Notification"
# From these states there is no such change any more.
ALREADY = {
    "shutting-down": {"terminated"},
    "stopping": {"pending", "stopping", "stopped", "shutting-down", "terminated"},
}


def reclaim(backend: WaitingAutoScalingBackend, instance_id: str) -> None:
    """Warn of a spot interruption, and kill the instance when the notice is over."""
    world = backend.world
    warning = "EC2 Spot Instance Interruption Warning"
    action = {"instance-action": "terminate"}
    world.emit(ec2_event(_identity(backend), instance_id, warning, world.now, **action))

    def take() -> None:
        backend.ec2_backend.terminate_instances([instance_id])
        backend.notify_terminate_instances([instance_id])

    world.call_at(world.now + NOTICE_SECONDS, take)


def recommend(backend: WaitingAutoScalingBackend, instance_id: str) -> None:
    """Recommend to rebalance; nothing else happens."""
    world = backend.world
    recommendation = "EC2 Instance Rebalance Recommendation"
    world.emit(ec2_event(_identity(backend), instance_id, recommendation, world.now))


def announced(
    world: World, change: Change, state: str, then: Callable[[str], None] = lambda _: None
) -> Change:
    """EC2's end or stop of an instance, the event of it, and what its group makes of it, once."""

    def announce(instance: Instance) -> InstanceState:
        before = change(instance)
        if before.name not in ALREADY[state]:
            identity = _identity(instance.ec2_backend)
            world.emit(ec2_event(identity, instance.id, STATE_CHANGE, world.now, state=state))
            then(instance.id)
        return before

    return announce


def dated_start(world: World, start: Change) -> Change:
    """EC2's start of an instance: LaunchTime is when it was last started."""

    def start_now(instance: Instance) -> InstanceState:
        before = start(instance)
        if before.name != "running":
            instance.launch_time = datetime.fromtimestamp(world.now, UTC)
        return before

    return start_now


def _identity(backend: AutoScalingBackend | EC2Backend) -> GroupIdentity:
    """Account and region of an event; EC2 knows no group."""
    return GroupIdentity("", "", backend.region_name, backend.account_id)
