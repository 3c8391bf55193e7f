"""What is done about each event of an instance of ours, in which order, and what is left alone.

Several events of one instance, and other functions beside it, are in tests/integration.
"""

from typing import Any

import pytest

from lifecycle.decisions.ownership import Ownership
from lifecycle.errors import UnexpectedState
from lifecycle.telemetry import LogEvent
from tests.support import messages
from tests.support.interrupted import AT, Handled, shown
from tests.support.messages import INSTANCE_ID, OTHER_INSTANCE_ID, termination_event
from tests.support.parts import NOT_REGISTERED, described, listed
from tests.support.scripted import THROTTLED, aws_error

LAUNCHING, TERMINATING, RECLAIMED = f"launching {AT}", f"terminating {AT}", f"reclaimed {AT}"
PROVEN = "proven 2023-11-14T22:13:25Z"
SPOT, REBALANCE = messages.spot_event(), messages.rebalance_event()
SHUTTING_DOWN = messages.shutting_down_event()
STOPPING = messages.shutting_down_event(state="stopping")
ENDED = termination_event()
NOT_ENDED = ENDED | {"detail-type": "EC2 Instance Terminate Unsuccessful"}
UNKNOWN = "AStateThatAwsAddsLater"
NOT_KNOWN: dict[str, Any] = {"Reservations": []}
OUT_AND_FLUSHED = ["deregister_instance", "send_command"]


class TestNotice:
    @pytest.mark.parametrize("other", [None, "InService"])
    def test_a_warning_takes_out_flushes_counts_and_marks_also_the_last_one(
        self, other: str | None
    ) -> None:
        handled = Handled(SPOT, other=other)
        assert (handled.done, handled.counted, handled.error) == (OUT_AND_FLUSHED, 1, None)
        assert handled.tags == [AT, RECLAIMED]
        assert handled.reason(LogEvent.UNCLEAN_TERMINATION) == "spot_interruption_warning"

    @pytest.mark.parametrize(
        ("state", "seen", "counted", "tags"),
        [
            ("InService", NOT_KNOWN, 1, [AT, RECLAIMED]),
            ("InService", shown(mark=RECLAIMED, counted=True), 0, [AT, RECLAIMED]),
            ("InService", shown(mark=PROVEN), 1, [AT, RECLAIMED]),  # of an earlier life
            ("Terminating:Proceed", shown(mark=PROVEN), 0, []),
            ("Terminating:Wait", shown(mark=TERMINATING), 1, [AT]),  # its pipeline's mark stays
        ],
    )
    def test_it_is_counted_once_and_not_if_it_leaves_with_a_proof(
        self, state: str, seen: Any, counted: int, tags: list[str]
    ) -> None:
        handled = Handled(SPOT, state, seen)
        assert (handled.done, handled.counted, handled.tags) == (OUT_AND_FLUSHED, counted, tags)

    def test_without_ec2_it_is_taken_out_all_the_same_and_counted_later(self) -> None:
        handled = Handled(SPOT, instance=THROTTLED)
        assert (handled.done, handled.counted, handled.error) == (OUT_AND_FLUSHED, 0, THROTTLED)

    def test_a_flush_that_no_agent_can_take_is_logged_and_holds_nothing_up(self) -> None:
        handled = Handled(SPOT, send_command=aws_error("InvalidInstanceId"))
        assert (handled.error, handled.counted) == (None, 1)
        assert INSTANCE_ID in str(handled.reason(LogEvent.FLUSH_NOT_REQUESTED))
        assert handled.telemetry.of(LogEvent.FLUSH_REQUESTED) == []

    def test_a_recommended_one_leaves_others_that_serve(self) -> None:
        both = described(INSTANCE_ID, OTHER_INSTANCE_ID)
        handled = Handled(REBALANCE, instance=both, other="InService")
        assert (handled.done, handled.counted) == (OUT_AND_FLUSHED, 1)

    @pytest.mark.parametrize(
        ("state", "tags"), [("InService", [RECLAIMED, LAUNCHING]), ("Terminating:Wait", [])]
    )
    @pytest.mark.parametrize("other", ["Standby", "InService"])
    def test_a_recommended_one_stays_registered_without_a_successor_and_is_flushed(
        self, other: str, state: str, tags: list[str]
    ) -> None:
        """EC2 does not show the other one, so it is none to count on."""
        handled = Handled(REBALANCE, state, other=other)
        assert (handled.done, handled.counted, handled.error) == (["send_command"], 0, None)
        assert handled.tags == tags
        assert handled.ignored == "no other registered instance is in service"

    def test_a_registration_that_cannot_be_looked_at_keeps_a_recommended_one_in(self) -> None:
        handled = Handled(REBALANCE, list_instances=THROTTLED)
        assert (handled.done, handled.counted) == (["send_command"], 0)
        assert (handled.error, handled.tags) == (THROTTLED, [RECLAIMED, LAUNCHING])


