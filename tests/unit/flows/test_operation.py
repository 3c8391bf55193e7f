"""The operation waiter: what it does about each answer of Cloud Map."""

from typing import Any

import pytest

from lifecycle.errors import NotReady, Permanent
from lifecycle.flows.operation import OperationWaiter
from lifecycle.messages import OperationCheck, Transition
from lifecycle.telemetry import LogEvent
from tests.support.messages import INSTANCE_ID, NOW, OTHER_INSTANCE_ID, operation_check
from tests.support.parts import POLLS, Parts, described, listed, members
from tests.support.scripted import NO_ACTIVE_ACTION

LAUNCHING = Transition.LAUNCHING
REGISTER = {"Type": "REGISTER_INSTANCE", "Status": "SUCCESS"}
DEREGISTER = {"Type": "DEREGISTER_INSTANCE", "Status": "SUCCESS"}
FAILED = {"Status": "FAIL", "ErrorCode": "CANNOT_CREATE_HOSTED_ZONE", "ErrorMessage": "no"}
REGISTERED: dict[str, Any] = {}


def fleet(operation: dict[str, str], state: str | None = "Pending:Wait", **answers: Any) -> Parts:
    states = {INSTANCE_ID: state} if state else {}
    return Parts(
        get_operation={"Operation": operation},
        describe_auto_scaling_instances=members(states),
        **answers,
    )


def check(parts: Parts, message: OperationCheck) -> None:
    waiter_of(parts).begin([message])(message)


def waiter_of(parts: Parts) -> OperationWaiter:
    return OperationWaiter(
        autoscaling=parts.autoscaling,
        instances=parts.instances,
        marker=parts.marker,
        discovery=parts.discovery,
        next_stage=parts.next_stage,
        polls=POLLS,
        runtime=parts.runtime,
    )


@pytest.mark.parametrize("state", ["Pending:Wait", "InService", "Terminated", None])
def test_a_registration_has_to_become_true_without_an_active_hook_too(state: str | None) -> None:
    assert waiter_of(fleet(REGISTER, state)).still_waited_for(operation_check(LAUNCHING))


@pytest.mark.parametrize(("state", "waits"), [("Terminating:Wait", True), ("InService", False)])
def test_a_termination_of_one_that_serves_again_is_another_ones(state: str, *, waits: bool) -> None:
    parts = fleet(DEREGISTER, state)
    assert waiter_of(parts).still_waited_for(operation_check()) is waits
    assert len(parts.telemetry.of(LogEvent.LIFECYCLE_ACTION_EXPIRED)) == (not waits)


@pytest.mark.parametrize("status", ["SUBMITTED", "PENDING"])
def test_an_operation_that_is_under_way_is_waited_for(status: str) -> None:
    parts = fleet(REGISTER | {"Status": status})
    with pytest.raises(NotReady, match="operation-1 is still under way"):
        check(parts, operation_check(LAUNCHING))
    assert parts.done == []
    assert parts.telemetry.events == [LogEvent.OPERATION_PENDING]


def test_a_registered_instance_is_put_in_service() -> None:
    parts = fleet(REGISTER, get_instance=REGISTERED)
    check(parts, operation_check(LAUNCHING))
    assert parts.done == ["complete"]
    assert LogEvent.LIFECYCLE_ACTION_COMPLETED in parts.telemetry.events


def test_a_deregistered_instance_goes_on_and_its_settling_begins_now() -> None:
    parts = fleet(DEREGISTER, "Terminating:Wait")
    parts.now = NOW + 40
    check(parts, operation_check(requested_again=1))
    assert parts.done == ["send buffer"]
    [message] = parts.messages
    assert (message["deregistered_at"], message["requested_again"]) == (NOW + 40, 1)


@pytest.mark.parametrize("state", ["Terminating:Wait", "Terminated", None])
def test_a_launch_that_ended_meanwhile_is_taken_out_of_service_discovery(state: str | None) -> None:
    parts = fleet(
        REGISTER,
        state,
        get_instance=REGISTERED,
        complete_lifecycle_action=NO_ACTIVE_ACTION,
        list_instances=listed(INSTANCE_ID, "collector-in-the-office"),
    )
    check(parts, operation_check(LAUNCHING))
    assert parts.done == ["complete", "deregister"]
    assert LogEvent.REGISTRATION_WITHDRAWN in parts.telemetry.events


