"""Check messages and the lifecycle action they carry.

Version 1 of a message may be in flight during an upgrade: its form is an interface.
"""

import re
from enum import StrEnum
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from lifecycle.errors import Malformed, describe_problems, shown

# The form is docs.aws.amazon.com/AWSEC2/latest/UserGuide/resource-ids.html: 8 or 17 hexadecimals.
# Instance ids end up in PromQL, so nothing else may pass.
_INSTANCE_ID = r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})"
InstanceId = Annotated[str, StringConstraints(pattern=f"^{_INSTANCE_ID}$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=255)]
# 36 characters of any kind, by AWS's model; its own samples are no UUIDs.
Token = Annotated[str, StringConstraints(pattern=r"^[!-~]{36}$")]
EpochSeconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Transition(StrEnum):
    """Which way the instance goes."""

    LAUNCHING = "launching"
    TERMINATING = "terminating"


class LifecycleAction(BaseModel):
    """One wait of one instance in one lifecycle hook; travels in every check message.

    The token is None where no event told it (EventBridge lost it): hook and instance name a wait
    as well (docs.aws.amazon.com/autoscaling/ec2/APIReference, CompleteLifecycleAction).
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    autoscaling_group_name: Name
    lifecycle_hook_name: Name
    lifecycle_action_token: Token | None
    instance_id: InstanceId
    transition: Annotated[Transition, Field(strict=False)]
    started_at: EpochSeconds

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
    deregistered_at: EpochSeconds
    requested_again: Annotated[int, Field(ge=0)] = 0


class FlushCheck(DrainCheck):
    """Check message of the flush stage, which makes Fluentd flush and looks at its disk."""

    stage: Literal["flush"] = "flush"


class BufferCheck(DrainCheck):
    """Check message of the buffer stage, which waits for an empty and quiet buffer."""

    stage: Literal["buffer"] = "buffer"


CheckMessage = OperationCheck | FlushCheck | BufferCheck
Message = TypeVar("Message", OperationCheck, FlushCheck, BufferCheck)


def parse_check_message(model: type[Message], body: object) -> Message:
    """Read the body of a check message of one stage; whatever it is, it breaks nothing.

    Raises Malformed, naming each wrong field and its value.
    """
    if not isinstance(body, str):
        raise Malformed(f"check message: (whole): is not text (got {shown(body)})")
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise Malformed(f"check message: {describe_problems(error)}") from error


def is_instance_id(text: str) -> bool:
    """Tell whether a name has the form of an instance's id; others register other names."""
    return re.fullmatch(_INSTANCE_ID, text) is not None