class TestStateChange:
    @pytest.mark.parametrize(
        "state", ["InService", "Standby", "Terminating:Wait", "Warmed:Stopped"]
    )
    @pytest.mark.parametrize(
        ("event", "seen"),
        [
            (SHUTTING_DOWN, NOT_KNOWN),
            (SHUTTING_DOWN, shown("shutting-down", TERMINATING)),
            (SHUTTING_DOWN, shown("terminated", TERMINATING)),
            (STOPPING, shown("stopping", TERMINATING)),
            (STOPPING, shown("stopped", TERMINATING)),
        ],
    )
    def test_one_that_is_down_is_only_deregistered(
        self, event: dict[str, Any], seen: Any, state: str
    ) -> None:
        handled = Handled(event, state, seen)
        assert handled.done == ["deregister_instance"]
        assert (handled.counted, handled.tags) == (0, [])
        assert (handled.slept, handled.error) == ([], None)
        assert handled.telemetry.the(LogEvent.DEREGISTRATION_REQUESTED)["instance_id"]

    @pytest.mark.parametrize("event", [SHUTTING_DOWN, STOPPING])
    @pytest.mark.parametrize("seen", ["pending", "running"])
    def test_one_that_ec2_shows_alive_is_never_deregistered(
        self, seen: str, event: dict[str, Any]
    ) -> None:
        handled = Handled(event, instance=shown(seen))
        assert (handled.done, handled.ignored) == ([], f"EC2 shows it as {seen}")
        assert (handled.slept, handled.error) == ([2.0, 2.0], None)

    def test_an_answer_of_ec2_that_is_older_than_its_event_is_asked_for_again(self) -> None:
        seen = [shown(mark=TERMINATING), shown("shutting-down", TERMINATING)]
        handled = Handled(SHUTTING_DOWN, instance=seen)
        assert (handled.done, handled.slept) == (["deregister_instance"], [2.0])

    @pytest.mark.parametrize(
        ("event", "state", "tag"),
        [
            (SHUTTING_DOWN, "InService", RECLAIMED),
            (STOPPING, "Terminating:Wait", RECLAIMED),
            (STOPPING, "InService", LAUNCHING),  # it may be started again, and serve again
        ],
    )
    def test_one_that_only_its_registration_shows_to_have_served_is_marked_before_it_leaves(
        self, event: dict[str, Any], state: str, tag: str
    ) -> None:
        handled = Handled(event, state, shown(event["detail"]["state"]))
        names = [name for name, _ in handled.parts.client.calls]
        assert names.index("create_tags") < names.index("deregister_instance")
        assert (handled.tags, handled.counted) == ([tag], 0)

    @pytest.mark.parametrize(
        ("event", "state", "seen"),
        [
            (SHUTTING_DOWN, "Terminating:Proceed", shown("shutting-down", PROVEN)),
            (SHUTTING_DOWN, "Pending:Proceed", shown("shutting-down")),
            (STOPPING, "Warmed:Stopped", shown("stopped", PROVEN)),
        ],
    )
    def test_one_that_is_not_registered_is_a_quiet_line(
        self, event: dict[str, Any], state: str, seen: dict[str, Any]
    ) -> None:
        handled = Handled(
            event, state, seen, deregister_instance=NOT_REGISTERED, list_instances=listed()
        )
        assert (handled.tags, handled.counted, handled.error) == ([], 0, None)
        assert handled.ignored == "it is not registered"
        assert {line.level for line in handled.telemetry.lines} == {"INFO"}

    @pytest.mark.parametrize(
        "refused",
        [
            {"deregister_instance": THROTTLED, "instance": shown("terminated", TERMINATING)},
            {"instance": THROTTLED},
            {"instance": shown("terminated"), "list_instances": THROTTLED},
            {"instance": shown("terminated"), "create_tags": THROTTLED},
        ],
        ids=["DeregisterInstance", "DescribeInstances", "ListInstances", "CreateTags"],
    )
    def test_what_aws_refuses_is_named_and_raised(self, refused: dict[str, Any]) -> None:
        """What cannot be marked keeps the only trace of its service."""
        handled = Handled(SHUTTING_DOWN, **refused)
        assert (handled.error, handled.counted) == (THROTTLED, 0)
        assert handled.done == ["deregister_instance"] * ("deregister_instance" in refused)
        assert handled.telemetry.the(LogEvent.INTERRUPTION_STEP_FAILED)["step"] == "deregister"