def test_the_last_one_that_still_runs_is_not_taken_out() -> None:
    parts = fleet(
        REGISTER,
        "Terminating:Wait",
        get_instance=REGISTERED,
        complete_lifecycle_action=NO_ACTIVE_ACTION,
        list_instances=listed(INSTANCE_ID),
    )
    check(parts, operation_check(LAUNCHING))
    assert parts.done == ["complete"]
    assert LogEvent.LAST_AGGREGATOR_WAITS in parts.telemetry.events


class TestRequestingAgain:
    def test_a_failed_registration_is_asked_for_anew_and_checked_later(self) -> None:
        parts = fleet(REGISTER | FAILED)
        check(parts, operation_check(LAUNCHING, requested_again=1))
        assert parts.done == ["register", "send operation"]
        [request] = parts.client.arguments_of("register_instance")
        assert request["CreatorRequestId"].endswith(f"-{NOW:.0f}")
        [sent] = parts.client.arguments_of("send_message")
        assert sent["DelaySeconds"] == POLLS.interval_seconds
        [message] = parts.messages
        assert (message["operation_id"], message["requested_again"]) == ("register-1", 2)
        failed = parts.telemetry.the(LogEvent.OPERATION_FAILED)
        assert failed["error_code"] == FAILED["ErrorCode"]

    def test_a_failed_deregistration_is_asked_for_anew(self) -> None:
        parts = fleet(DEREGISTER | FAILED, "Terminating:Wait")
        check(parts, operation_check())
        assert parts.done == ["deregister", "send operation"]

    def test_the_last_of_a_service_is_not_deregistered(self) -> None:
        parts = fleet(
            DEREGISTER,
            "Terminating:Wait",
            get_instance=REGISTERED,
            list_instances=listed(INSTANCE_ID),
        )
        with pytest.raises(NotReady, match="waits for a successor"):
            check(parts, operation_check())
        assert parts.done == []

    @pytest.mark.parametrize(
        ("state", "in_ec2"), [("Terminating:Wait", "running"), ("Pending:Wait", "terminated")]
    )
    def test_one_that_is_gone_is_not_registered_again(self, state: str, in_ec2: str) -> None:
        parts = fleet(
            REGISTER | FAILED, state, describe_instances=described(INSTANCE_ID, state=in_ec2)
        )
        check(parts, operation_check(LAUNCHING))
        assert parts.done == ["deregister"]
        assert LogEvent.INSTANCE_GONE in parts.telemetry.events

    def test_after_three_requests_the_operator_gets_a_message_that_starts_afresh(self) -> None:
        parts = fleet(DEREGISTER | FAILED, "Terminating:Wait")
        with pytest.raises(Permanent, match=FAILED["ErrorCode"]) as given_up:
            check(parts, operation_check(requested_again=3))
        assert given_up.value.redrive_with is not None
        redriven = OperationCheck.model_validate_json(given_up.value.redrive_with)
        assert (redriven.operation_id, redriven.requested_again) == (None, 0)
        assert parts.done == []


class TestSharded:
    """Launches that do not see each other can overfill a shard."""

    def full(self) -> Parts:
        crowd = [f"i-{number:08x}" for number in range(8)] + [INSTANCE_ID]
        held = {"srv-1": crowd, "srv-2": [OTHER_INSTANCE_ID]}
        states = dict.fromkeys([*crowd, OTHER_INSTANCE_ID], "InService")
        return Parts(
            services=("srv-1", "srv-2"),
            get_operation={"Operation": REGISTER},
            get_instance=REGISTERED,
            list_instances=lambda **asked: listed(*held[asked["ServiceId"]]),
            describe_auto_scaling_instances=members(states | {INSTANCE_ID: "Pending:Wait"}),
        )

    def test_an_overfull_shard_is_relieved_before_the_instance_serves(self) -> None:
        parts = self.full()
        with pytest.raises(NotReady, match="move to another shard"):
            check(parts, operation_check(LAUNCHING))
        assert parts.done == ["register"]

    def test_after_five_minutes_it_serves_all_the_same_and_the_overflow_is_counted(self) -> None:
        parts = self.full()
        parts.now = NOW + 300
        check(parts, operation_check(LAUNCHING))
        assert parts.done == ["complete"]
        assert LogEvent.SHARD_OVERFLOWS in parts.telemetry.events
