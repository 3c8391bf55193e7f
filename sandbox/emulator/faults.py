"""The faults of the emulated cloud, set by tests and by the control API.

By default nothing goes wrong. Every fault is consumed in the order in which it was set,
so a test can say exactly which of its calls suffers.
"""

from dataclasses import asdict, field
from typing import Any, Literal, TypeVar, get_args

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

OperationErrorCode = Literal[
    "ACCESS_DENIED",
    "CANNOT_CREATE_HOSTED_ZONE",
    "EXPIRED_TOKEN",
    "HOSTED_ZONE_NOT_FOUND",
    "INTERNAL_FAILURE",
    "INVALID_CHANGE_BATCH",
    "THROTTLED_REQUEST",
]
OPERATION_ERROR_CODES = frozenset(get_args(OperationErrorCode))
EVERY_INSTANCE = "*"


@dataclass
class OperationFailure:
    """The next `times` Cloud Map operations end in FAIL with this code."""

    code: OperationErrorCode = "INTERNAL_FAILURE"
    message: str = "injected"
    times: int = 1


@dataclass
class CallFailure:
    """The next `times` calls of `action` answer with an error.

    `moment` says whether the call did its work first: after a failure "after" it, the caller
    knows nothing and the cloud has changed, as after a lost reply.
    """

    action: str
    code: str
    message: str = "injected"
    times: int = 1
    moment: Literal["before", "after"] = "before"


Failure = TypeVar("Failure", OperationFailure, CallFailure)


@dataclass(config=ConfigDict(extra="forbid"))
class Faults:
    """Settable misbehaviour, and how long the slow parts of the cloud take."""

    operation_seconds: float = 1.0
    """How long a Cloud Map operation takes: SUBMITTED for the first half, then PENDING."""

    proceed_seconds: float = 0.0
    """How long an instance stays in Pending:Proceed or Terminating:Proceed."""

    unnoticed_seconds: float = 0.0
    """How long after an instance has ended in EC2 its group finds out; a minute or more on AWS."""

    invocation_hidden_seconds: float = 0.2
    """How long after SendCommand GetCommandInvocation says InvocationDoesNotExist."""

    delivery_seconds: float = 0.0
    """How long a command takes to reach the agent of its instance."""

    agents_off: list[str] = field(default_factory=list)
    """Instances (`*`: all) whose agent is offline for SSM: SendCommand is refused."""

    agents_silent: list[str] = field(default_factory=list)
    """Instances whose agent was just online and fetches nothing: DeliveryTimedOut."""

    undeliverable: list[str] = field(default_factory=list)
    """Instances to which SSM cannot deliver: Undeliverable."""

    short_pages: list[int] = field(default_factory=list)
    """How many items the first pages of every paged answer hold; the page after them has the rest.

    AWS does not promise more: a page may be empty although others follow.
    """

    abandoned_replacement: Literal["replaced", "terminated", "kept"] = "replaced"
    """What ABANDON does in ReplacingRootVolume:Wait, which AWS does not document."""

    failing_replacements: int = 0
    """So many of the next replacements of a root volume fail: the group ends those instances."""

    operation_failures: list[OperationFailure] = field(default_factory=list)
    call_failures: list[CallFailure] = field(default_factory=list)

    def fail_operations(self, times: int = 1, **failure: Any) -> None:  # noqa: ANN401 - its fields
        """Let the next Cloud Map operations that are submitted end in FAIL."""
        self.operation_failures.append(OperationFailure(times=times, **failure))

    def throttle(self, action: str, times: int = 1) -> None:
        """Let the next calls of `action` be refused as too many."""
        self.fail_calls(action, code="Throttling", message="Rate exceeded", times=times)

    def fail_calls(self, action: str, code: str, **failure: Any) -> None:  # noqa: ANN401
        """Let the next calls of `action` ("CompleteLifecycleAction", ...) end in an error."""
        self.call_failures.append(CallFailure(action, code, **failure))

    def concerns(self, names: list[str], instance_id: str) -> bool:
        """Whether a list of instances means this one."""
        return instance_id in names or EVERY_INSTANCE in names

    def clear(self) -> None:
        """Remove all faults."""
        none = Faults()
        for name, value in vars(none).items():
            setattr(self, name, value)

    def update(self, settings: dict[str, Any]) -> None:
        """Set what a JSON document says, as the control API receives it; failures are added."""
        wanted = Faults(**settings)
        wanted.operation_failures[:0] = self.operation_failures
        wanted.call_failures[:0] = self.call_failures
        for name in settings:
            setattr(self, name, getattr(wanted, name))

    def as_dict(self) -> dict[str, Any]:
        """The present settings, as JSON can carry them."""
        return asdict(self)

    def take_operation_failure(self) -> OperationFailure | None:
        """The failure for the operation that is being submitted, if one is set."""
        return _use_up(self.operation_failures, self.operation_failures[:1])

    def take_call_failure(self, action: str) -> CallFailure | None:
        """The failure for the call that is being answered, if one is set."""
        meant = [failure for failure in self.call_failures if failure.action == action]
        return _use_up(self.call_failures, meant)


def _use_up(failures: list[Failure], candidates: list[Failure]) -> Failure | None:
    if not candidates:
        return None
    failure = candidates[0]
    failure.times -= 1
    if failure.times <= 0:
        failures.remove(failure)
    return failure
