"""What EC2 knows of an instance."""

from dataclasses import dataclass

from lifecycle.decisions.marks import Mark, MarkKind

_ENDING = {"shutting-down", "terminated"}
_STOPPED = {"stopping", "stopped"}
_HELD_NOTHING = {MarkKind.PROVEN, MarkKind.POOLED}


@dataclass(frozen=True, slots=True)
class Address:
    """Where forwarders reach an instance."""

    private_ip_address: str
    availability_zone: str


@dataclass(frozen=True, slots=True)
class Instance:
    """What EC2 knows of an instance.

    ``state`` is as AWS spells it (docs.aws.amazon.com/AWSEC2/latest/APIReference, InstanceState);
    ``launched_at`` (epoch seconds) is when it was last started; ``is_counted``: its end has been
    counted as unclean.
    """

    id: str
    state: str
    launched_at: float
    address: Address | None
    mark: Mark | None
    is_counted: bool = False

    @property
    def is_ending(self) -> bool:
        """Tell whether it is gone for good, or about to be."""
        return self.state in _ENDING

    @property
    def rests_since_its_proof(self) -> bool:
        """Tell whether it is stopped, and has not run since it was known to hold nothing.

        A hibernated one shows as stopped, too. A start moves ``launched_at``.
        """
        return (
            self.state in _STOPPED
            and self.mark is not None
            and self.mark.kind in _HELD_NOTHING
            and self.launched_at <= self.mark.at
        )

    def is_proven_since(self, moment: float) -> bool:
        """Tell whether it was proven to hold nothing at that moment (epoch seconds) or later."""
        return (
            self.mark is not None
            and self.mark.is_proof
            and self.mark.at >= int(moment)  # a mark keeps whole seconds
        )
