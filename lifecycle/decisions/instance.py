"""What EC2 knows of an instance."""

import math
from dataclasses import dataclass

from lifecycle.decisions.marks import Mark, MarkKind, read_moment, was_proven

# As EC2 spells them: docs.aws.amazon.com/AWSEC2/latest/APIReference, InstanceState.
_ENDING = {"shutting-down", "terminated"}
_STOPPED = {"stopping", "stopped"}
_SERVED = {MarkKind.LAUNCHING, MarkKind.TERMINATING, MarkKind.RECLAIMED}
_BEGUN = {MarkKind.LAUNCHING, MarkKind.TERMINATING}
_HELD_NOTHING = {MarkKind.PROVEN, MarkKind.POOLED}


@dataclass(frozen=True, slots=True)
class Address:
    """Where forwarders reach an instance: its private IPv4 address, or IPv6 if it has none."""

    private_ip_address: str
    availability_zone: str

    @property
    def is_ipv6(self) -> bool:
        """Tell whether the address is an IPv6 address."""
        return ":" in self.private_ip_address


@dataclass(frozen=True, slots=True)
class Instance:
    """What EC2 knows of an instance.

    ``state`` is as EC2 spells it; ``launched_at`` (epoch seconds) is when it was last started;
    ``group`` is the Auto Scaling group that its tag names; ``is_counted``: its end has been counted
    as unclean; ``failing_heartbeats``, ``looked`` and ``not_ready`` are the values of the tags that
    tell of failed heartbeats, of the last good look at its Fluentd, and of the last time at which
    it was known not to be ready; ``queue_cleared`` of the one that tells when a queue of it may
    have been cleared, ``not_provable`` of the one that tells since when it could not be proven
    empty; ``owner`` is the module that its tag names.
    """

    id: str
    state: str
    launched_at: float
    address: Address | None
    mark: Mark | None
    group: str | None = None
    is_counted: bool = False
    failing_heartbeats: str | None = None
    looked: str | None = None
    not_ready: str | None = None
    queue_cleared: str | None = None
    not_provable: str | None = None
    owner: str | None = None

    @property
    def is_looked_at(self) -> bool:
        """Tell whether the standing check has looked at its Fluentd since it was started."""
        return _read(self.looked) >= int(self.launched_at)

    @property
    def not_provable_since(self) -> float | None:
        """Return since when each standing check has found a flaw, None if the last found none."""
        return _read(self.not_provable) if self.not_provable else None

    def unknown_since(self, started_at: float) -> float:
        """Return since when its readiness has not been known, in a launch that started then."""
        return max(started_at, _read(self.not_ready))

    @property
    def is_running(self) -> bool:
        """Tell whether it runs, and may still receive logs."""
        return self.state == "running"

    @property
    def is_stopped(self) -> bool:
        """Tell whether it is stopped, or about to be; a hibernated one shows as stopped, too."""
        return self.state in _STOPPED

    @property
    def is_down(self) -> bool:
        """Tell whether it runs no more, or is about to stop: nothing there accepts logs."""
        return self.is_ending or self.is_stopped

    @property
    def is_ending(self) -> bool:
        """Tell whether it is terminated, or about to be."""
        return self.state in _ENDING

    @property
    def is_accounted_for(self) -> bool:
        """Tell whether nothing is to be reported of its end: proven empty, or counted before."""
        return self.is_counted or was_proven(self.mark)

    @property
    def is_reclaimed(self) -> bool:
        """Tell whether AWS reclaims it, by its state tag."""
        return self.mark is not None and self.mark.kind is MarkKind.RECLAIMED

    @property
    def stopped_since_its_proof(self) -> bool:
        """Tell whether it is stopped, and has not run since it was known to hold nothing.

        A start moves ``launched_at``.
        """
        return (
            self.is_stopped
            and self.mark is not None
            and self.mark.kind in _HELD_NOTHING
            and self.launched_at <= self.mark.at
        )

    def has_launched_since(self, moment: float) -> bool:
        """Tell whether its launch began after that moment (epoch seconds)."""
        return (
            self.mark is not None and self.mark.kind is MarkKind.LAUNCHING and self.mark.at > moment
        )

    def has_begun_since(self, moment: float) -> bool:
        """Tell whether its launch or its termination began after that moment (epoch seconds)."""
        return self.mark is not None and self.mark.at > moment and self.mark.kind in _BEGUN

    @property
    def may_hold_what_was_cleared(self) -> bool:
        """Tell whether a queue of it may have been cleared, with a chunk still being written.

        Not if it was started after that: Fluentd has counted its chunks anew.
        """
        if self.queue_cleared is None:
            return False
        cleared_at = _read(self.queue_cleared)
        return cleared_at == -math.inf or cleared_at >= int(self.launched_at)

    def served_unproven_before(self, moment: float) -> bool:
        """Tell whether it was in service before that moment (epoch seconds), without a proof since.

        Of an instance that launches at that moment: what its root volume held may be lost.
        """
        return self.mark is not None and self.mark.at < int(moment) and self.mark.kind in _SERVED


def _read(moment: str | None) -> float:
    """Read a moment (epoch seconds); what is none is long ago."""
    try:
        return read_moment(moment or "")
    except ValueError:
        return -math.inf
