"""The flush waiter, receive by receive; the whole pipeline is in tests/integration."""

import json
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from lifecycle.adapters.run_command import RunCommand
from lifecycle.flows.flush import FlushWaiter
from lifecycle.flows.release import Exit
from lifecycle.messages import FlushCheck
from lifecycle.settings import FlushWaiterSettings, load_settings
from lifecycle.telemetry import LogEvent, Metric
from tests.support import environments
from tests.support.machines import answer, monitor
from tests.support.messages import (
    GROUP,
    INSTANCE_ID,
    NOW,
    OTHER_INSTANCE_ID,
    flush_check,
    record,
    sqs_event,
)
from tests.support.parts import Parts, members
from tests.support.scripted import NO_ACTIVE_ACTION, THROTTLED, aws_error

SETTLE = 75.0
COMMAND_TIMEOUT = 55.0
POLL, POLL_MAX = 15, 120
PENDING = {"Status": "InProgress", "StatusDetails": "InProgress"}


def success(**changes: Any) -> dict[str, str]:
    """What GetCommandInvocation says of a script that came to its end."""
    said = json.dumps(answer(**changes)) + "\n"
    return {"Status": "Success", "StatusDetails": "Success", "StandardOutputContent": said}


class Agents:
    """An SSM client whose every instance has its own answers."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.looks: list[str] = []
        self.refusals: dict[str, Exception] = {}
        self.answers: dict[str, list[Any]] = {}

    def send_command(self, **arguments: Any) -> dict[str, Any]:
        [instance_id] = arguments["InstanceIds"]
        if instance_id in self.refusals:
            raise self.refusals[instance_id]
        self.sent.append(instance_id)
        return {"Command": {"CommandId": f"command-{len(self.sent)}"}}

    def get_command_invocation(self, **arguments: Any) -> Any:
        instance_id = arguments["InstanceId"]
        self.looks.append(instance_id)
        answers = self.answers.get(instance_id, [success()])
        said = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(said, BaseException):
            raise said
        return said


class World:
    """The waiter on scripted clients; forwarders stopped sending long ago unless a test says so."""

    def __init__(self, *, is_last: bool = False, now: float = NOW + SETTLE, **answers: Any) -> None:
        self.parts = parts = Parts(**answers)
        parts.now = now
        self.telemetry = parts.telemetry
        self.agents = Agents()
        client: Any = self.agents
        waiter = FlushWaiter(
            settings=load_settings(FlushWaiterSettings, environments.flush_waiter()),
            exit=Exit(
                autoscaling=parts.autoscaling,
                marker=parts.marker,
                discovery=parts.discovery,
                next_stage=None if is_last else parts.next_stage,
                runtime=parts.runtime,
            ),
            run_command=RunCommand(client, "pipeline-flush", 60),
            runtime=parts.runtime,
        )
        self.stage = parts.stage(FlushCheck, waiter)

    def receive(self, *messages: FlushCheck, sent_at: float = NOW) -> list[str]:
        """Hand the waiter a batch; the ids of the messages that come back, m0, m1, ..."""
        records = [
            record(message, message_id=f"m{number}", sent_at=sent_at)
            for number, message in enumerate(messages)
        ]
        returned = self.stage.handle(sqs_event(*records))
        return [str(one["itemIdentifier"]) for one in returned["batchItemFailures"]]

    @property
    def passed_on(self) -> list[dict[str, Any]]:
        return [json.loads(one["MessageBody"]) for one in self.parts.sent_to("buffer")]

    def verdict(self) -> dict[str, object]:
        return self.telemetry.the(LogEvent.FLUSH_VERDICT).fields


class TestSettling:
    def test_nothing_is_sent_before_forwarders_have_stopped_sending(self) -> None:
        world = World(now=NOW + SETTLE - 40)
        assert world.receive(flush_check()) == ["m0"]
        assert world.agents.sent == []
        assert world.parts.comes_back_in == [40]
        assert world.parts.kept_alive == [INSTANCE_ID]
        assert LogEvent.FLUSH_REQUESTED not in world.telemetry.events

    @pytest.mark.parametrize(("left", "visibility"), [(3, 3), (40, 40), (3600, POLL_MAX)])
    def test_it_comes_back_when_they_have_in_bounds(self, left: float, visibility: int) -> None:
        world = World(now=NOW + SETTLE - left)
        world.receive(flush_check())
        assert world.parts.comes_back_in == [visibility]

    def test_at_that_very_moment_it_is_sent(self) -> None:
        world = World(now=NOW + SETTLE)
        assert world.receive(flush_check()) == []
        assert world.agents.sent == [INSTANCE_ID]

    def test_one_that_is_not_due_is_untouched_by_one_that_is(self) -> None:
        world = World()
        early = flush_check(instance_id=OTHER_INSTANCE_ID, deregistered_at=NOW + 60)
        assert world.receive(flush_check(), early) == ["m1"]
        assert world.agents.sent == [INSTANCE_ID]

    def test_a_second_message_that_is_not_due_does_not_pass_on_the_firsts_proof(self) -> None:
        world = World()
        assert world.receive(flush_check(), flush_check(deregistered_at=NOW + 60)) == ["m1"]
        assert len(world.passed_on) == 1


class TestSending:
    def test_two_messages_of_one_instance_are_one_command(self) -> None:
        world = World()
        assert world.receive(flush_check(), flush_check()) == []
        assert world.agents.sent == [INSTANCE_ID]

    def test_all_commands_run_side_by_side(self) -> None:
        world = World()
        world.agents.answers = {
            one: [PENDING] * 20 + [success()] for one in (INSTANCE_ID, OTHER_INSTANCE_ID)
        }
        world.receive(flush_check(), flush_check(instance_id=OTHER_INSTANCE_ID))
        assert len(world.passed_on) == 2
        assert world.parts.now == NOW + SETTLE + 21
        assert world.telemetry.the(LogEvent.FLUSH_REQUESTED)["commands"] == {
            INSTANCE_ID: "command-1",
            OTHER_INSTANCE_ID: "command-2",
        }

    def test_a_slow_command_keeps_the_instance_and_the_next_receive_signals_anew(self) -> None:
        world = World()
        world.agents.answers = {INSTANCE_ID: [PENDING]}
        assert world.receive(flush_check()) == ["m0"]
        assert world.parts.now == NOW + SETTLE + COMMAND_TIMEOUT
        assert (world.verdict()["verdict"], world.verdict()["reason"]) == (
            "UNKNOWN",
            "not_finished",
        )
        assert world.passed_on == []
        world.agents.answers = {INSTANCE_ID: [success()]}
        assert world.receive(flush_check()) == []
        assert world.agents.sent == [INSTANCE_ID, INSTANCE_ID]

    def test_the_time_that_sending_takes_is_the_commands_own(self) -> None:
        """The function must end in time, however slow SSM is."""
        world = World()
        world.agents.answers = {INSTANCE_ID: [PENDING]}
        send = world.agents.send_command

        def slowly(**arguments: Any) -> dict[str, Any]:
            world.parts.sleep(30)
            return send(**arguments)

        world.agents.send_command = slowly  # type: ignore[method-assign]
        world.receive(flush_check())
        assert world.parts.now == NOW + SETTLE + COMMAND_TIMEOUT

    def test_a_batch_without_a_sound_message_sends_nothing(self) -> None:
        world = World()
        assert world.receive() == []
        foreign = flush_check(autoscaling_group_name="other")
        assert world.receive(foreign) == []
        assert world.agents.sent == []
        assert "is not this pipeline's group" in world.parts.dead_letters("flush")[0][1]


class TestServing:
    """A redriven message may be of an instance that serves by now, here or in another group."""

    @pytest.mark.parametrize(("group", "comes_back"), [(GROUP, ["m0"]), ("aggregators-green", [])])
    def test_one_that_serves_is_not_flushed_and_the_other_one_is(
        self, group: str, comes_back: list[str]
    ) -> None:
        serving = members({INSTANCE_ID: "InService"}, group=group)
        world = World(describe_auto_scaling_instances=serving)
        other = flush_check(instance_id=OTHER_INSTANCE_ID)
        assert world.receive(flush_check(), other) == comes_back
        assert len(world.parts.dead_letters("flush")) == 1 - len(comes_back)
        assert world.agents.sent == [OTHER_INSTANCE_ID]

    def test_nothing_is_flushed_while_auto_scaling_does_not_say_where_it_is(self) -> None:
        world = World(describe_auto_scaling_instances=THROTTLED)
        assert world.receive(flush_check()) == ["m0"]
        assert world.agents.sent == []
        assert world.parts.kept_alive == [INSTANCE_ID]


class TestUnexpectedErrors:
    def other_is_flushed(self, **agents: Any) -> World:
        world = World()
        vars(world.agents).update(agents)
        other = flush_check(instance_id=OTHER_INSTANCE_ID)
        assert world.receive(flush_check(), other) == ["m0"]
        assert [one["action"]["instance_id"] for one in world.passed_on] == [OTHER_INSTANCE_ID]
        return world

    @pytest.mark.parametrize(
        ("refusal", "reason"),
        [
            (aws_error("InvalidInstanceId", "not in a valid state"), "agent_not_reachable"),
            (THROTTLED, "command_failed"),
            (aws_error("AccessDeniedException"), "command_failed"),
            (EndpointConnectionError(endpoint_url="https://ssm"), "command_failed"),
            (KeyError("CommandId"), "command_failed"),
        ],
    )
    def test_one_that_cannot_be_sent_does_not_touch_the_others(
        self, refusal: Exception, reason: str
    ) -> None:
        world = self.other_is_flushed(refusals={INSTANCE_ID: refusal})
        first, second = world.telemetry.of(LogEvent.FLUSH_VERDICT)
        assert (first["verdict"], first["reason"]) == ("UNKNOWN", reason)
        assert second["verdict"] == "FLUSHED"
        assert world.parts.kept_alive == [INSTANCE_ID]

    @pytest.mark.parametrize(
        "error", [THROTTLED, aws_error("InvalidCommandId"), ValueError("what?")]
    )
    def test_one_that_cannot_be_looked_up_does_not_touch_the_others(self, error: Exception) -> None:
        world = self.other_is_flushed(answers={INSTANCE_ID: [error]})
        first, _ = world.telemetry.of(LogEvent.FLUSH_VERDICT)
        assert (first["verdict"], first["reason"]) == ("UNKNOWN", "command_failed")
        assert type(error).__name__ in str(first["detail"])

    @pytest.mark.parametrize(
        "odd",
        [
            {"Status": "", "StatusDetails": 1},
            {"Status": "Success", "StandardOutputContent": None},
            [],
        ],
    )
    def test_an_answer_of_another_form_does_not_touch_the_others(self, odd: Any) -> None:
        # Found by fuzzing.
        self.other_is_flushed(answers={INSTANCE_ID: [odd]})

    def test_a_command_that_ssm_does_not_know_yet_is_waited_for(self) -> None:
        world = World()
        world.agents.answers = {INSTANCE_ID: [aws_error("InvocationDoesNotExist"), success()]}
        assert world.receive(flush_check()) == []
        assert len(world.passed_on) == 1

    def test_one_that_is_done_is_not_looked_up_again(self) -> None:
        world = World()
        world.agents.answers = {INSTANCE_ID: [PENDING] * 5 + [success()]}
        world.receive(flush_check(), flush_check(instance_id=OTHER_INSTANCE_ID))
        assert world.agents.looks.count(OTHER_INSTANCE_ID) == 1


class TestVerdicts:
    @pytest.mark.parametrize(
        ("in_seconds", "visibility"), [(-60, POLL), (1, POLL), (40.2, 43), (3600, POLL_MAX)]
    )
    def test_an_output_in_back_off_is_looked_at_after_its_retry_in_bounds(
        self, in_seconds: float, visibility: int
    ) -> None:
        world = World()
        next_at = world.parts.now + 1 + in_seconds  # one second passes before the first look
        left = monitor(queued=1, bytes=5, retrying=1, retry_next_at=next_at)
        world.agents.answers = {INSTANCE_ID: [success(chunks=1, bytes=5, monitor=left)]}
        assert world.receive(flush_check()) == ["m0"]
        assert world.parts.comes_back_in == [visibility]
        told = world.verdict()
        assert (told["verdict"], told["reason"]) == ("REMAINING", "retrying")
        assert (told["chunks"], told["bytes"], told["set_aside"]) == (1, 5, 0)
        assert told["retry_next_at"] == next_at
        assert told["not_before"] == max(next_at + 2, world.parts.now + POLL)

    def test_backed_up_chunks_are_dead_lettered_at_once(self) -> None:
        world = World()
        world.agents.answers = {INSTANCE_ID: [success(set_aside=2)]}
        message = flush_check()
        assert world.receive(message) == []
        [(body, reason)] = world.parts.dead_letters("flush")
        assert reason == "2 backed-up chunks: they would die with the instance"
        assert body == message.model_dump_json()
        # A last heartbeat: the operator has all the time there is.
        assert world.parts.done == ["record", "send flush-dlq"]
        assert world.telemetry.total(Metric.CHECK_MESSAGE_DEAD_LETTERED) == 1
        assert world.verdict()["not_before"] is None

    def test_what_takes_too_long_is_dead_lettered_with_the_last_verdict(self) -> None:
        world = World(now=NOW + 3601)
        world.agents.answers = {INSTANCE_ID: [success(signalled=False, chunks=1)]}
        assert world.receive(flush_check()) == []
        [(_, reason)] = world.parts.dead_letters("flush")
        assert "UNKNOWN (not_signalled)" in reason
        assert world.parts.done == ["record", "send flush-dlq"]

    @pytest.mark.parametrize("is_last", [True, False])
    def test_a_heartbeat_is_sent_for_every_instance_that_is_kept(self, is_last: bool) -> None:
        world = World(is_last=is_last)
        world.agents.answers = {INSTANCE_ID: [success(chunks=1)]}
        assert world.receive(flush_check()) == ["m0"]
        assert world.parts.done == ["record"]


class TestLeaving:
    def test_a_flushed_instance_goes_on_with_the_time_of_its_deregistration(self) -> None:
        world = World()
        assert world.receive(flush_check(deregistered_at=NOW - 5, requested_again=2)) == []
        [message] = world.passed_on
        assert message["stage"] == "buffer"
        assert (message["deregistered_at"], message["requested_again"]) == (NOW - 5, 2)
        assert message["action"]["instance_id"] == INSTANCE_ID
        assert world.parts.done == ["send buffer"]
        assert world.telemetry.the(LogEvent.CHECK_MESSAGE_ENQUEUED)["stage"] == "buffer"

    def test_after_the_last_stage_it_is_released_and_counted(self) -> None:
        world = World(is_last=True)
        assert world.receive(flush_check(started_at=NOW - 100)) == []
        assert world.parts.done == ["tag proven", "complete"]
        assert world.telemetry.total(Metric.LIFECYCLE_ACTION_COMPLETED) == 1
        assert world.telemetry.total(Metric.DRAIN_SECONDS) == world.parts.now - (NOW - 100)

    def test_one_that_ended_without_a_proof_raises_the_alarm(self) -> None:
        world = World(is_last=True, record_lifecycle_action_heartbeat=NO_ACTIVE_ACTION)
        world.agents.refusals = {INSTANCE_ID: aws_error("InvalidInstanceId")}
        assert world.receive(flush_check()) == []
        assert world.telemetry.total(Metric.LIFECYCLE_ACTION_EXPIRED) == 1
