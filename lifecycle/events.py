"""EventBridge events and check messages: what comes in, checked before anything uses it."""

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from lifecycle.errors import Malformed

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

# The form is docs.aws.amazon.com/AWSEC2/latest/UserGuide/resource-ids.html: 8 or 17 hexadecimals.
# Instance ids end up in PromQL, so nothing else may pass.
_INSTANCE_ID = r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})"
InstanceId = Annotated[str, StringConstraints(pattern=f"^{_INSTANCE_ID}$")]
_Name = Annotated[str, StringConstraints(min_length=1, max_length=255)]
_Token = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F-]{36}$")]
_EpochSeconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Moment = Annotated[AwareDatetime, Field(gt=datetime(1970, 1, 1, tzinfo=UTC))]

_LONGEST_VALUE_SHOWN = 120
_MOST_PROBLEMS_SHOWN = 10


class Transition(StrEnum):
    """Which way the instance goes."""

    LAUNCHING = "launching"
    TERMINATING = "terminating"


class Location(StrEnum):
    """``Origin`` and ``Destination`` of a lifecycle event."""

    EC2 = "EC2"
    AUTO_SCALING_GROUP = "AutoScalingGroup"
    WARM_POOL = "WarmPool"


_TRANSITIONS = {
    "autoscaling:EC2_INSTANCE_LAUNCHING": Transition.LAUNCHING,
    "autoscaling:EC2_INSTANCE_TERMINATING": Transition.TERMINATING,
}


class LifecycleAction(BaseModel):
    """One wait of one instance in one lifecycle hook; travels in every check message.

    The token is None where no event told it (EventBridge lost it): hook and instance name a wait
    as well (docs.aws.amazon.com/autoscaling/ec2/APIReference, CompleteLifecycleAction).
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    autoscaling_group_name: _Name
    lifecycle_hook_name: _Name
    lifecycle_action_token: _Token | None
    instance_id: InstanceId
    transition: Annotated[Transition, Field(strict=False)]
    started_at: _EpochSeconds

    @property
    def request_id(self) -> str:
        """What makes a request on behalf of this wait recognizable when it is repeated."""
        return self.lifecycle_action_token or f"{self.instance_id}-{self.started_at:.0f}"

    def log_fields(self) -> dict[str, object]:
        """Return what every log line about this action carries."""
        return {
            "autoscaling_group_name": self.autoscaling_group_name,
            "lifecycle_hook_name": self.lifecycle_hook_name,
            "instance_id": self.instance_id,
            "transition": self.transition,
        }


class LifecycleEvent(BaseModel):
    """A lifecycle action event of EC2 Auto Scaling, reduced to what the handler needs."""

    model_config = ConfigDict(frozen=True)

    action: LifecycleAction
    origin: Location | None
    destination: Location | None


class _Detail(BaseModel):
    # AWS may add fields, so unknown ones are ignored here.
    LifecycleActionToken: _Token
    AutoScalingGroupName: _Name
    LifecycleHookName: _Name
    EC2InstanceId: InstanceId
    LifecycleTransition: Literal[
        "autoscaling:EC2_INSTANCE_LAUNCHING", "autoscaling:EC2_INSTANCE_TERMINATING"
    ]
    Origin: Location | None = None
    Destination: Location | None = None


class _EventBridgeEvent(BaseModel):
    source: Literal["aws.autoscaling"]
    time: _Moment
    detail: _Detail


class OperationCheck(BaseModel):
    """Check message of the operation stage, which waits for a Cloud Map operation.

    ``operation_id`` is None when Cloud Map knew nothing to do (``InstanceNotFound``): the waiter
    then looks at the registration itself.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    version: Literal[1] = 1
    stage: Literal["operation"] = "operation"
    action: LifecycleAction
    operation_id: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None
    requested_again: Annotated[int, Field(ge=0)] = 0


class DrainCheck(BaseModel):
    """What the check messages of the draining stages have in common.

    ``deregistered_at`` (epoch seconds) is when the end of the deregistration was seen; for a fleet
    that is in no service discovery, when the lifecycle action was.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    version: Literal[1] = 1
    action: LifecycleAction
    deregistered_at: _EpochSeconds
    requested_again: Annotated[int, Field(ge=0)] = 0


class FlushCheck(DrainCheck):
    """Check message of the flush stage, which makes Fluentd flush and looks at its disk."""

    stage: Literal["flush"] = "flush"


class BufferCheck(DrainCheck):
    """Check message of the buffer stage, which waits for an empty and quiet buffer."""

    stage: Literal["buffer"] = "buffer"


CheckMessage = OperationCheck | FlushCheck | BufferCheck
Message = TypeVar("Message", OperationCheck, FlushCheck, BufferCheck)


def parse_lifecycle_event(event: object) -> LifecycleEvent:
    """Read an EventBridge event of EC2 Auto Scaling.

    Form: docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-event-reference.html.
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


def parse_check_message(model: type[Message], body: object) -> Message:
    """Read the body of a check message of one stage; whatever it is, it breaks nothing.

    Raises Malformed, naming each wrong field and its value.
    """
    if not isinstance(body, str):
        raise Malformed(f"check message: (whole): is not text (got {_shown(body)})")
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise Malformed(f"check message: {describe_problems(error)}") from error


def is_instance_id(text: str) -> bool:
    """Tell whether a name has the form of an instance's id; others register other names."""
    return re.fullmatch(_INSTANCE_ID, text) is not None


def describe_problems(error: ValidationError) -> str:
    """Put all problems of a validation into one line: field, what is wrong, value."""
    problems = error.errors(include_url=False, include_context=False)
    shown = [_describe(problem) for problem in problems[:_MOST_PROBLEMS_SHOWN]]
    if len(problems) > _MOST_PROBLEMS_SHOWN:
        shown.append(f"and {len(problems) - _MOST_PROBLEMS_SHOWN} more")
    return "; ".join(shown)


def _describe(problem: "ErrorDetails") -> str:
    field = ".".join(str(part) for part in problem["loc"]) or "(whole)"
    if problem["type"] == "missing":
        return f"{field}: is missing"
    return f"{field}: {problem['msg']} (got {_shown(problem['input'])})"


def _shown(value: object) -> str:
    shown = repr(value)
    if len(shown) > _LONGEST_VALUE_SHOWN:
        return shown[:_LONGEST_VALUE_SHOWN] + "…"
    return shown
