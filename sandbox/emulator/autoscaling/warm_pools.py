"""The warm pool of a group: instances that are launched ahead of need, stopped until then.

Its instances pass through the same hooks as others, with other lifecycle states and other origins
and destinations in their events: EC2 to WarmPool when they are launched into it, WarmPool to
AutoScalingGroup when they are needed, AutoScalingGroup to WarmPool when scale-in puts them back
(with a reuse policy), WarmPool to EC2 when they are not needed any more.
"""

from typing import Protocol

from moto.autoscaling.models import FakeWarmPool, InstanceState
from moto.ec2.models import EC2Backend

from sandbox.emulator.autoscaling.events import DISCARD, WARM_UP, Journey, Place

SETTLED_STATES = ("Warmed:Stopped", "Warmed:Running", "Warmed:Hibernated")
COUNTED_STATES = frozenset(
    {*SETTLED_STATES, "Warmed:Pending", "Warmed:Pending:Wait", "Warmed:Pending:Proceed"}
)


class PooledGroup(Protocol):
    """What a pool needs of its group."""

    instance_states: list[InstanceState]
    ec2_backend: EC2Backend
    desired_capacity: int | None
    max_size: int | None

    def launch(self, count: int) -> list[InstanceState]: ...

    def started(self, state: InstanceState) -> None: ...

    def set_out(self, state: InstanceState, journey: Journey) -> None: ...

    def move(self, state: InstanceState, lifecycle_state: str) -> None: ...


class WarmPool:
    """The pool's instances; empty, and without effect, until the group is given a configuration."""

    def __init__(self, group: PooledGroup) -> None:
        self._group = group
        self.instances: list[InstanceState] = []

    @property
    def takes_back(self) -> bool:
        """Whether scale-in puts instances here instead of terminating them."""
        policy = (self._settings and self._settings.instance_reuse_policy) or {}
        return str(policy.get("ReuseOnScaleIn")).lower() == "true"

    def ready(self) -> list[InstanceState]:
        """The instances that the group can take, the oldest first."""
        return [state for state in self.instances if state.lifecycle_state in SETTLED_STATES]

    def follow(self, state: InstanceState, journey: Journey) -> None:
        """Keep an instance where its journey leads: here, or in the group."""
        if journey.destination is Place.WARM_POOL and state in self._group.instance_states:
            self._group.instance_states.remove(state)
            self.instances.append(state)
        elif journey.destination is Place.GROUP and state in self.instances:
            self.instances.remove(state)
            self._group.instance_states.append(state)
            self._group.ec2_backend.start_instances([state.instance_id])
            self._group.started(state)

    def settle(self, state: InstanceState) -> None:
        wanted = f"Warmed:{self._settings.pool_state}" if self._settings else ""
        self._group.move(state, wanted if wanted in SETTLED_STATES else SETTLED_STATES[0])
        if state.lifecycle_state != "Warmed:Running":
            self._group.ec2_backend.stop_instances([state.instance_id])
        self.keep_size()

    def keep_size(self) -> None:
        """Launch into the pool, or discard from it, until it has its size."""
        if self._settings is None and not self.instances:
            return
        counted = [state for state in self.instances if state.lifecycle_state in COUNTED_STATES]
        missing = self._size - len(counted)
        if missing > 0:
            for state in self._group.launch(missing):
                self._group.set_out(state, WARM_UP)
        for state in self.ready()[: max(0, -missing)]:
            self._group.set_out(state, DISCARD)

    @property
    def _settings(self) -> FakeWarmPool | None:
        # moto sets it at the end of the group's own __init__.
        return getattr(self._group, "warm_pool", None)

    @property
    def _size(self) -> int:
        settings = self._settings
        if settings is None:
            return 0
        prepared = settings.max_group_prepared_capacity
        largest = self._group.max_size if prepared in {None, -1} else prepared
        return max(settings.min_size, int(largest or 0) - (self._group.desired_capacity or 0))
