"""Dead letters: which messages become one, with which reason, and that each pages."""

from collections.abc import Callable
from typing import Any

import pytest

from lifecycle.decisions.marks import MarkKind
from lifecycle.errors import NotReady, Permanent
from lifecycle.messages import BufferCheck
from lifecycle.telemetry import LogEvent, Metric
from tests.support.batches import World, done, raising
from tests.support.messages import (
    GROUP,
    INSTANCE_ID,
    NOW,
    TERMINATE_HOOK,
    buffer_check,
    operation_check,
    record,
)
from tests.support.parts import marked, members
from tests.support.scripted import NO_ACTIVE_ACTION, THROTTLED

TIMEOUT = 3600.0
TOO_LATE = NOW + TIMEOUT + 1


class TestTimingOut:
    def late(self, **settings: Any) -> World:
        check = settings.pop("check", raising(NotReady("UNKNOWN (gap): 90 s without a sample")))
        return World(check=check, now=NOW + TIMEOUT + 1, **settings)

    def test_the_deadline_itself_is_not_past_the_deadline(self) -> None:
        world = self.late()
        world.parts.now = NOW + TIMEOUT
        assert world.run(record(buffer_check(), message_id="m1")) == ["m1"]

    def test_past_the_deadline_one_last_heartbeat_then_the_dead_letter_queue(self) -> None:
        world = self.late()
        message = record(buffer_check(), receive_count=97)
        assert world.run(message) == []
        assert world.parts.kept_alive == [INSTANCE_ID]
        assert world.dead == [
            (message["body"], "not done after 3601 s: UNKNOWN (gap): 90 s without a sample")
        ]
        assert world.parts.comes_back_in == []

    def test_the_deadline_counts_from_the_arrival_in_this_queue_not_from_the_hook(self) -> None:
        world = self.late()
        redriven = record(buffer_check(started_at=NOW - 86_400), sent_at=world.parts.now - 1)
        assert len(world.run(redriven)) == 1
        assert world.dead == []

    def test_an_instance_that_is_done_in_the_last_moment_does_not_time_out(self) -> None:
        world = self.late(check=done)
        assert world.run(record(buffer_check())) == []
        assert world.dead == []

    def test_an_unexpected_error_past_the_deadline_is_dead_lettered_too(self) -> None:
        world = self.late(check=raising(THROTTLED))
        assert world.run(record(buffer_check())) == []
        assert "Rate exceeded" in world.dead[0][1]

    def test_a_dead_letter_is_counted_and_logged_with_all_that_the_operator_needs(self) -> None:
        world = self.late()
        world.run(record(buffer_check(), message_id="m1", receive_count=97))
        line = world.telemetry.the(LogEvent.CHECK_MESSAGE_DEAD_LETTERED)
        assert line.level == "ERROR"
        assert line.fields == {
            "autoscaling_group_name": GROUP,
            "lifecycle_hook_name": TERMINATE_HOOK,
            "instance_id": INSTANCE_ID,
            "transition": "terminating",
            "message_id": "m1",
            "receive_count": 97,
            "reason": "not done after 3601 s: UNKNOWN (gap): 90 s without a sample",
        }
        assert world.telemetry.total(Metric.CHECK_MESSAGE_DEAD_LETTERED) == 1

    @pytest.mark.parametrize(
        ("message", "check", "now"),
        [
            pytest.param("malformed", done, NOW, id="malformed"),
            pytest.param(buffer_check(autoscaling_group_name="other"), done, NOW, id="not-ours"),
            pytest.param(buffer_check(), raising(Permanent("retained")), NOW, id="permanent"),
            pytest.param(buffer_check(), raising(NotReady("gap")), TOO_LATE, id="not-done"),
            pytest.param(buffer_check(), raising(THROTTLED), TOO_LATE, id="unexpected"),
        ],
    )
    def test_every_way_to_the_dead_letter_queue_is_measured_since_that_pages(
        self, message: BufferCheck | str, check: Callable[[BufferCheck], None], now: float
    ) -> None:
        world = World(check=check, now=now)
        world.run(record(message))
        assert len(world.dead) == 1
        assert world.telemetry.values == [(Metric.CHECK_MESSAGE_DEAD_LETTERED, 1)]
        assert world.telemetry.flushed >= 1

    def test_a_dead_letter_that_cannot_be_sent_comes_back(self) -> None:
        world = self.late(dead_letter=THROTTLED)
        assert world.run(record(buffer_check(), message_id="m1")) == ["m1"]
        assert LogEvent.CHECK_MESSAGE_DEAD_LETTERED not in world.telemetry.events

    def test_a_dead_letter_that_cannot_be_sent_pages_all_the_same(self) -> None:
        for message in (record(buffer_check()), record("hello")):
            world = self.late(dead_letter=THROTTLED)
            world.run(message)
            assert world.telemetry.total(Metric.CHECK_MESSAGE_DEAD_LETTERED) == 1
            line = world.telemetry.the(LogEvent.DEAD_LETTER_FAILED)
            assert line.level == "ERROR"
            assert "Rate exceeded" in str(line["reason"])


