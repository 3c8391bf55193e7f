"""What the group, Cloud Map and EC2 show, and what of it has to be corrected. Pure: no call here.

Lifecycle events are best effort, and hooks miss instances that are older than them, so what the
events brought about is compared with what is. A function that moves an instance leaves it, for a
moment, in a state that seems wrong: only what two snapshots call for is corrected.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from lifecycle.decisions.instance import Instance
from lifecycle.decisions.marks import Mark, MarkKind
from lifecycle.decisions.ownership import Ownership
from lifecycle.decisions.states import (
    is_held,
    is_in_service,
    is_known,
    is_out_of_service,
    is_retained,
    is_root_volume_held,
)
from lifecycle.messages import Transition

# The limits of a wait that heartbeats prolong
# (docs.aws.amazon.com/autoscaling/ec2/userguide/lifecycle-hooks.html).
LONGEST_WAIT_SECONDS = 48 * 3600
LONGEST_WAIT_IN_HEARTBEATS = 100

# An instance is marked as proven right before its wait is completed. After this long it was not:
# the proof may have been of an earlier wait, while this one's event was lost.
_PROVEN_FOR_SECONDS = 15 * 60
_PROVEN_FOR_PART_OF_HOOK = 1 / 4  # what is left must be enough for another proof


class CorrectionKind(StrEnum):
    """What is to be done."""

    REGISTER = "register"
    DEREGISTER = "deregister"
    RESTART = "restart"  # the pipeline of a wait, or of one that ended unseen


@dataclass(frozen=True, slots=True)
class Correction:
    """What is to be done with one instance, and why."""

    kind: CorrectionKind
    instance_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """One instance in one snapshot.

    ``state`` is its lifecycle state in our group, None outside of it; ``is_elsewhere`` means in
    another group; ``waits_in`` is one whose hook holds it there, though it is ours: a group that
    the module had before. ``instance`` is None for one that EC2 does not know (any more): then
    nothing but its registration tells whose it was.
    """

    id: str
    state: str | None = None
    is_elsewhere: bool = False
    waits_in: str | None = None
    is_registered: bool = False
    instance: Instance | None = None
    ownership: Ownership = Ownership.MEMBER

    @property
    def mark(self) -> Mark | None:
        """What the product did with it last."""
        return self.instance.mark if self.instance else None


@dataclass(frozen=True, slots=True)
class HookLimits:
    """Heartbeat timeouts of our hooks, in seconds; without Cloud Map there is no launch hook."""

    launch: float | None
    terminate: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The fleet at one moment, ``now`` (epoch seconds).

    ``desired_capacity`` and the members' ``weights`` are in the group's units of capacity.
    """

    now: float
    hooks: HookLimits
    sightings: Mapping[str, Sighting]
    weights: Mapping[str, int]
    desired_capacity: int
    retains_on_abandon: bool

    @property
    def in_cloud_map(self) -> bool:
        """Tell whether the fleet is in Cloud Map: then, and only then, launches wait."""
        return self.hooks.launch is not None

    @property
    def registered(self) -> list[str]:
        """The ids of all that are registered."""
        return [one.id for one in self.sightings.values() if one.is_registered]

    @property
    def in_service(self) -> list[str]:
        """The ids of all that the group has in service."""
        return [one.id for one in self.sightings.values() if is_in_service(one.state)]

    @property
    def missing_capacity(self) -> int:
        """How much of the desired capacity is not in service, whatever the cause.

        Auto Scaling replaces what is in standby, unless the desired capacity was lowered with it;
        what is in a warm pool, launching or terminating does not serve.
        """
        serving = sum(self.weights.get(one, 1) for one in self.in_service)
        return max(0, self.desired_capacity - serving)

    @property
    def unmarked(self) -> list[str]:
        """The ids of those in service that are registered and have no mark of ours."""
        return [
            one.id
            for one in self.sightings.values()
            if is_in_service(one.state)
            and one.is_registered
            and one.instance is not None
            and one.mark is None
        ]

    def unowned_by(self, module_name: str) -> list[str]:
        """The ids of those in service whose tag does not name this module yet: adopted ones."""
        return [
            one.id
            for one in self.sightings.values()
            if is_in_service(one.state)
            and one.instance is not None
            and one.instance.owner != module_name
        ]

    @property
    def left(self) -> list[Sighting]:
        """All that are ours by their tag, outside of the group, until their end is accounted for.

        The event of an end can be lost: EC2 shows the instance and its tags for about an hour.
        """
        return [
            one
            for one in self.sightings.values()
            if one.ownership.is_out_of_group
            and one.instance
            and not (one.instance.is_ending and one.instance.is_accounted_for)
        ]

    @property
    def in_unknown_states(self) -> list[Sighting]:
        """All members of the group in a lifecycle state that this version does not know."""
        return [one for one in self.sightings.values() if not is_known(one.state)]

    @property
    def waiting(self) -> list[Sighting]:
        """All that a hook of the transitions that are ours holds; it need not be our hook."""
        return [one for one in self.sightings.values() if self.is_waiting(one)]

    @property
    def oldest_wait_seconds(self) -> float:
        """The age of the oldest mark among those with a pipeline under way; 0 without any."""
        marks = [one.mark for one in self.waiting if self.is_under_way(one)]
        return max((max(0.0, self.now - mark.at) for mark in marks if mark), default=0.0)

    def is_waiting(self, sighting: Sighting) -> bool:
        """Tell whether a hook of a transition that is ours holds the instance."""
        if is_held(sighting.state, Transition.LAUNCHING):
            return self.in_cloud_map
        return sighting.waits_in is not None or is_held(sighting.state, Transition.TERMINATING)

    def is_under_way(self, sighting: Sighting) -> bool:
        """Tell whether the mark says that a pipeline took this very wait over."""
        if sighting.mark is None:
            return False
        return self.now - sighting.mark.at <= self._longest(sighting, sighting.mark.kind)

    def _longest(self, sighting: Sighting, kind: MarkKind) -> float:
        """Return how old a mark of the present wait can be; a mark of another wait never is."""
        proven_for = min(_PROVEN_FOR_SECONDS, self.hooks.terminate * _PROVEN_FOR_PART_OF_HOOK)
        ours = (
            {MarkKind.LAUNCHING: _longest_wait(self.hooks.launch or 0)}
            if is_held(sighting.state, Transition.LAUNCHING)
            else {
                MarkKind.TERMINATING: _longest_wait(self.hooks.terminate),
                MarkKind.PROVEN: proven_for,
                MarkKind.REPLACED: proven_for if is_root_volume_held(sighting.state) else -math.inf,
                # No instance comes back from there, except one that is registered again by hand.
                MarkKind.RETAINED: -math.inf if sighting.is_registered else math.inf,
            }
        )
        return ours.get(kind, -math.inf)


