"""Batches: what comes back, when, with a heartbeat, and what the operator gets to see."""

from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError

from lifecycle.decisions.heartbeats import HEARTBEATS_TAG_KEY, Failing
from lifecycle.errors import Malformed, NotReady, Permanent, UnexpectedState
from lifecycle.messages import BufferCheck
from lifecycle.telemetry import LogEvent, Metric
from tests.support.batches import World, raising
from tests.support.messages import (
    INSTANCE_ID,
    NOW,
    OTHER_INSTANCE_ID,
    buffer_check,
    described,
    record,
)
from tests.support.scripted import NO_ACTIVE_ACTION, THROTTLED, aws_error

TIMEOUT, HOOK = 3600.0, 3600.0


class TestDone:
    def test_messages_that_are_done_with_are_deleted_after_one_call_for_all(self) -> None:
        world = World()
        assert world.run(record(buffer_check()), record(buffer_check())) == []
        assert [name for name, _ in world.parts.client.calls] == ["describe_auto_scaling_instances"]

    def test_metrics_are_flushed_once_a_batch(self) -> None:
        world = World()
        world.run(record(buffer_check()), record(buffer_check()))
        assert world.telemetry.flushed == 1


class TestOddRecords:
    """Found by fuzzing."""

    @pytest.mark.parametrize("member", ["body", "attributes", "receiptHandle"])
    def test_a_record_that_lacks_a_member_does_not_crash_the_batch(self, member: str) -> None:
        world = World()
        odd = record(buffer_check(), message_id="odd")
        del odd[member]
        came_back = world.run(odd, record(buffer_check(), message_id="sound"))
        assert "sound" not in came_back
        assert came_back == ([] if member == "receiptHandle" else ["odd"])


class TestNotReady:
    def test_the_message_comes_back_and_the_hook_is_kept_alive(self) -> None:
        world = World(check=raising(NotReady("draining")))
        assert world.run(record(buffer_check(), message_id="m1")) == ["m1"]
        assert world.parts.kept_alive == [INSTANCE_ID]
        assert world.dead == []

    def test_waiting_is_neither_an_error_nor_a_warning(self) -> None:
        world = World(check=raising(NotReady("draining")))
        world.run(record(buffer_check()))
        assert world.telemetry.lines == []

    @pytest.mark.parametrize(
        ("pause", "seconds"), [(None, 15), (0.5, 1), (15.0, 15), (42.4, 43), (121.0, 120)]
    )
    def test_it_comes_back_when_its_check_could_hold(
        self, pause: float | None, seconds: int
    ) -> None:
        not_before = None if pause is None else NOW + pause
        world = World(check=raising(NotReady("draining", not_before=not_before)))
        world.run(record(buffer_check(), message_id="m1"))
        [asked] = world.parts.client.arguments_of("change_message_visibility")
        assert asked == {
            "QueueUrl": "https://sqs/buffer",
            "ReceiptHandle": "receipt-handle-of-m1",
            "VisibilityTimeout": seconds,
        }

    def test_a_message_whose_visibility_cannot_be_changed_still_comes_back(self) -> None:
        world = World(check=raising(NotReady("draining")), visibility=THROTTLED)
        assert world.run(record(buffer_check(), message_id="m1")) == ["m1"]
        line = world.telemetry.the(LogEvent.VISIBILITY_CHANGE_FAILED)
        assert line.level == "WARNING"
        assert "Rate exceeded" in str(line["reason"])

    def test_a_failed_heartbeat_is_logged_and_not_fatal(self) -> None:
        for error in (THROTTLED, ConnectTimeoutError(endpoint_url="https://autoscaling")):
            world = World(check=raising(NotReady("draining")), heartbeat=error)
            assert world.run(record(buffer_check(), message_id="m1")) == ["m1"]
            line = world.telemetry.the(LogEvent.HEARTBEAT_FAILED)
            assert (line["outcome"], line["answer"]) == ("failed", str(error))
            assert world.parts.comes_back_in == [15]

    def test_a_failed_heartbeat_does_not_ask_whether_the_wait_is_over(self) -> None:
        world = World(
            check=raising(NotReady("draining")),
            heartbeat=THROTTLED,
            waited_for=lambda _message: False,
        )
        assert world.run(record(buffer_check(), message_id="m1")) == ["m1"]


