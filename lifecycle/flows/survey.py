"""Reads what the reconciler compares: the group, service discovery, EC2 and the tags."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from lifecycle.adapters.autoscaling import AutoScaling, Membership
from lifecycle.adapters.cloud_map import CloudMap
from lifecycle.adapters.instances import Instances
from lifecycle.decisions.ownership import Module, Ownership, ownership_of
from lifecycle.decisions.reconcile import HookLimits, Sighting, Snapshot
from lifecycle.decisions.states import is_held
from lifecycle.flows.ownership import whereabouts
from lifecycle.messages import Transition, is_instance_id
from lifecycle.settings import ReconcilerSettings
from lifecycle.telemetry import Runtime


@dataclass(frozen=True, slots=True)
class Survey:
    """Whom to ask; ``cloud_map`` is None for a fleet without service discovery."""

    settings: ReconcilerSettings
    module: Module
    autoscaling: AutoScaling
    instances: Instances
    cloud_map: CloudMap | None
    runtime: Runtime

    def snapshot(self) -> Snapshot:
        """Read the group, its warm pool, service discovery and EC2; raises what AWS raises."""
        # In this order: who is registered here and missing there has left meanwhile, or is gone.
        registered = self.cloud_map.registered_instances() if self.cloud_map else set[str]()
        name = self.settings.autoscaling_group_name
        group = self.autoscaling.group(name)
        states = group.states | self.autoscaling.warm_pool_states(name)
        others = {one for one in registered if is_instance_id(one)}
        sightings = [
            Sighting(one, state=state, is_registered=one in registered)
            for one, state in states.items()
        ]
        owned = self.instances.owned()  # after the group: one that launched since is located
        strangers = {*others, *owned} - set(states)
        located = self.located(Sighting(one, is_registered=one in registered) for one in strangers)
        return Snapshot(
            now=self.runtime.clock(),
            hooks=HookLimits(
                self.settings.launch_heartbeat_timeout_seconds,
                self.settings.terminate_heartbeat_timeout_seconds,
            ),
            sightings={one.id: one for one in [*self._described(sightings), *located]},
            weights=group.weights,
            desired_capacity=group.desired_capacity,
            retains_on_abandon=group.retains_on_abandon,
        )

    def located(self, sightings: Iterable[Sighting]) -> list[Sighting]:
        """Look them up in whatever group they are, and in EC2."""
        known = sorted(sightings, key=lambda one: one.id)
        memberships = self.autoscaling.memberships([one.id for one in known])
        located = []
        for one in self._described(known):
            member = memberships.get(one.id)
            state = member.state_in(self.module.group) if member else None
            ownership = ownership_of(self.module, whereabouts(member, one.instance))
            located.append(
                replace(
                    one,
                    state=state,
                    is_elsewhere=member is not None and state is None,
                    waits_in=_waits_in(member, ownership),
                    ownership=ownership,
                )
            )
        return located

    def _described(self, sightings: Iterable[Sighting]) -> list[Sighting]:
        known = list(sightings)
        described = self.instances.describe([one.id for one in known])
        return [replace(one, instance=described.get(one.id)) for one in known]


def _waits_in(member: Membership | None, ownership: Ownership) -> str | None:
    """Return the group before whose hook holds an instance of ours, None for any other."""
    if member is None or ownership is not Ownership.LEFT:
        return None
    is_waiting = is_held(member.state, Transition.TERMINATING)
    return member.autoscaling_group_name if is_waiting else None
