"""EventBridge events: lifecycle actions, and ends that no lifecycle hook can hold up.

Forms: docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-event-reference.html,
docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html,
.../rebalance-recommendations.html, .../monitoring-instance-state-changes.html
"""

from dataclasses import dataclass
from datetime import UTC, datetime
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

from lifecycle.errors import Malformed, describe_problems
from lifecycle.messages import InstanceId, LifecycleAction, Name, Token, Transition

_Moment = Annotated[AwareDatetime, Field(gt=datetime(1970, 1, 1, tzinfo=UTC))]
_TRANSITIONS = {
    "autoscaling:EC2_INSTANCE_LAUNCHING": Transition.LAUNCHING,
    "autoscaling:EC2_INSTANCE_TERMINATING": Transition.TERMINATING,
}


class Location(StrEnum):
    """``Origin`` and ``Destination`` of a lifecycle event."""

    EC2 = "EC2"
    AUTO_SCALING_GROUP = "AutoScalingGroup"
    WARM_POOL = "WarmPool"


class LifecycleEvent(BaseModel):
    """A lifecycle action event of EC2 Auto Scaling, reduced to what the handler needs.

    ``origin`` and ``destination`` are as AWS spells them: there may be more than ``Location`` has.
    """

    model_config = ConfigDict(frozen=True)

    action: LifecycleAction
    origin: str | None
    destination: str | None


class _Detail(BaseModel):
    # AWS may add fields, so unknown ones are ignored here.
    LifecycleActionToken: Token
    AutoScalingGroupName: Name
    LifecycleHookName: Name
    EC2InstanceId: InstanceId
    LifecycleTransition: Literal[
        "autoscaling:EC2_INSTANCE_LAUNCHING", "autoscaling:EC2_INSTANCE_TERMINATING"
    ]
    Origin: str | None = None
    Destination: str | None = None


class _EventBridgeEvent(BaseModel):
    source: Literal["aws.autoscaling"]
    time: _Moment
    detail: _Detail


def parse_lifecycle_event(event: object) -> LifecycleEvent:
    """Read an EventBridge event of EC2 Auto Scaling.

    Raises Malformed, naming each wrong field and its value.
    """
    try:
        parsed = _EventBridgeEvent.model_validate(event)
    except ValidationError as error:
        raise Malformed(f"lifecycle event: {describe_problems(error)}") from error
    detail = parsed.detail
    return LifecycleEvent(
        action=LifecycleAction(
            autoscaling_group_name=detail.AutoScalingGroupName,
            lifecycle_hook_name=detail.LifecycleHookName,
            lifecycle_action_token=detail.LifecycleActionToken,
            instance_id=detail.EC2InstanceId,
            transition=_TRANSITIONS[detail.LifecycleTransition],
            started_at=parsed.time.timestamp(),
        ),
        origin=detail.Origin,
        destination=detail.Destination,
    )


class Signal(StrEnum):
    """What AWS tells of an instance."""

    SPOT_INTERRUPTION_WARNING = "spot_interruption_warning"
    REBALANCE_RECOMMENDATION = "rebalance_recommendation"
    SHUTTING_DOWN = "shutting_down"
    STOPPING = "stopping"
    TERMINATION_SUCCESSFUL = "termination_successful"
    TERMINATION_UNSUCCESSFUL = "termination_unsuccessful"

    @property
    def is_notice(self) -> bool:
        """Tell whether the instance still runs, but is not to be counted on any more."""
        return self in {Signal.SPOT_INTERRUPTION_WARNING, Signal.REBALANCE_RECOMMENDATION}

    @property
    def is_from_ec2(self) -> bool:
        """Tell whether EC2 says so, which knows no group, about any instance of the account."""
        return self.is_notice or self.is_state_change

    @property
    def is_state_change(self) -> bool:
        """Tell whether the instance stops to run, to end or to be started again."""
        return self in {Signal.SHUTTING_DOWN, Signal.STOPPING}


_SIGNALS = {
    "EC2 Spot Instance Interruption Warning": Signal.SPOT_INTERRUPTION_WARNING,
    "EC2 Instance Rebalance Recommendation": Signal.REBALANCE_RECOMMENDATION,
    "shutting-down": Signal.SHUTTING_DOWN,
    "stopping": Signal.STOPPING,
    "EC2 Instance Terminate Successful": Signal.TERMINATION_SUCCESSFUL,
    "EC2 Instance Terminate Unsuccessful": Signal.TERMINATION_UNSUCCESSFUL,
}


@dataclass(frozen=True, slots=True)
class Interruption:
    """One event, reduced to what the handler needs.

    EC2's own events name no group. ``origin`` and ``destination`` are as AWS spells them, and
    ``started_at`` (epoch seconds) is when the termination began; None where the event has none.
    EC2's event that an instance shuts down is sent when that begins.
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


# AWS may add fields, so unknown ones are ignored in what follows.
class _Ec2Detail(BaseModel):
    instance_id: Annotated[InstanceId, Field(alias="instance-id")]


class _Notice(BaseModel):
    source: Literal["aws.ec2"]
    detail_type: Annotated[
        Literal["EC2 Spot Instance Interruption Warning", "EC2 Instance Rebalance Recommendation"],
        Field(alias="detail-type"),
    ]
    detail: _Ec2Detail

    def read(self) -> Interruption:
        return Interruption(_SIGNALS[self.detail_type], self.detail.instance_id)


class _StateDetail(_Ec2Detail):
    # The rule lets no other state through; one that runs again must never be taken for dead.
    state: Literal["shutting-down", "stopping"]


class _StateChange(BaseModel):
    source: Literal["aws.ec2"]
    detail_type: Annotated[
        Literal["EC2 Instance State-change Notification"], Field(alias="detail-type")
    ]
    detail: _StateDetail
    time: AwareDatetime | None = None

    def read(self) -> Interruption:
        return Interruption(
            _SIGNALS[self.detail.state],
            self.detail.instance_id,
            started_at=self.time.timestamp() if self.time else None,
        )


class _TerminationDetail(BaseModel):
    AutoScalingGroupName: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    EC2InstanceId: InstanceId
    Origin: str | None = None
    Destination: str | None = None
    StartTime: AwareDatetime | None = None


class _TerminationEvent(BaseModel):
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
            started_at=detail.StartTime.timestamp() if detail.StartTime else None,
        )


_Ec2Event = Annotated[_Notice | _StateChange, Field(discriminator="detail_type")]
_EVENT: TypeAdapter[_Notice | _StateChange | _TerminationEvent] = TypeAdapter(
    Annotated[_Ec2Event | _TerminationEvent, Field(discriminator="source")]
)


def parse_interruption(event: object) -> Interruption:
    """Read an event of one of the six kinds; a text is read as JSON.

    Raises Malformed, naming each wrong field and its value.
    """
    try:
        if isinstance(event, str):
            return _EVENT.validate_json(event).read()
        return _EVENT.validate_python(event).read()
    except ValidationError as error:
        raise Malformed(f"interruption event: {describe_problems(error)}") from error
