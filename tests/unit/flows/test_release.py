"""The end of a draining stage: on to the next one, back, or out of the group."""

from typing import Any

import pytest

from lifecycle.decisions.marks import MarkKind
from lifecycle.errors import NotReady, Permanent, UnexpectedState
from lifecycle.flows.release import Exit
from lifecycle.messages import OperationCheck
from lifecycle.telemetry import LogEvent, Metric
from tests.support.messages import INSTANCE_ID, NOW, TOKEN, action, buffer_check
from tests.support.parts import Parts, described, marked, members
from tests.support.scripted import NO_ACTIVE_ACTION, THROTTLED

PROVEN_SINCE = marked(MarkKind.PROVEN)


def exit_of(parts: Parts, *, is_last: bool = True, in_cloud_map: bool = True) -> Exit:
    return Exit(
        autoscaling=parts.autoscaling,
        marker=parts.marker,
        discovery=parts.discovery if in_cloud_map else None,
        next_stage=None if is_last else parts.next_stage,
        runtime=parts.runtime,
    )


class TestLeave:
    def test_the_instance_is_tagged_as_proven_before_it_is_released(self) -> None:
        parts = Parts()
        parts.now = NOW + 90
        exit_of(parts).leave(buffer_check())
        assert parts.done == ["tag proven", "complete"]
        [completion] = parts.client.arguments_of("complete_lifecycle_action")
        assert completion["LifecycleActionResult"] == "CONTINUE"
        assert parts.telemetry.total(Metric.DRAIN_SECONDS) == 90

    def test_a_tag_that_cannot_be_written_does_not_hold_the_release_up(self) -> None:
        parts = Parts(create_tags=THROTTLED)
        exit_of(parts).leave(buffer_check())
        assert parts.done == ["tag proven", "complete"]

    def test_a_wait_that_ended_without_us_counts_no_drain(self) -> None:
        parts = Parts(complete_lifecycle_action=NO_ACTIVE_ACTION)
        exit_of(parts).leave(buffer_check())
        assert parts.telemetry.values == []

    def test_one_that_its_group_retains_is_tagged_so_that_its_drain_does_not_start_again(
        self,
    ) -> None:
        parts = Parts(
            complete_lifecycle_action=NO_ACTIVE_ACTION,
            describe_auto_scaling_instances=members({INSTANCE_ID: "Terminating:Retained"}),
        )
        with pytest.raises(Permanent, match="Terminating:Retained"):
            exit_of(parts).leave(buffer_check())
        assert parts.done == ["tag proven", "complete", "tag retained"]

    def test_before_the_last_stage_it_is_passed_on_and_not_released(self) -> None:
        parts = Parts()
        exit_of(parts, is_last=False).leave(buffer_check(deregistered_at=NOW, requested_again=2))
        assert parts.done == ["send buffer"]
        [message] = parts.messages
        assert (message["deregistered_at"], message["requested_again"]) == (NOW, 2)

    @pytest.mark.parametrize("is_last", [True, False])
    def test_one_that_is_registered_starts_over_and_its_proof_is_void(
        self, *, is_last: bool
    ) -> None:
        parts = Parts(get_instance={})
        exit_of(parts, is_last=is_last).leave(buffer_check(requested_again=2))
        assert parts.done == ["tag terminating", "send operation"]
        [message] = parts.messages
        expected = OperationCheck(action=action(), operation_id=None, requested_again=2)
        assert OperationCheck.model_validate(message) == expected

    def test_while_its_registration_is_unknown_it_stays(self) -> None:
        parts = Parts(get_instance=THROTTLED)
        with pytest.raises(type(THROTTLED)):
            exit_of(parts).leave(buffer_check())
        assert parts.done == []

    def test_a_fleet_that_is_not_in_cloud_map_is_not_looked_up_there(self) -> None:
        parts = Parts(get_instance=AssertionError("asked"))
        exit_of(parts, in_cloud_map=False).leave(buffer_check())
        assert parts.done == ["tag proven", "complete"]

    @pytest.mark.parametrize("is_last", [True, False])
    @pytest.mark.parametrize(
        "state", ["InService", "Pending:Wait", "ReplacingRootVolume:Proceed", "RootVolumeReplaced"]
    )
    def test_a_proof_of_one_that_lives_on_passes_nothing(
        self, state: str, *, is_last: bool
    ) -> None:
        """The hook is asked next, by a heartbeat: it says whether the termination has ended."""
        parts = in_state(state)
        with pytest.raises(NotReady, match=f"it is {state}: the proof may be of the life after"):
            exit_of(parts, is_last=is_last).leave(buffer_check())
        assert parts.done == []

    def test_one_in_an_unknown_state_is_never_released(self) -> None:
        parts = in_state("AStateThatAwsAddsLater")
        with pytest.raises(UnexpectedState, match="keep the instance, discard nothing"):
            exit_of(parts).leave(buffer_check())
        assert parts.done == []

    def test_one_whose_root_volume_is_replaced_gets_a_tag_that_proves_nothing_later(self) -> None:
        parts = in_state("ReplacingRootVolume:Wait")
        exit_of(parts).leave(buffer_check())
        assert parts.done == ["tag replaced", "complete"]

    @pytest.mark.parametrize("kind", [MarkKind.TERMINATING, MarkKind.LAUNCHING])
    def test_without_a_token_a_message_of_an_earlier_termination_starts_over(
        self, kind: MarkKind
    ) -> None:
        """Hook and instance name any wait of the instance: forwarders knew it in between."""
        parts = in_state("Terminating:Wait", describe_instances=marked(kind, NOW + 61))
        exit_of(parts).leave(buffer_check(lifecycle_action_token=None))
        assert parts.done == ["tag terminating", "send operation"]

    @pytest.mark.parametrize(
        ("token", "tag"),
        [
            (None, marked(MarkKind.TERMINATING, NOW + 60)),  # written a little after its message
            (None, marked(MarkKind.PROVEN, NOW + 300)),  # of a release that AWS refused
            (None, described()),
            (TOKEN, marked(MarkKind.TERMINATING, NOW + 61)),
        ],
    )
    def test_any_other_message_is_of_this_termination(
        self, token: str | None, tag: dict[str, Any]
    ) -> None:
        parts = in_state("Terminating:Wait", describe_instances=tag)
        exit_of(parts).leave(buffer_check(lifecycle_action_token=token))
        assert parts.done == ["tag proven", "complete"]

    def test_a_wait_that_cannot_have_ended_is_asked_about_again(self) -> None:
        parts = Parts(
            complete_lifecycle_action=NO_ACTIVE_ACTION,
            describe_auto_scaling_instances=members({INSTANCE_ID: "Standby"}),
        )
        with pytest.raises(UnexpectedState):
            exit_of(parts).leave(buffer_check())