class TestFailedHeartbeats:
    """The deadline of everything counts from the last recorded heartbeat."""

    def failing(self, seconds: float, **settings: Any) -> World:
        """So many seconds after the last recorded heartbeat, with the tag of the poll before."""
        now = NOW + seconds
        tag = str(Failing(NOW, now - 15, 6, "m1"))
        tags = {HEARTBEATS_TAG_KEY: tag}
        return World(
            check=settings.pop("check", raising(NotReady("draining", not_before=now + 120))),
            now=now,
            heartbeat=THROTTLED,
            **{"described": described(INSTANCE_ID, **tags), **settings},
        )

    def receive(self) -> dict[str, Any]:
        return record(buffer_check(), message_id="m1", receive_count=7)

    def test_a_stage_times_out_when_none_was_recorded_for_two_thirds_of_the_hooks_time(
        self,
    ) -> None:
        world = self.failing(HOOK * 2 / 3)
        assert world.run(self.receive()) == []
        [(_, reason)] = world.dead
        assert reason == (
            "heartbeats fail: none is known to be recorded after 2023-11-14T22:13:20Z, so the "
            "instance is kept until 2023-11-14T23:13:20Z at least; not done after 2400 s: draining"
        )

    def test_until_then_the_message_comes_back(self) -> None:
        world = self.failing(HOOK / 2)
        assert world.run(self.receive()) == ["m1"]
        assert world.dead == []
        assert world.parts.comes_back_in == [120]

    def test_the_next_poll_comes_when_the_stage_times_out_not_after_it(self) -> None:
        world = self.failing(HOOK * 2 / 3 - 30)
        world.run(self.receive())
        assert world.parts.comes_back_in == [30]

    def test_without_a_tag_the_deadline_counts_from_the_begin_of_the_wait(self) -> None:
        world = self.failing(HOOK * 2 / 3, described=aws_error("UnauthorizedOperation"))
        assert world.run(self.receive()) == []
        assert len(world.dead) == 1

    def test_of_one_that_cannot_be_checked_the_tag_still_tells_the_last_heartbeat(self) -> None:
        """Throttling refuses the look into Auto Scaling, too; that is no reason to time out."""
        now = NOW + HOOK * 2 / 3
        tags = {HEARTBEATS_TAG_KEY: str(Failing(now - 30, now - 15, 6, "m1"))}
        world = self.failing(HOOK * 2 / 3, described=described(INSTANCE_ID, **tags))
        world.parts.client._answers["describe_auto_scaling_instances"] = [THROTTLED]
        assert world.run(self.receive()) == ["m1"]
        assert (world.begun_with, world.dead) == ([[]], [])

    def test_every_dead_letter_says_until_when_the_instance_is_kept(self) -> None:
        world = self.failing(600, check=raising(Permanent("retained")))
        assert world.run(self.receive()) == []
        [(_, reason)] = world.dead
        assert "kept until 2023-11-14T23:13:20Z at least; retained" in reason

    def test_the_metric_tells_of_every_failure(self) -> None:
        world = self.failing(HOOK / 2)
        world.run(self.receive())
        assert world.telemetry.values == [(Metric.HEARTBEATS_FAILED, 3)]

    def test_the_next_poll_comes_when_the_stage_itself_times_out(self) -> None:
        world = World(check=raising(NotReady("draining", not_before=NOW + 2 * TIMEOUT)))
        world.parts.now = NOW + TIMEOUT - 20.5
        world.run(record(buffer_check()))
        assert world.parts.comes_back_in == [21]


