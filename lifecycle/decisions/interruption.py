"""Ends that no lifecycle hook can hold up: what AWS tells of them, and whether one lost logs.

Pure: it knows no AWS call. Forms of the events:
docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html,
.../rebalance-recommendations.html, .../monitoring-instance-state-changes.html and
docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-event-reference.html.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from lifecycle.decisions.marks import Mark, MarkKind
from lifecycle.errors import Malformed
from lifecycle.events import InstanceId, Location, describe_problems

# A proof may be a little older than the termination it belongs to: should its activity begin when
# the hook lets go, or clocks differ. One of an earlier life in a warm pool is far older.
_OLDEST_PROOF_SECONDS = 300.0


class Signal(StrEnum):
    """What AWS tells of an instance."""

    SPOT_INTERRUPTION_WARNING = "spot_interruption_warning"
    REBALANCE_RECOMMENDATION = "rebalance_recommendation"
    SHUTTING_DOWN = "shutting_down"
    TERMINATION_SUCCESSFUL = "termination_successful"
    TERMINATION_UNSUCCESSFUL = "termination_unsuccessful"

    @property
    def is_notice(self) -> bool:
        """Tell whether the instance still runs, but is not to be counted on any more."""
        return self in {Signal.SPOT_INTERRUPTION_WARNING, Signal.REBALANCE_RECOMMENDATION}

    @property
    def is_from_ec2(self) -> bool:
        """Tell whether EC2 says so, which knows no group, about any instance of the account."""
        return self.is_notice or self is Signal.SHUTTING_DOWN


_SIGNALS = {
    "EC2 Spot Instance Interruption Warning": Signal.SPOT_INTERRUPTION_WARNING,
    "EC2 Instance Rebalance Recommendation": Signal.REBALANCE_RECOMMENDATION,
    "EC2 Instance State-change Notification": Signal.SHUTTING_DOWN,
    "EC2 Instance Terminate Successful": Signal.TERMINATION_SUCCESSFUL,
    "EC2 Instance Terminate Unsuccessful": Signal.TERMINATION_UNSUCCESSFUL,
}


@dataclass(frozen=True, slots=True)
class Interruption:
    """One event, reduced to what the handler needs.

    EC2's own events name no group. ``origin`` and ``destination`` are as AWS spells them, and
    ``started_at`` (epoch seconds) is when the termination began; None where the event has none.
    """

    signal: Signal
    instance_id: str
    autoscaling_group_name: str | None = None
    origin: str | None = None
    destination: str | None = None
    started_at: float | None = None

    def log_fields(self) -> dict[str, object]:
        """Return what every log line about this event carries."""
        return {"instance_id": self.instance_id, "signal": self.signal}


class _Tolerant(BaseModel):
    # AWS may add fields, so unknown ones are ignored.
    model_config = ConfigDict(frozen=True)


class _Ec2Detail(_Tolerant):
    instance_id: Annotated[InstanceId, Field(alias="instance-id")]


class _Notice(_Tolerant):
    source: Literal["aws.ec2"]
    detail_type: Annotated[
        Literal["EC2 Spot Instance Interruption Warning", "EC2 Instance Rebalance Recommendation"],
        Field(alias="detail-type"),
    ]
    detail: _Ec2Detail

    def read(self) -> Interruption:
        return Interruption(_SIGNALS[self.detail_type], self.detail.instance_id)


class _ShuttingDownDetail(_Ec2Detail):
    # The rule lets no other state through; one that runs again must never be taken for dead.
    state: Literal["shutting-down"]


class _StateChange(_Tolerant):
    source: Literal["aws.ec2"]
    detail_type: Annotated[
        Literal["EC2 Instance State-change Notification"], Field(alias="detail-type")
    ]
    detail: _ShuttingDownDetail

    def read(self) -> Interruption:
        return Interruption(_SIGNALS[self.detail_type], self.detail.instance_id)


class _TerminationDetail(_Tolerant):
    AutoScalingGroupName: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    EC2InstanceId: InstanceId
    Origin: str | None = None
    Destination: str | None = None
    StartTime: AwareDatetime | None = None


class _TerminationEvent(_Tolerant):
    source: Literal["aws.autoscaling"]
    detail_type: Annotated[
        Literal["EC2 Instance Terminate Successful", "EC2 Instance Terminate Unsuccessful"],
        Field(alias="detail-type"),
    ]
    detail: _TerminationDetail

    def read(self) -> Interruption:
        detail = self.detail
        return Interruption(
            signal=_SIGNALS[self.detail_type],
            instance_id=detail.EC2InstanceId,
            autoscaling_group_name=detail.AutoScalingGroupName,
            origin=detail.Origin,
            destination=detail.Destination,
            started_at=_epoch_seconds(detail.StartTime),
        )


_Ec2Event = Annotated[_Notice | _StateChange, Field(discriminator="detail_type")]
_EVENT: TypeAdapter[_Notice | _StateChange | _TerminationEvent] = TypeAdapter(
    Annotated[_Ec2Event | _TerminationEvent, Field(discriminator="source")]
)


def _epoch_seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def parse_interruption(event: object) -> Interruption:
    """Read an event of one of the five kinds.

    Raises Malformed, naming each wrong field and its value.
    """
    try:
        return _EVENT.validate_python(event).read()
    except ValidationError as error:
        raise Malformed(f"interruption event: {describe_problems(error)}") from error


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
        """Tell whether logs may have been lost with it, and nobody has said so yet."""
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
        is_proven = mark.is_proof and (
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