class TestPermanent:
    def test_it_goes_to_the_dead_letter_queue_unchanged_and_does_not_come_back(self) -> None:
        world = World(check=raising(Permanent("i-1 is Terminating:Retained")))
        message = record(buffer_check())
        assert world.run(message) == []
        assert world.dead == [(message["body"], "i-1 is Terminating:Retained")]

    @pytest.mark.parametrize("heartbeat", [THROTTLED, NO_ACTIVE_ACTION])
    def test_a_heartbeat_that_fails_keeps_nothing_from_the_dead_letter_queue(
        self, heartbeat: Exception
    ) -> None:
        world = World(
            check=raising(Permanent("retained")),
            heartbeat=heartbeat,
            waited_for=lambda _message: False,
        )
        assert world.run(record(buffer_check())) == []
        [(_, reason)] = world.dead
        assert reason.endswith("retained")

    def test_a_message_that_would_fail_again_at_once_is_dead_lettered_as_a_fresh_one(self) -> None:
        fresh = buffer_check(requested_again=0).model_dump_json()
        world = World(check=raising(Permanent("four requests failed", redrive_with=fresh)))
        assert world.run(record(buffer_check(requested_again=3))) == []
        assert world.dead == [(fresh, "four requests failed")]


class TestMalformed:
    @pytest.mark.parametrize(
        "body", ["", "hello", "{}", operation_check().model_dump_json(), '{"version":2}']
    )
    def test_it_goes_to_the_dead_letter_queue_without_being_checked(self, body: str) -> None:
        world = World()
        assert world.run(record(body)) == []
        [(kept, reason)] = world.dead
        assert kept == body
        assert reason.startswith("check message: ")
        assert world.begun_with == [[]]
        assert world.parts.kept_alive == []

    def test_the_log_names_field_and_value(self) -> None:
        world = World()
        wrong = buffer_check().model_dump_json().replace(INSTANCE_ID, "i-0123|.*")
        world.run(record(wrong, message_id="m1", receive_count=2))
        line = world.telemetry.the(LogEvent.CHECK_MESSAGE_INVALID)
        assert "action.instance_id: " in str(line["reason"])
        assert "'i-0123|.*'" in str(line["reason"])
        assert (line["message_id"], line["receive_count"]) == ("m1", 2)

    def test_it_does_not_hold_up_its_batch(self) -> None:
        world = World(check=raising(NotReady("draining")))
        sound = [record(buffer_check(), message_id=name) for name in ("m1", "m3")]
        bad = record("hello", message_id="m2")
        assert world.run(sound[0], bad, sound[1]) == ["m1", "m3"]
        assert [len(messages) for messages in world.begun_with] == [2]
        assert [body for body, _ in world.dead] == ["hello"]