class TestOutOfTheGroup:
    """What is ours by its tag alone: no event of our group follows."""

    def test_it_is_not_counted_before_ec2_shows_that_it_ends(self) -> None:
        handled = Handled(SHUTTING_DOWN, None, shown("running"), ownership=Ownership.LEFT)
        assert isinstance(handled.error, UnexpectedState)
        assert (handled.done, handled.counted) == ([], 0)

    def test_a_proof_keeps_its_end_quiet(self) -> None:
        proven = shown("shutting-down", mark=PROVEN)
        handled = Handled(SHUTTING_DOWN, None, proven, ownership=Ownership.LEFT)
        assert (handled.done, handled.counted) == (["deregister_instance"], 0)

    def test_a_stop_counts_nothing(self) -> None:
        handled = Handled(STOPPING, None, shown("stopping"), ownership=Ownership.LEFT)
        assert (handled.done, handled.counted) == (["deregister_instance"], 0)

    def test_a_spot_warning_takes_it_out_and_flushes_nothing(self) -> None:
        handled = Handled(SPOT, None, ownership=Ownership.LEFT)
        assert (handled.done, handled.counted) == (["deregister_instance"], 1)


class TestEnd:
    @pytest.mark.parametrize(("mark", "reason"), [(PROVEN, "proven"), (None, "never_registered")])
    def test_a_clean_end_is_logged_and_not_counted(self, mark: str | None, reason: str) -> None:
        seen = shown("terminated", mark)
        handled = Handled(ENDED, None, seen, deregister_instance=NOT_REGISTERED)
        line = handled.telemetry.the(LogEvent.INSTANCE_ENDED)
        assert (handled.counted, line["reason"], line["mark"]) == (0, reason, mark)

    @pytest.mark.parametrize(
        ("event", "state", "seen", "reason"),
        [
            (ENDED, None, NOT_KNOWN, "unknown_to_ec2"),
            (ENDED, UNKNOWN, shown("terminated"), "not_proven"),
            (NOT_ENDED, None, shown("terminated", TERMINATING), "not_proven"),
        ],
    )
    def test_an_end_without_proof_is_deregistered_counted_and_remembered(
        self, event: dict[str, Any], state: str | None, seen: Any, reason: str
    ) -> None:
        handled = Handled(event, state, seen)
        assert (handled.done, handled.counted) == (["deregister_instance"], 1)
        assert (handled.tags, handled.error) == ([AT], None)
        assert handled.reason(LogEvent.UNCLEAN_TERMINATION) == reason

    def test_it_is_counted_although_it_cannot_be_deregistered_or_tagged(self) -> None:
        failed = Handled(ENDED, None, shown("terminated"), deregister_instance=THROTTLED)
        assert (failed.counted, failed.error) == (1, THROTTLED)
        untagged = Handled(ENDED, None, shown("terminated"), create_tags=THROTTLED)
        assert (untagged.counted, untagged.error) == (1, None)
        assert untagged.telemetry.the(LogEvent.MARK_FAILED)["mark"] == "counted"

    @pytest.mark.parametrize("event", [ENDED, NOT_ENDED])
    def test_one_that_lives_in_an_unknown_state_is_asked_for_again(
        self, event: dict[str, Any]
    ) -> None:
        handled = Handled(event, UNKNOWN)
        assert isinstance(handled.error, UnexpectedState)
        assert "keep the instance, discard nothing" in str(handled.error)
        assert (handled.done, handled.counted) == ([], 0)


@pytest.mark.parametrize(
    ("event", "state", "seen", "done", "counted"),
    [
        (REBALANCE, "InService", shown(), ["send_command"], 1),
        (SHUTTING_DOWN, "InService", shown("shutting-down"), [], 0),
        (ENDED, None, shown("terminated"), [], 1),
    ],
)
def test_outside_of_service_discovery_all_else_is_done(
    event: dict[str, Any], state: str | None, seen: Any, done: list[str], counted: int
) -> None:
    handled = Handled(event, state, seen, in_cloud_map=False)
    assert (handled.done, handled.counted, handled.error) == (done, counted, None)


@pytest.mark.parametrize("state", ["Terminating:Wait", "Terminating:Proceed"])
def test_nothing_is_done_about_one_that_has_not_ended(state: str) -> None:
    handled = Handled(NOT_ENDED, state, shown(mark=TERMINATING))
    assert (handled.done, handled.tags, handled.counted) == ([], [], 0)
    assert (handled.ignored, handled.error) == ("it has not ended", None)


def test_what_failed_first_is_raised_when_all_else_is_done() -> None:
    refused = aws_error("AccessDeniedException")
    handled = Handled(
        SPOT, deregister_instance=refused, send_command=THROTTLED, create_tags=THROTTLED
    )
    assert (handled.done, handled.counted, handled.error) == (OUT_AND_FLUSHED, 1, refused)
    steps = [one["step"] for one in handled.telemetry.of(LogEvent.INTERRUPTION_STEP_FAILED)]
    assert steps == ["deregister", "flush", "count"]
