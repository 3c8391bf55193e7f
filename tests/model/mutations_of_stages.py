"""Deliberate bugs of the stages: batches, exits, Cloud Map operations, entrances."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

from lifecycle.adapters.autoscaling import AutoScaling, Completion, Membership
from lifecycle.decisions import heartbeats, operation
from lifecycle.decisions.operation import WANTED_TYPE, NextStep, Operation, OperationStatus
from lifecycle.errors import NotReady
from lifecycle.flows import batch
from lifecycle.flows.ownership import Scope
from lifecycle.flows.release import Exit
from lifecycle.flows.stage import NextStage
from lifecycle.messages import DrainCheck, LifecycleAction, Transition, parse_check_message
from tests.model.bugs import Mutation, each

MODEL = "tests/model/test_histories.py"
_FLUSH_WAITER = "tests/unit/flows/test_flush.py"
_BATCH = "tests/unit/flows/test_batch.py"
_DEAD_LETTERS = "tests/unit/flows/test_batch_dead_letters.py"
_OPERATIONS = "tests/unit/decisions/test_operation.py"
_HANDLER = "tests/unit/flows/test_entrance.py"
_AUTOSCALING = "tests/unit/adapters/test_autoscaling.py"
_STATES = "tests/unit/decisions/test_states.py"
_FAULTY_AWS = (
    "tests/integration/test_faulty_aws.py"
    "::test_a_drain_survives_a_call_that_fails[CompleteLifecycleAction-refuse]"
)
_DRAINING = (
    "tests/integration/test_draining.py::TestDiscovery"
    "::test_an_instance_that_an_operator_registered_again_is_taken_out_again"
)


_Receive = batch._Receive
_run, _wait, _dead_letter = _Receive.run, _Receive._wait, _Receive._dead_letter
_keep_alive = _Receive._keep_alive
_require_ours = Scope._require_ours


def batches() -> Iterator[Mutation]:
    receive = "lifecycle.flows.batch:_Receive"
    yield Mutation(
        "an error of a check treated as drained", {f"{receive}._wait": _error_is_done}, _BATCH
    )
    yield Mutation("a deadline that drops the message", {f"{receive}._wait": _drops}, MODEL)
    yield from each(
        _DEAD_LETTERS,
        {
            "a message believed although its instance serves in another group": {
                "lifecycle.flows.ownership:Scope._require_ours": _by_name_alone
            },
            "a dead letter that fails silently": {f"{receive}._dead_letter": _silently},
            "one malformed message crashes its batch": {
                "lifecycle.flows.batch:_parse": lambda record, model: parse_check_message(
                    model, record.get("body")
                )
            },
        },
    )
    yield Mutation("a heartbeat after the completion", {f"{receive}.run": _beats_after_it}, MODEL)
    yield Mutation(
        "no heartbeat while it waits",
        {f"{receive}._keep_alive": lambda self, message: (True, None)},
        f"{_BATCH}::TestNotReady",
    )
    yield Mutation(
        "a failed heartbeat ends the wait", {f"{receive}._keep_alive": _must_beat}, _BATCH
    )


def _by_name_alone(self: Scope, action: LifecycleAction, member: Membership | None) -> None:
    if not self.is_of_group(action):
        _require_ours(self, action, member)


def _error_is_done(
    self: "batch._Receive[Any]",
    message: DrainCheck,
    reason: str,
    not_before: float | None,
    error: Exception,
) -> None:
    if isinstance(error, NotReady):
        _wait(self, message, reason, not_before, error)


def _drops(
    self: "batch._Receive[Any]",
    message: DrainCheck,
    reason: str,
    not_before: float | None,
    error: Exception,
) -> None:
    if self._stage.polls.has_timed_out(self._sent_at, self._stage.runtime.clock()):
        self._keep_alive(message)
    else:
        _wait(self, message, reason, not_before, error)


def _silently(
    self: "batch._Receive[Any]",
    reason: str,
    message: DrainCheck | None,
    redrive_with: str | None = None,
) -> None:
    with suppress(Exception):
        _dead_letter(self, reason, message, redrive_with)


def _beats_after_it(
    self: "batch._Receive[Any]",
    message: DrainCheck,
    refusal: Exception | None,
    check: Callable[[DrainCheck], None],
) -> None:
    def checked(message: DrainCheck) -> None:
        check(message)
        self._stage.heartbeats.autoscaling.record_heartbeat(message.action)

    _run(self, message, refusal, checked)


def _must_beat(
    self: "batch._Receive[Any]", message: DrainCheck
) -> tuple[bool, heartbeats.Silence | None]:
    is_waited_for, silence = _keep_alive(self, message)
    return is_waited_for and silence is None, silence


leave, _release = Exit.leave, Exit._release


def exits() -> Iterator[Mutation]:
    exit_ = "lifecycle.flows.release:Exit"
    yield Mutation(
        "acknowledged before it is completed", {f"{exit_}._release": _released}, _FAULTY_AWS
    )
    yield Mutation(
        "completed before the last stage",
        {f"{exit_}.leave": lambda self, message: leave(replace(self, next_stage=None), message)},
        _FLUSH_WAITER,
    )
    yield Mutation(
        "completed without asking Cloud Map again",
        {f"{exit_}.leave": lambda self, message: leave(replace(self, discovery=None), message)},
        _DRAINING,
    )
    yield Mutation(
        "handed on without a message for the next stage",
        {"lifecycle.flows.stage:NextStage.enqueue": _forgets},
        MODEL,
    )


def _forgets(
    self: NextStage, action: LifecycleAction, *, deregistered_at: float, requested_again: int = 0
) -> None: ...


def _released(self: Exit, action: LifecycleAction, state: str | None) -> None:
    with suppress(Exception):
        _release(self, action, state)


_next_step = operation.next_step
_Seen = tuple[Operation | None, bool]  # the operation, and whether the instance is registered


def steps() -> Iterator[Mutation]:
    step = "lifecycle.decisions.operation:next_step"
    yield from each(
        _OPERATIONS,
        {
            "SUCCESS believed without a look at the registration": {
                step: seeing(lambda wanted, operation, _: (operation, wanted))
            },
            "the operation of a DuplicateRequest taken for ours": {step: seeing(_ours)},
            "a failed operation taken for done": {step: seeing(_done)},
            "InstanceNotFound believed at once": {
                step: seeing(
                    lambda wanted, one, registered: (one, wanted if one is None else registered)
                )
            },
            "an operation under way taken for done": {step: seeing(_over)},
        },
    )


def seeing(change: Callable[[bool, Operation | None, bool], _Seen]) -> Callable[..., NextStep]:
    """The decision, upon something else than what there is."""

    def next_step(
        transition: Transition,
        operation: Operation | None,
        *,
        registered: bool,
        requested_again: int,
    ) -> NextStep:
        wanted = transition is Transition.LAUNCHING
        operation, registered = change(wanted, operation, registered)
        return _next_step(
            transition, operation, registered=registered, requested_again=requested_again
        )

    return next_step


def _abandoned(self: AutoScaling, action: LifecycleAction) -> Completion:
    self._client.complete_lifecycle_action(
        AutoScalingGroupName=action.autoscaling_group_name,
        LifecycleHookName=action.lifecycle_hook_name,
        InstanceId=action.instance_id,
        LifecycleActionResult="ABANDON",
    )
    return Completion.COMPLETED


def _ours(wanted: bool, operation: Operation | None, registered: bool) -> _Seen:
    transition = Transition.LAUNCHING if wanted else Transition.TERMINATING
    return operation and replace(operation, type=WANTED_TYPE[transition]), registered


def _done(wanted: bool, operation: Operation | None, registered: bool) -> _Seen:
    if operation is not None and operation.status is OperationStatus.FAIL:
        operation = replace(operation, status=OperationStatus.SUCCESS)
    return operation, registered


def _over(wanted: bool, operation: Operation | None, registered: bool) -> _Seen:
    if operation is None or operation.status not in {
        OperationStatus.SUBMITTED,
        OperationStatus.PENDING,
    }:
        return operation, registered
    operation = replace(operation, status=OperationStatus.SUCCESS)
    return _ours(wanted, operation, registered)[0], wanted


def entrances() -> Iterator[Mutation]:
    module = "lifecycle.flows.entrance"
    yield from each(
        _HANDLER,
        {
            "an instance registered though it is on its way out": {
                f"{module}:may_serve": lambda state: True
            },
            "a working instance deregistered": {f"{module}:is_leaving": lambda state: True},
            "an instance bound for the warm pool registered": {
                f"{module}:Entrance.enter_warm_pool": lambda self, action: self.launch(action)
            },
        },
    )
    yield Mutation(
        "any ValidationError taken for an ended action",
        {
            "lifecycle.adapters.autoscaling:_is_no_active_action": lambda error: (
                error.response["Error"]["Code"] == "ValidationError"
            )
        },
        _AUTOSCALING,
    )
    yield Mutation(
        "a launch that is abandoned, and replaced at once",
        {"lifecycle.adapters.autoscaling:AutoScaling.complete": _abandoned},
        _AUTOSCALING,
    )
    yield Mutation(
        "an IPv6 address registered as IPv4",
        {"lifecycle.decisions.instance:Address.is_ipv6": lambda self: False},
        "tests/unit/adapters/test_cloud_map.py",
    )
    yield Mutation(
        "an action that ended by itself taken for a release",
        {"lifecycle.decisions.states:has_ended": lambda state: True},
        _STATES,
    )
