"""Judges whose instance an event is about, and how one that had no lifecycle hook ended."""

from dataclasses import replace
from enum import StrEnum

from lifecycle.decisions.instance import Instance
from lifecycle.decisions.marks import Mark, MarkKind, was_proven
from lifecycle.decisions.ownership import Module, Ownership, Whereabouts, ownership_of
from lifecycle.decisions.states import may_serve
from lifecycle.errors import Malformed, MembershipUnknown
from lifecycle.events import Interruption, Location, Signal

# Within 45 s: EC2 warns two minutes before it takes an instance, and the operator needs the rest.
_ATTEMPTS = 3
# By then the reconciler has deregistered what is down, and Auto Scaling has told of each end.
_OF_USE_FOR_SECONDS = 1200.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 15, 120

# A proof may be a little older than the termination it belongs to: should its activity begin when
# the hook ends, or clocks differ. One of an earlier life in a warm pool is far older.
_OLDEST_PROOF_SECONDS = 300.0


class Fate(StrEnum):
    """What becomes of a message of the queue that could not be handled."""

    PUT_BACK = "put_back"
    DROPPED = "dropped"
    DEAD_LETTERED = "dead_lettered"


def ownership_in(event: Interruption, found: Whereabouts, module: Module) -> Ownership:
    """Return whose the instance of an event is; the event may name the group that it left."""
    group = event.autoscaling_group_name or found.group
    return ownership_of(module, replace(found, group=group))


def why_not_ours(event: Interruption, found: Whereabouts, module: Module) -> str | None:
    """Return why an event calls for nothing: of another group, or of no end; None if it does.

    Of one that another group holds in service only the end counts: no event of our group follows.
    """
    ownership = ownership_in(event, found, module)
    if ownership is Ownership.FOREIGN:
        named = event.autoscaling_group_name or found.group
        return "another Auto Scaling group" if named else "in no Auto Scaling group"
    ends = event.signal is Signal.SHUTTING_DOWN
    if ownership is Ownership.SERVES_ELSEWHERE and not ends:
        return "another Auto Scaling group has it in service"
    if event.destination == Location.WARM_POOL:
        return "it went into the warm pool"
    if event.destination == Location.AUTO_SCALING_GROUP:
        return "it stays in its group"
    if not event.signal.is_from_ec2 and may_serve(found.state):
        # The termination failed, or is of an earlier life in a warm pool.
        return f"it is {found.state}"
    return None


def fate_of(error: Exception, receive_count: int, age_seconds: float) -> Fate:
    """Return what becomes of a message: only one of an instance that may be foreign is dropped.

    That happens once its event is of no use any more.
    """
    if isinstance(error, MembershipUnknown):
        return Fate.PUT_BACK if age_seconds < _OF_USE_FOR_SECONDS else Fate.DROPPED
    may_help = receive_count < _ATTEMPTS and not isinstance(error, Malformed)
    return Fate.PUT_BACK if may_help else Fate.DEAD_LETTERED


def pause_seconds(receive_count: int) -> int:
    """Return after how long a message that was put back is received again."""
    return min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS << (receive_count - 1))


class Ending(StrEnum):
    """How an instance ended."""

    # Nothing was lost, or it was counted before.
    PROVEN = "proven"
    ALREADY_COUNTED = "already_counted"
    NEVER_IN_SERVICE = "never_in_service"
    NEVER_REGISTERED = "never_registered"
    # Logs may have been lost.
    NOT_PROVEN = "not_proven"
    UNKNOWN_TO_EC2 = "unknown_to_ec2"

    @property
    def is_unclean(self) -> bool:
        """Tell whether logs may have been lost with it, and no alarm has said so yet."""
        return self in {Ending.NOT_PROVEN, Ending.UNKNOWN_TO_EC2}


def how_it_ended(
    termination: Interruption, instance: Instance | None, *, may_have_served: bool
) -> Ending:
    """Judge an instance that is gone; what is not known is unclean.

    ``instance`` is what EC2 still shows: for about an hour after an end it does, tags and all.
    ``may_have_served``: forwarders may have known it; so it is in a fleet without service
    discovery, where every instance in service has logs.
    """
    if instance is None:
        return Ending.UNKNOWN_TO_EC2
    if instance.is_counted:
        return Ending.ALREADY_COUNTED
    from_pool = termination.origin == Location.WARM_POOL
    mark = instance.mark
    if from_pool and (mark is None or mark.kind is MarkKind.POOLED):
        return Ending.NEVER_IN_SERVICE
    if mark is not None:
        return Ending.PROVEN if _is_proof_of(mark, termination) else Ending.NOT_PROVEN
    # An abandoned launch has no mark: that is written when the registration is asked for.
    return Ending.NOT_PROVEN if may_have_served else Ending.NEVER_REGISTERED


def _is_proof_of(mark: Mark, termination: Interruption) -> bool:
    """Tell whether it is a proof, and of this termination: no earlier life in a warm pool."""
    if mark.kind is MarkKind.REPLACED:
        return False  # after its root volume was replaced it served again
    if mark.kind is MarkKind.RETAINED or termination.origin == Location.WARM_POOL:
        return was_proven(mark)  # since then it has received nothing
    started_at = termination.started_at
    return started_at is not None and was_proven(mark, since=started_at - _OLDEST_PROOF_SECONDS)