class TestStillWaitedFor:
    """What becomes of a message whose hook has no active action any more."""

    @pytest.mark.parametrize("state", [None, "Terminated", "InService"])
    @pytest.mark.parametrize(
        "known", [described(), marked(MarkKind.TERMINATING), marked(MarkKind.PROVEN, NOW - 60)]
    )
    def test_one_that_ended_without_a_proof_raises_the_alarm(
        self, state: str | None, known: dict[str, Any]
    ) -> None:
        parts = in_state(state, describe_instances=known)
        assert not exit_of(parts).still_waited_for(buffer_check())
        assert parts.telemetry.total(Metric.LIFECYCLE_ACTION_EXPIRED) == 1
        assert parts.telemetry.of(LogEvent.LIFECYCLE_ACTION_EXPIRED)

    @pytest.mark.parametrize("state", [None, "Terminated", "InService", "Warmed:Stopped"])
    def test_one_that_ended_with_a_proof_is_done_without_an_alarm(self, state: str | None) -> None:
        parts = in_state(state, describe_instances=PROVEN_SINCE)
        assert not exit_of(parts).still_waited_for(buffer_check())
        assert parts.telemetry.the(LogEvent.LIFECYCLE_ACTION_ALREADY_ENDED)["ended"] == "proven"
        assert parts.telemetry.values == []

    def test_a_tag_that_cannot_be_read_is_no_proof(self) -> None:
        parts = in_state(None, describe_instances=THROTTLED)
        assert not exit_of(parts).still_waited_for(buffer_check())
        assert parts.telemetry.total(Metric.LIFECYCLE_ACTION_EXPIRED) == 1
        assert parts.telemetry.of(LogEvent.CHECK_FAILED)

    @pytest.mark.parametrize("state", ["Terminating:Wait", "Terminating:Retained", "Standby"])
    def test_one_that_is_kept_alive_is_asked_on(self, state: str) -> None:
        parts = in_state(state, describe_instances=PROVEN_SINCE)
        assert exit_of(parts).still_waited_for(buffer_check())
        assert parts.telemetry.lines == []

    def test_one_without_proof_in_the_warm_pool_is_asked_on(self) -> None:
        parts = in_state("Warmed:Stopped", describe_instances=marked(MarkKind.TERMINATING))
        assert exit_of(parts).still_waited_for(buffer_check())


def in_state(state: str | None, **answers: Any) -> Parts:
    states = {INSTANCE_ID: state} if state else {}
    return Parts(describe_auto_scaling_instances=members(states), **answers)
