"""What the operation stage does next, as the whole table."""

import itertools

import pytest

from lifecycle.decisions.operation import (
    MOST_REQUESTS_AGAIN,
    NextStep,
    Operation,
    OperationStatus,
    OperationType,
    fresh_request_id,
    next_step,
)
from lifecycle.messages import Transition

WAIT, GO_ON, AGAIN, DEAD_LETTER = (
    NextStep.WAIT,
    NextStep.GO_ON,
    NextStep.REQUEST_AGAIN,
    NextStep.DEAD_LETTER,
)
REGISTER, DEREGISTER = OperationType.REGISTER_INSTANCE, OperationType.DEREGISTER_INSTANCE
UNDER_WAY = (OperationStatus.SUBMITTED, OperationStatus.PENDING)
ENDED = (OperationStatus.SUCCESS, OperationStatus.FAIL)
FOREIGN_TYPE = "UPDATE_SERVICE"

Case = tuple[Transition, str | None, OperationStatus | None, bool]

# transition, type of the operation, its status (None: no operation), registered -> step
TABLE: dict[Case, NextStep] = {
    # No operation to ask about: the registration alone decides.
    (Transition.LAUNCHING, None, None, True): GO_ON,
    (Transition.LAUNCHING, None, None, False): AGAIN,
    (Transition.TERMINATING, None, None, True): AGAIN,
    (Transition.TERMINATING, None, None, False): GO_ON,
    # What was wanted has succeeded, and it shows; or it has been undone since.
    (Transition.LAUNCHING, REGISTER, OperationStatus.SUCCESS, True): GO_ON,
    (Transition.LAUNCHING, REGISTER, OperationStatus.SUCCESS, False): AGAIN,
    (Transition.TERMINATING, DEREGISTER, OperationStatus.SUCCESS, True): AGAIN,
    (Transition.TERMINATING, DEREGISTER, OperationStatus.SUCCESS, False): GO_ON,
    # A failure is requested again, whatever the registration looks like: DNS may be another matter.
    (Transition.LAUNCHING, REGISTER, OperationStatus.FAIL, True): AGAIN,
    (Transition.LAUNCHING, REGISTER, OperationStatus.FAIL, False): AGAIN,
    (Transition.TERMINATING, DEREGISTER, OperationStatus.FAIL, True): AGAIN,
    (Transition.TERMINATING, DEREGISTER, OperationStatus.FAIL, False): AGAIN,
    # It was another caller's operation (DuplicateRequest): ours was never accepted.
    (Transition.LAUNCHING, DEREGISTER, OperationStatus.SUCCESS, True): AGAIN,
    (Transition.LAUNCHING, DEREGISTER, OperationStatus.SUCCESS, False): AGAIN,
    (Transition.TERMINATING, REGISTER, OperationStatus.SUCCESS, True): AGAIN,
    (Transition.TERMINATING, REGISTER, OperationStatus.SUCCESS, False): AGAIN,
    (Transition.LAUNCHING, DEREGISTER, OperationStatus.FAIL, True): AGAIN,
    (Transition.LAUNCHING, DEREGISTER, OperationStatus.FAIL, False): AGAIN,
    (Transition.TERMINATING, REGISTER, OperationStatus.FAIL, True): AGAIN,
    (Transition.TERMINATING, REGISTER, OperationStatus.FAIL, False): AGAIN,
    **{
        (transition, FOREIGN_TYPE, status, registered): AGAIN
        for transition in Transition
        for status in ENDED
        for registered in (True, False)
    },
    # Nothing is decided while an operation is under way, ours or not.
    **{
        (transition, kind, status, registered): WAIT
        for transition in Transition
        for kind in (REGISTER, DEREGISTER, FOREIGN_TYPE)
        for status in UNDER_WAY
        for registered in (True, False)
    },
}


def step_of(case: Case, requested_again: int) -> NextStep:
    transition, kind, status, registered = case
    operation = (
        Operation(id="operation-1", type=kind, status=status)
        if kind is not None and status is not None
        else None
    )
    return next_step(transition, operation, registered=registered, requested_again=requested_again)


def test_the_table_is_complete() -> None:
    operations: list[tuple[str | None, OperationStatus | None]] = [(None, None)]
    operations += [*itertools.product((REGISTER, DEREGISTER, FOREIGN_TYPE), OperationStatus)]
    cases = {
        (transition, kind, status, registered)
        for transition, (kind, status), registered in itertools.product(
            Transition, operations, (True, False)
        )
    }
    assert set(TABLE) == cases


@pytest.mark.parametrize("requested_again", range(MOST_REQUESTS_AGAIN))
@pytest.mark.parametrize("case", TABLE)
def test_the_next_step_while_requests_are_left(case: Case, requested_again: int) -> None:
    assert step_of(case, requested_again) is TABLE[case]


@pytest.mark.parametrize("requested_again", [MOST_REQUESTS_AGAIN, MOST_REQUESTS_AGAIN + 1, 1000])
@pytest.mark.parametrize("case", TABLE)
def test_the_fourth_request_is_never_made(case: Case, requested_again: int) -> None:
    expected = DEAD_LETTER if TABLE[case] is AGAIN else TABLE[case]
    assert step_of(case, requested_again) is expected


@pytest.mark.parametrize("case", [case for case, step in TABLE.items() if step is GO_ON])
def test_an_instance_goes_on_only_when_its_registration_is_as_wanted(case: Case) -> None:
    transition, kind, status, registered = case
    assert registered is (transition is Transition.LAUNCHING)
    assert status in {None, OperationStatus.SUCCESS}
    assert kind in {None, REGISTER if registered else DEREGISTER}


def test_a_request_of_before_has_another_id_as_soon_as_a_second_has_passed() -> None:
    assert fresh_request_id("i-1", 1000.0) == "i-1-1000"
    assert fresh_request_id("i-1", 1001.0) != fresh_request_id("i-1", 1000.0)
