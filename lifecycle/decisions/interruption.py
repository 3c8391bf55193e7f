"""Judges whether an instance that ended without a lifecycle hook may have taken logs with it."""

from enum import StrEnum

from lifecycle.decisions.instance import Instance
from lifecycle.decisions.marks import Mark, MarkKind
from lifecycle.events import Interruption, Location

# A proof may be a little older than the termination it belongs to: should its activity begin when
# the hook ends, or clocks differ. One of an earlier life in a warm pool is far older.
_OLDEST_PROOF_SECONDS = 300.0


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
    if not mark.is_proof or mark.kind is MarkKind.REPLACED:
        return False  # after its root volume was replaced it served again
    if mark.kind is MarkKind.RETAINED or termination.origin == Location.WARM_POOL:
        return True  # what has been in the warm pool, or retained, since has received nothing
    started_at = termination.started_at
    return started_at is not None and mark.at >= started_at - _OLDEST_PROOF_SECONDS