class TestStrangers:
    def test_a_message_of_another_group_is_neither_checked_nor_kept_alive(self) -> None:
        world = World(check=raising(AssertionError("must not be checked")))
        message = record(buffer_check(autoscaling_group_name="other"))
        assert world.run(message) == []
        assert world.begun_with == [[]]  # what a stage does for a whole batch is not for it either
        [(body, reason)] = world.dead
        assert body == message["body"]
        assert reason == (
            "action.autoscaling_group_name: 'other' is not this pipeline's group, "
            f"and {INSTANCE_ID} is not its own"
        )
        assert world.parts.kept_alive == []


class TestMovedToAnotherGroup:
    """A message of our group is redriven, and its instance is in another group by now."""

    message = record(buffer_check(), message_id="m1")

    def moved(self, state: str, owner: MarkKind | None = MarkKind.TERMINATING) -> World:
        world = World(described=marked(owner)) if owner else World()
        found = members({INSTANCE_ID: state}, group="others")
        world.parts.client._answers["describe_auto_scaling_instances"] = [found]
        return world

    @pytest.mark.parametrize(
        ("state", "owner"),
        [("InService", MarkKind.TERMINATING), ("Pending", MarkKind.PROVEN), ("Standby", None)],
    )
    def test_one_that_serves_there_or_is_not_ours_is_not_touched(
        self, state: str, owner: MarkKind | None
    ) -> None:
        world = self.moved(state, owner)
        assert world.run(self.message) == []
        [(_, reason)] = world.dead
        assert reason == (
            f"action.instance_id: {INSTANCE_ID} is {state} in the group 'others', "
            "which is not this pipeline's"
        )
        assert (world.begun_with, world.parts.kept_alive) == ([[]], [])

    def test_one_of_ours_that_serves_nowhere_is_checked(self) -> None:
        world = self.moved("Terminating:Wait")
        assert world.run(self.message) == []
        assert ([len(one) for one in world.begun_with], world.dead) == ([1], [])

    def test_while_its_group_is_unknown_it_is_not_checked_and_comes_back(self) -> None:
        world = World()
        world.parts.client._answers["describe_auto_scaling_instances"] = [THROTTLED]
        assert world.run(self.message) == ["m1"]
        assert (world.begun_with, world.dead) == ([[]], [])
        assert world.parts.kept_alive == [INSTANCE_ID]


class TestDrainsOfAFormerGroup:
    """The module's group was changed while an instance of the one before was drained."""

    def former(self, state: str = "Terminating:Wait", **answers: Any) -> World:
        world = World(described=marked(MarkKind.TERMINATING), **answers)
        found = members({INSTANCE_ID: state}, group="former")
        world.parts.client._answers["describe_auto_scaling_instances"] = [found]
        return world

    message = record(buffer_check(autoscaling_group_name="former"), message_id="m1")

    def test_one_that_our_hook_still_holds_is_drained_on(self) -> None:
        world = self.former()
        assert world.run(self.message) == []
        assert [len(one) for one in world.begun_with] == [1]
        assert (world.parts.kept_alive, world.dead) == ([INSTANCE_ID], [])

    def test_one_that_no_hook_of_ours_holds_is_dead_lettered(self) -> None:
        world = self.former(heartbeat=NO_ACTIVE_ACTION)
        assert world.run(self.message) == []
        [(_, reason)] = world.dead
        assert reason.endswith("none of its hooks holds the instance")
        assert world.begun_with == [[]]

    def test_one_that_serves_in_another_group_is_not_touched(self) -> None:
        world = self.former("InService")
        assert world.run(self.message) == []
        assert (world.begun_with, world.parts.kept_alive) == ([[]], [])

    def test_while_its_hook_cannot_be_asked_it_is_not_checked_and_comes_back(self) -> None:
        world = self.former(heartbeat=THROTTLED)
        assert world.run(self.message) == ["m1"]
        assert (world.begun_with, world.dead) == ([[]], [])
        assert "former_group_names" in str(world.telemetry.the(LogEvent.CHECK_FAILED)["reason"])
