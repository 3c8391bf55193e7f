"""What the product last did with an instance, written on the instance itself as an EC2 tag.

SQS messages cannot be queried, so each instance carries its state in an EC2 tag, visible to later
functions and in the console: which pipeline took it over and when, and that it was proven empty.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

TAG_KEY = "fluentd-lifecycle"
# Written with each mark: the ``name`` of the module that instances are to be told apart by.
OWNER_TAG_KEY = "fluentd-lifecycle-owner"
# Beside the mark, which later steps write over: an end is counted as unclean once an instance.
COUNTED_TAG_KEY = "fluentd-lifecycle-unclean"
# When a flush of it was found to be possible, without being asked for.
LOOKED_TAG_KEY = "fluentd-lifecycle-looked"
# Since when each standing check has found that it could not be proven empty; empty: the last could.
NOT_PROVABLE_TAG_KEY = "fluentd-lifecycle-not-provable"
# When a launching instance was last known not to be ready.
NOT_READY_TAG_KEY = "fluentd-lifecycle-not-ready"
# When a queue was seen that may have been cleared: its samples are out of the window later.
QUEUE_CLEARED_TAG_KEY = "fluentd-lifecycle-queue-cleared"
_FORM = "%Y-%m-%dT%H:%M:%SZ"


class MarkKind(StrEnum):
    """What was done last."""

    LAUNCHING = "launching"  # its registration was asked for, or found: it serves, or is about to
    TERMINATING = "terminating"  # the pipeline of its termination was started
    POOLED = "pooled"  # let into the warm pool at its launch: it never served
    PROVEN = "proven"  # proven empty, and released: to its end, or into the warm pool
    REPLACED = "replaced"  # proven empty, and released: its root volume is replaced
    RETAINED = "retained"  # proven empty, kept by its group: the operator terminates it
    RECLAIMED = "reclaimed"  # reclaimed by AWS, or killed: must not be registered again


_PROOFS = {MarkKind.PROVEN, MarkKind.REPLACED, MarkKind.RETAINED}


@dataclass(frozen=True, slots=True)
class Mark:
    """What was done, and when (epoch seconds; a tag keeps whole ones)."""

    kind: MarkKind
    at: float

    def __str__(self) -> str:
        """Return the tag's value."""
        return f"{self.kind} {written(self.at)}"


def was_proven(mark: Mark | None, since: float = 0) -> bool:
    """Tell whether an instance was proven to hold nothing then (epoch seconds) or later."""
    return mark is not None and mark.kind in _PROOFS and mark.at >= since


def written(moment: float) -> str:
    """Return a moment (epoch seconds) as tags have it."""
    return datetime.fromtimestamp(moment, UTC).strftime(_FORM)


def read_moment(text: str) -> float:
    """Return epoch seconds of what ``written`` wrote; raises ValueError for another form."""
    return datetime.strptime(text, _FORM).replace(tzinfo=UTC).timestamp()


def read_mark(value: str | None) -> Mark | None:
    """Read a tag's value; None for no tag, or for one of another form: it says nothing."""
    kind, _, moment = (value or "").partition(" ")
    try:
        return Mark(MarkKind(kind), read_moment(moment))
    except ValueError:
        return None