class TestHookThatEnded:
    def test_a_message_whose_hook_has_ended_is_deleted(self) -> None:
        world = World(
            check=raising(NotReady("no series")),
            heartbeat=NO_ACTIVE_ACTION,
            waited_for=lambda _message: False,
        )
        assert world.run(record(buffer_check())) == []
        assert world.dead == []
        assert world.parts.comes_back_in == []
        assert world.telemetry.the(LogEvent.HEARTBEAT_FAILED)["outcome"] == "no_active_action"

    def test_a_message_that_is_still_waited_for_comes_back(self) -> None:
        world = World(check=raising(NotReady("no series")), heartbeat=NO_ACTIVE_ACTION)
        assert world.run(record(buffer_check(), message_id="m1")) == ["m1"]

    def test_not_knowing_whether_it_is_waited_for_counts_as_waiting(self) -> None:
        def cannot_tell(message: BufferCheck) -> bool:
            raise THROTTLED

        world = World(
            check=raising(NotReady("no series")), heartbeat=NO_ACTIVE_ACTION, waited_for=cannot_tell
        )
        assert world.run(record(buffer_check(), message_id="m1")) == ["m1"]
        assert world.telemetry.the(LogEvent.CHECK_FAILED).level == "ERROR"


class TestUnexpectedErrors:
    @pytest.mark.parametrize(
        "error",
        [
            UnexpectedState("no active lifecycle action, yet i-1 is Terminating:Wait"),
            THROTTLED,
            ConnectTimeoutError(endpoint_url="https://servicediscovery"),
            KeyError("Operation"),
            ZeroDivisionError(),
        ],
    )
    def test_an_unexpected_error_is_unknown_so_the_message_comes_back(
        self, error: Exception
    ) -> None:
        world = World(check=raising(error))
        assert world.run(record(buffer_check(), message_id="m1")) == ["m1"]
        assert world.parts.kept_alive == [INSTANCE_ID]
        assert world.parts.comes_back_in == [15]

    def test_it_is_logged_as_an_error_with_its_traceback(self) -> None:
        error = KeyError("Operation")
        world = World(check=raising(error))
        world.run(record(buffer_check()))
        line = world.telemetry.the(LogEvent.CHECK_FAILED)
        assert (line.level, line.exception) == ("ERROR", error)
        assert line["reason"] == "KeyError: 'Operation'"

    def test_a_record_with_odd_attributes_comes_back_alone(self) -> None:
        odd = record(buffer_check(), message_id="m1")
        odd["attributes"]["SentTimestamp"] = "soon"
        world = World()
        assert world.run(odd, record(buffer_check(), message_id="m2")) == ["m1"]


class TestWholeBatch:
    def test_every_sound_message_is_known_before_the_first_is_checked(self) -> None:
        checked: list[str] = []
        world = World(check=lambda message: checked.append(message.action.instance_id))
        world.run(record(buffer_check()), record(buffer_check(instance_id=OTHER_INSTANCE_ID)))
        assert [[m.action.instance_id for m in batch_] for batch_ in world.begun_with] == [
            [INSTANCE_ID, OTHER_INSTANCE_ID]
        ]
        assert checked == [INSTANCE_ID, OTHER_INSTANCE_ID]

    def test_each_outcome_concerns_its_own_message_only(self) -> None:
        outcomes: dict[str, Exception | None] = {
            "i-00000000": None,
            "i-00000001": NotReady("draining", not_before=NOW + 60),
            "i-00000002": Permanent("retained"),
            "i-00000003": THROTTLED,
            "i-00000004": Malformed("odd"),
        }

        def check(message: BufferCheck) -> None:
            outcome = outcomes[message.action.instance_id]
            if outcome is not None:
                raise outcome

        world = World(check=check)
        names = list(outcomes)
        batch_ = [record(buffer_check(instance_id=name), message_id=name) for name in names]
        assert world.run(*batch_) == ["i-00000001", "i-00000003"]
        assert world.parts.kept_alive == list(outcomes)[1:]
        assert world.parts.comes_back_in == [60, 15]
        assert [reason for _, reason in world.dead] == ["retained", "odd"]
