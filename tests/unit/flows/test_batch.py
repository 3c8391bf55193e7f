"""Batches: what comes back, when, with a heartbeat, and what a person gets to see."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError

from lifecycle.adapters.autoscaling import AutoScaling
from lifecycle.adapters.instances import Instances
from lifecycle.adapters.queues import Queue
from lifecycle.decisions.heartbeats import HEARTBEATS_TAG_KEY, Failing, HookClock
from lifecycle.decisions.polling import PollPolicy
from lifecycle.errors import Malformed, NotReady, Permanent, UnexpectedState
from lifecycle.flows.batch import Stage
from lifecycle.flows.heartbeats import Heartbeats
from lifecycle.messages import BufferCheck, Transition
from lifecycle.telemetry import LogEvent, Metric, Runtime
from tests.support.messages import (
    GROUP,
    INSTANCE_ID,
    NOW,
    OTHER_INSTANCE_ID,
    TERMINATE_HOOK,
    buffer_check,
    described,
    operation_check,
    record,
    sqs_event,
)
from tests.support.recording import RecordingTelemetry
from tests.support.scripted import NO_ACTIVE_ACTION, THROTTLED, aws_error, scripted

TIMEOUT, HOOK, VISIBILITY = 3600.0, 3600.0, 360.0
POLL, POLL_MAX = 15.0, 120.0
TOO_LATE = NOW + TIMEOUT + 1


def done(message: BufferCheck) -> None:
    """The message is done with."""


def raising(error: Exception) -> Callable[[BufferCheck], None]:
    def check(message: BufferCheck) -> None:
        raise error

    return check


@dataclass
class World:
    """A stage with scripted AWS clients around it."""

    check: Callable[[BufferCheck], None] = done
    waited_for: Callable[[BufferCheck], bool] = field(default=lambda _message: True)
    now: float = NOW
    heartbeat: Any = field(default_factory=dict)
    described: Any = field(default_factory=lambda: described(INSTANCE_ID, OTHER_INSTANCE_ID))
    tagging: Any = field(default_factory=dict)
    visibility: Any = field(default_factory=dict)
    dead_letter: Any = field(default_factory=dict)
    telemetry: RecordingTelemetry = field(default_factory=RecordingTelemetry)
    begun_with: list[list[BufferCheck]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.autoscaling = scripted(record_lifecycle_action_heartbeat=self.heartbeat)
        self.ec2 = scripted(
            describe_instances=self.described, create_tags=self.tagging, delete_tags={}
        )
        self.queue = scripted(change_message_visibility=self.visibility)
        self.dead_letters = scripted(send_message=self.dead_letter)

    def run(self, *records: dict[str, Any]) -> list[str]:
        """Process a batch; return the ids of the messages that come back."""
        answer = self._stage().handle(sqs_event(*records))
        assert list(answer) == ["batchItemFailures"]
        return [str(item["itemIdentifier"]) for item in answer["batchItemFailures"]]

    @property
    def heartbeats(self) -> list[str]:
        """The instances whose hooks were kept alive."""
        calls = self.autoscaling.arguments_of("record_lifecycle_action_heartbeat")
        return [call["InstanceId"] for call in calls]

    @property
    def dead(self) -> list[tuple[str, str]]:
        """Body and reason of each dead letter."""
        return [
            (call["MessageBody"], call["MessageAttributes"]["Reason"]["StringValue"])
            for call in self.dead_letters.arguments_of("send_message")
        ]

    def comes_back_in(self) -> list[int]:
        """Visibility timeouts, in order."""
        calls = self.queue.arguments_of("change_message_visibility")
        return [call["VisibilityTimeout"] for call in calls]

    def begin(self, messages: Sequence[BufferCheck]) -> Callable[[BufferCheck], None]:
        self.begun_with.append(list(messages))
        return self.check

    def still_waited_for(self, message: BufferCheck) -> bool:
        return self.waited_for(message)

    def _stage(self) -> Stage[BufferCheck]:
        runtime = Runtime(self.telemetry, lambda: self.now)
        return Stage(
            autoscaling_group_name=GROUP,
            model=BufferCheck,
            waiter=self,
            queue=Queue(self.queue, "https://sqs/buffer"),
            dead_letters=Queue(self.dead_letters, "https://sqs/buffer-dlq"),
            heartbeats=Heartbeats(
                AutoScaling(self.autoscaling),
                Instances(self.ec2),
                dict.fromkeys(Transition, HookClock(HOOK, POLL_MAX, VISIBILITY)),
                runtime,
            ),
            polls=PollPolicy(POLL, POLL_MAX, TIMEOUT),
            runtime=runtime,
        )


class TestDone:
    def test_a_message_that_is_done_with_is_deleted_without_another_call(self) -> None:
        world = World()
        assert world.run(record(buffer_check())) == []
        assert world.autoscaling.calls == world.queue.calls == world.dead_letters.calls == []

    def test_no_heartbeat_is_sent_after_the_release(self) -> None:
        world = World(check=done)
        world.run(record(buffer_check()), record(buffer_check(instance_id=OTHER_INSTANCE_ID)))
        assert world.heartbeats == []

    def test_metrics_are_handed_over_once_a_batch(self) -> None:
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
        assert world.heartbeats == [INSTANCE_ID]
        assert world.dead == []

    def test_waiting_is_neither_an_error_nor_a_warning(self) -> None:
        world = World(check=raising(NotReady("draining")))
        world.run(record(buffer_check()))
        assert world.telemetry.lines == []

    @pytest.mark.parametrize(
        ("pause_seconds", "seconds"), [(None, 15), (15.0, 15), (42.4, 42), (120.0, 120)]
    )
    def test_it_comes_back_after_the_pause_that_its_check_names(
        self, pause_seconds: float | None, seconds: int
    ) -> None:
        world = World(check=raising(NotReady("draining", pause_seconds=pause_seconds)))
        world.run(record(buffer_check(), message_id="m1"))
        assert world.queue.calls == [
            (
                "change_message_visibility",
                {
                    "QueueUrl": "https://sqs/buffer",
                    "ReceiptHandle": "receipt-handle-of-m1",
                    "VisibilityTimeout": seconds,
                },
            )
        ]

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
            assert world.comes_back_in() == [15]

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
            check=settings.pop("check", raising(NotReady("draining", pause_seconds=120.0))),
            now=now,
            heartbeat=THROTTLED,
            described=described(INSTANCE_ID, **tags),
            **settings,
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
        assert world.comes_back_in() == [120]

    def test_the_next_poll_comes_when_the_stage_times_out_not_after_it(self) -> None:
        world = self.failing(HOOK * 2 / 3 - 30)
        world.run(self.receive())
        assert world.comes_back_in() == [30]

    def test_without_a_tag_the_deadline_counts_from_the_begin_of_the_wait(self) -> None:
        world = self.failing(HOOK * 2 / 3)
        world.ec2 = scripted(describe_instances=aws_error("UnauthorizedOperation"))
        assert world.run(self.receive()) == []
        assert len(world.dead) == 1

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
        world = World(check=raising(NotReady("draining", pause_seconds=120.0)))
        world.now = NOW + TIMEOUT - 20.5
        world.run(record(buffer_check()))
        assert world.comes_back_in() == [21]


class TestHookThatEnded:
    def test_a_message_that_nobody_waits_for_any_more_is_deleted(self) -> None:
        world = World(
            check=raising(NotReady("no series")),
            heartbeat=NO_ACTIVE_ACTION,
            waited_for=lambda _message: False,
        )
        assert world.run(record(buffer_check())) == []
        assert world.dead == []
        assert world.comes_back_in() == []
        assert world.telemetry.the(LogEvent.HEARTBEAT_FAILED)["outcome"] == "no_active_action"

    def test_a_message_that_is_still_waited_for_comes_back(self) -> None:
        world = World(check=raising(NotReady("no series")), heartbeat=NO_ACTIVE_ACTION)
        assert world.run(record(buffer_check(), message_id="m1")) == ["m1"]

    def test_not_knowing_whether_it_is_waited_for_counts_as_waiting(self) -> None:
        def cannot_tell(message: BufferCheck) -> bool:
            raise THROTTLED

        world = World(
            check=raising(NotReady("no series")),
            heartbeat=NO_ACTIVE_ACTION,
            waited_for=cannot_tell,
        )
        assert world.run(record(buffer_check(), message_id="m1")) == ["m1"]
        assert world.telemetry.the(LogEvent.CHECK_FAILED).level == "ERROR"


class TestGivingUp:
    def late(self, **settings: Any) -> World:
        check = settings.pop("check", raising(NotReady("UNKNOWN (gap): 90 s without a sample")))
        return World(check=check, now=NOW + TIMEOUT + 1, **settings)

    def test_the_deadline_itself_is_not_past_the_deadline(self) -> None:
        world = self.late()
        world.now = NOW + TIMEOUT
        assert world.run(record(buffer_check(), message_id="m1")) == ["m1"]

    def test_past_the_deadline_one_last_heartbeat_then_the_dead_letter_queue(self) -> None:
        world = self.late()
        message = record(buffer_check(), receive_count=97)
        assert world.run(message) == []
        assert world.heartbeats == [INSTANCE_ID]
        assert world.dead == [
            (message["body"], "not done after 3601 s: UNKNOWN (gap): 90 s without a sample")
        ]
        assert world.comes_back_in() == []

    def test_the_deadline_counts_from_the_arrival_in_this_queue_not_from_the_hook(self) -> None:
        world = self.late()
        redriven = record(buffer_check(started_at=NOW - 86_400), sent_at=world.now - 1)
        assert len(world.run(redriven)) == 1
        assert world.dead == []

    def test_an_instance_that_is_done_in_the_last_moment_is_not_given_up(self) -> None:
        world = self.late(check=done)
        assert world.run(record(buffer_check())) == []
        assert world.dead == []

    def test_a_surprise_past_the_deadline_is_given_up_too(self) -> None:
        world = self.late(check=raising(THROTTLED))
        assert world.run(record(buffer_check())) == []
        assert "Rate exceeded" in world.dead[0][1]

    def test_a_dead_letter_is_counted_and_logged_with_all_that_a_person_needs(self) -> None:
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
            pytest.param(buffer_check(), raising(Permanent("set aside")), NOW, id="permanent"),
            pytest.param(buffer_check(), raising(NotReady("gap")), TOO_LATE, id="not-done"),
            pytest.param(buffer_check(), raising(THROTTLED), TOO_LATE, id="surprise"),
        ],
    )
    def test_every_way_to_the_dead_letter_queue_is_measured_since_that_calls_a_person(
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

    def test_whoever_is_called_gets_all_the_time_of_one_more_heartbeat(self) -> None:
        world = World(check=raising(Permanent("registered again and again")))
        world.run(record(buffer_check()))
        assert world.heartbeats == [INSTANCE_ID]

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

    def test_a_message_that_would_give_up_again_at_once_is_set_aside_as_a_fresh_one(self) -> None:
        fresh = buffer_check(requested_again=0).model_dump_json()
        world = World(check=raising(Permanent("four requests failed", redrive_with=fresh)))
        assert world.run(record(buffer_check(requested_again=3))) == []
        assert world.dead == [(fresh, "four requests failed")]

    def test_if_the_dead_letter_queue_refuses_it_comes_back(self) -> None:
        for error in (THROTTLED, aws_error("AccessDenied")):
            world = World(check=raising(Permanent("retained")), dead_letter=error)
            assert world.run(record(buffer_check(), message_id="m1")) == ["m1"]


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
        assert world.heartbeats == []

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

    def test_if_the_dead_letter_queue_refuses_only_it_comes_back(self) -> None:
        world = World(dead_letter=THROTTLED)
        batch_ = [record(buffer_check(), message_id="m1"), record("hello", message_id="m2")]
        assert world.run(*batch_) == ["m2"]


class TestStrangers:
    def test_a_message_of_another_group_is_neither_checked_nor_kept_alive(self) -> None:
        world = World(check=raising(AssertionError("must not be checked")))
        message = record(buffer_check(autoscaling_group_name="other"))
        assert world.run(message) == []
        assert world.begun_with == [[]]  # what a stage does for a whole batch is not for it either
        [(body, reason)] = world.dead
        assert body == message["body"]
        assert reason == "action.autoscaling_group_name: 'other' is not this pipeline's group"
        assert world.heartbeats == []


class TestSurprises:
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
    def test_a_surprise_is_unknown_so_the_message_comes_back(self, error: Exception) -> None:
        world = World(check=raising(error))
        assert world.run(record(buffer_check(), message_id="m1")) == ["m1"]
        assert world.heartbeats == [INSTANCE_ID]
        assert world.comes_back_in() == [15]

    def test_it_is_logged_as_an_error_with_its_traceback(self) -> None:
        error = KeyError("Operation")
        world = World(check=raising(error))
        world.run(record(buffer_check()))
        line = world.telemetry.the(LogEvent.CHECK_FAILED)
        assert (line.level, line.exception) == ("ERROR", error)
        assert line["reason"] == "KeyError: 'Operation'"

    def test_it_does_not_touch_the_rest_of_its_batch(self) -> None:
        def check(message: BufferCheck) -> None:
            if message.action.instance_id == INSTANCE_ID:
                raise ZeroDivisionError

        world = World(check=check)
        returned = world.run(
            record(buffer_check(), message_id="m1"),
            record(buffer_check(instance_id=OTHER_INSTANCE_ID), message_id="m2"),
        )
        assert returned == ["m1"]

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

    def test_a_batch_of_nothing_but_failures_is_still_no_error(self) -> None:
        # An error would make Lambda back off and count a bug.
        world = World(check=raising(NotReady("draining")))
        names = [f"m{number}" for number in range(10)]
        assert world.run(*(record(buffer_check(), message_id=name) for name in names)) == names

    def test_each_outcome_concerns_its_own_message_only(self) -> None:
        outcomes: dict[str, Exception | None] = {
            "i-00000000": None,
            "i-00000001": NotReady("draining", pause_seconds=60),
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
        assert world.heartbeats == list(outcomes)[1:]
        assert world.comes_back_in() == [60, 15]
        assert [reason for _, reason in world.dead] == ["retained", "odd"]

    def test_the_stand_in_for_aws_does_raise(self) -> None:
        # Guards the guards: a scripted error that came out as an answer would prove nothing.
        with contextlib.suppress(ClientError):
            scripted(send_message=THROTTLED).send_message()
            pytest.fail("nothing was raised")