def corrections(snapshot: Snapshot) -> list[Correction]:
    """Return what a snapshot calls for, instance by instance."""
    found = (correction_of(sighting, snapshot) for sighting in snapshot.sightings.values())
    return [one for one in found if one is not None]


def confirmed(first: Snapshot, second: Snapshot) -> list[Correction]:
    """Return what both snapshots call for, with the reasons of the second."""
    before = {(one.kind, one.instance_id) for one in corrections(first)}
    return [one for one in corrections(second) if (one.kind, one.instance_id) in before]


def correction_of(sighting: Sighting, snapshot: Snapshot) -> Correction | None:
    """Return what is to be done with one instance, None if nothing is."""
    if _is_stranded(sighting, snapshot):
        where = sighting.state or f"held in {sighting.waits_in}"
        reason: str | None = f"{where}, and no pipeline is under way"
        kind = CorrectionKind.RESTART
    elif sighting.is_registered:
        reason, kind = _why_out(sighting), CorrectionKind.DEREGISTER
    else:
        reason = _why_in(sighting) if snapshot.in_cloud_map else None
        kind = CorrectionKind.REGISTER
    return None if reason is None else Correction(kind, sighting.id, reason)


def _is_stranded(sighting: Sighting, snapshot: Snapshot) -> bool:
    """Tell whether an instance waits for a pipeline that nothing has started."""
    return (snapshot.is_waiting(sighting) or _is_kept(sighting)) and not snapshot.is_under_way(
        sighting
    )


def can_wait(sighting: Sighting) -> bool:
    """Tell whether an instance that has to leave service discovery can wait for a successor there.

    It runs, so it accepts what forwarders send to it meanwhile.
    """
    return sighting.instance is not None and sighting.instance.is_running


def _why_in(sighting: Sighting) -> str | None:
    if not is_in_service(sighting.state) or sighting.instance is None:
        return None
    if not sighting.instance.is_running or sighting.instance.is_reclaimed:
        return None
    return "in service, and not registered"


def _why_out(sighting: Sighting) -> str | None:
    """Return why a registration has to go; None for one that may stay, or is not ours to judge."""
    instance = sighting.instance
    if instance is None:
        is_unknown = sighting.state is None and not sighting.is_elsewhere
        return "unknown to EC2 and to Auto Scaling" if is_unknown else None
    if not sighting.ownership.may_be_touched:
        return None
    if instance.is_ending:
        return f"registered, and {instance.state}"
    if is_out_of_service(sighting.state):
        return f"registered, and {sighting.state}"
    if not is_in_service(sighting.state):
        return None
    if instance.is_stopped:
        return f"registered, and {instance.state}"
    return "registered, and reclaimed by AWS" if instance.is_reclaimed else None


def _is_kept(sighting: Sighting) -> bool:
    """Tell whether the group keeps the instance though its hook expired.

    If its event was lost, it has no pipeline: it would stay, undrained and billed, or end with its
    logs, without an alarm. A waiter cannot release it any more, but dead-letters its message with
    the proof, or with a time-out, which pages.
    """
    return is_retained(sighting.state) and sighting.instance is not None


def _longest_wait(heartbeat_timeout_seconds: float) -> float:
    return min(LONGEST_WAIT_SECONDS, LONGEST_WAIT_IN_HEARTBEATS * heartbeat_timeout_seconds)
