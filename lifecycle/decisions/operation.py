"""The operation stage's decision: a pure function of what Cloud Map says.

Success of an operation is not taken for the truth: it may be another operation than the one that
was wanted (``DuplicateRequest`` carries the id of whatever is under way). The registration itself
decides.
"""

from dataclasses import dataclass
from enum import StrEnum

from lifecycle.messages import Transition

MOST_REQUESTS_AGAIN = 3


class OperationStatus(StrEnum):
    """Status of a Cloud Map operation (docs.aws.amazon.com/cloud-map/latest/api, Operation)."""

    SUBMITTED = "SUBMITTED"
    PENDING = "PENDING"
    SUCCESS = "SUCCESS"
    FAIL = "FAIL"


class OperationType(StrEnum):
    """Type of a Cloud Map operation on an instance."""

    REGISTER_INSTANCE = "REGISTER_INSTANCE"
    DEREGISTER_INSTANCE = "DEREGISTER_INSTANCE"


WANTED_TYPE = {
    Transition.LAUNCHING: OperationType.REGISTER_INSTANCE,
    Transition.TERMINATING: OperationType.DEREGISTER_INSTANCE,
}


@dataclass(frozen=True, slots=True)
class Operation:
    """A Cloud Map operation; ``type`` is as AWS spells it, also where it is not one of ours."""

    id: str
    type: str
    status: OperationStatus
    error_code: str | None = None
    error_message: str | None = None


def fresh_request_id(subject: str, now: float) -> str:
    """Return an id that no request had: Cloud Map answers one of before with what became of it."""
    return f"{subject}-{now:.0f}"


class NextStep(StrEnum):
    """What the operation waiter does next."""

    WAIT = "wait"
    GO_ON = "go_on"
    REQUEST_AGAIN = "request_again"
    DEAD_LETTER = "dead_letter"


def next_step(
    transition: Transition,
    operation: Operation | None,
    *,
    registered: bool,
    requested_again: int,
) -> NextStep:
    """Decide from the operation (None: none, or Cloud Map forgot it) and the registration.

    A failed operation is requested again even if the registration looks right: its DNS record may
    not be. ``requested_again`` is how often that has happened already.
    """
    if operation is not None and operation.status in {
        OperationStatus.SUBMITTED,
        OperationStatus.PENDING,
    }:
        return NextStep.WAIT
    as_wanted = registered is (transition is Transition.LAUNCHING)
    failed = operation is not None and operation.status is OperationStatus.FAIL
    ours = operation is None or operation.type == WANTED_TYPE[transition]
    if as_wanted and ours and not failed:
        return NextStep.GO_ON
    if requested_again < MOST_REQUESTS_AGAIN:
        return NextStep.REQUEST_AGAIN
    return NextStep.DEAD_LETTER
