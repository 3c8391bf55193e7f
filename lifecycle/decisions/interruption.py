"""Judges whether an instance that ended without a lifecycle hook may have taken logs with it."""

from dataclasses import dataclass
from enum import StrEnum

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


@dataclass(frozen=True, slots=True)
class Traces:
    """What an instance has left behind.

    ``is_known`` is whether EC2 still shows it: for about an hour after its end it does, tags and
    all. ``is_counted``: its end was counted as unclean before. ``may_be_registered``: forwarders
    may have known it; None for a fleet that is in no service discovery, where every instance in
    service has logs.
    """

    is_known: bool
    mark: Mark | None
    is_counted: bool
    may_be_registered: bool | None


def how_it_ended(termination: Interruption, traces: Traces) -> Ending:
    """Judge an instance that is gone, by what is left of it; what is not known is unclean."""
    if not traces.is_known:
        return Ending.UNKNOWN_TO_EC2
    if traces.is_counted:
        return Ending.ALREADY_COUNTED
    from_pool = termination.origin == Location.WARM_POOL
    mark = traces.mark
    if from_pool and mark is not None and mark.kind is MarkKind.POOLED:
        return Ending.NEVER_IN_SERVICE
    if mark is not None:
        # After its root volume was replaced it served again.
        is_proven = (mark.is_proof and mark.kind is not MarkKind.REPLACED) and (
            # What has been in the warm pool, or retained, since its proof has received nothing.
            from_pool or mark.kind is MarkKind.RETAINED or _belongs_to(mark.at, termination)
        )
        return Ending.PROVEN if is_proven else Ending.NOT_PROVEN
    if from_pool:
        return Ending.NEVER_IN_SERVICE
    if traces.may_be_registered is False:
        # An abandoned launch. The mark is written when the registration is asked for.
        return Ending.NEVER_REGISTERED
    return Ending.NOT_PROVEN


def _belongs_to(proven_at: float, termination: Interruption) -> bool:
    """Tell whether a proof is of this termination, not of an earlier life in a warm pool."""
    started_at = termination.started_at
    return started_at is not None and proven_at >= started_at - _OLDEST_PROOF_SECONDS
