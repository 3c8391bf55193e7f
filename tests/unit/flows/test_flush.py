"""The flush waiter, receive by receive; the whole pipeline is in tests/integration."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from lifecycle.adapters.autoscaling import AutoScaling
from lifecycle.adapters.cloud_map import CloudMap
from lifecycle.adapters.instances import Instances
from lifecycle.adapters.queues import Queue
from lifecycle.adapters.run_command import RunCommand
from lifecycle.decisions.heartbeats import HookClock
from lifecycle.flows.batch import Stage
from lifecycle.flows.flush import FlushWaiter
from lifecycle.flows.heartbeats import Heartbeats
from lifecycle.flows.marking import Marker
from lifecycle.flows.placement import Placement
from lifecycle.flows.release import Exit
from lifecycle.flows.stage import Discovery, NextStage
from lifecycle.messages import BufferCheck, FlushCheck, Transition
from lifecycle.settings import FlushWaiterSettings, load_settings
from lifecycle.telemetry import LogEvent, Metric, Runtime
from lifecycle.wiring import polls_of
from tests.support import environments
from tests.support.machines import answer, monitor
from tests.support.messages import (
    INSTANCE_ID,
    NOW,
    OTHER_INSTANCE_ID,
    flush_check,
    record,
    sqs_event,
)
from tests.support.recording import RecordingTelemetry
from tests.support.scripted import NO_ACTIVE_ACTION, THROTTLED, aws_error, scripted

SETTLE = 75.0
COMMAND_TIMEOUT = 55.0
POLL, POLL_MAX = 15, 120
NOT_THERE = aws_error("InstanceNotFound")
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


@dataclass
class World:
    """The waiter with scripted AWS clients around it, settled long ago unless a test says so."""

    is_last: bool = False
    in_cloud_map: bool = True
    registered: Any = NOT_THERE
    completion: Any = field(default_factory=dict)
    heartbeat: Any = field(default_factory=dict)
    now: float = NOW + SETTLE
    agents: Agents = field(default_factory=Agents)
    telemetry: RecordingTelemetry = field(default_factory=RecordingTelemetry)

    def __post_init__(self) -> None:
        self.autoscaling = scripted(
            record_lifecycle_action_heartbeat=self.heartbeat,
            complete_lifecycle_action=self.completion,
            describe_auto_scaling_instances={"AutoScalingInstances": []},
        )
        self.cloud_map = scripted(
            get_instance=self.registered, deregister_instance={"OperationId": "operation-9"}
        )
        self.queue = scripted(change_message_visibility={})
        self.dead_letters = scripted(send_message={})
        self.buffer_queue = scripted(send_message={})
        self.operation_queue = scripted(send_message={})

    def receive(self, *messages: FlushCheck, sent_at: float = NOW) -> list[str]:
        """Hand the waiter a batch; the ids of the messages that come back, m0, m1, ..."""
        records = [
            record(message, message_id=f"m{number}", sent_at=sent_at)
            for number, message in enumerate(messages)
        ]
        returned = self._stage().handle(sqs_event(*records))
        return [str(one["itemIdentifier"]) for one in returned["batchItemFailures"]]

    def _stage(self) -> Stage[FlushCheck]:
        environment = environments.flush_waiter()
        autoscaling = AutoScaling(self.autoscaling)
        instances = Instances(self.ec2)
        runtime = Runtime(self.telemetry, self.clock, self.sleep)
        cloud_map = CloudMap(self.cloud_map, ["srv-1"], 24224)
        discovery = Discovery(
            cloud_map,
            Queue(self.operation_queue, "https://operation"),
            Placement(cloud_map, autoscaling, instances, allow_empty=False, runtime=runtime),
        )
        next_stage = NextStage(BufferCheck, Queue(self.buffer_queue, "https://buffer"), runtime)
        client: Any = self.agents
        settings = load_settings(FlushWaiterSettings, environment)
        waiter = FlushWaiter(
            settings=settings,
            exit=Exit(
                autoscaling=autoscaling,
                marker=Marker(instances, runtime),
                discovery=discovery if self.in_cloud_map else None,
                next_stage=None if self.is_last else next_stage,
                runtime=runtime,
            ),
            run_command=RunCommand(client, "pipeline-flush", 60),
            polls=polls_of(settings),
            runtime=runtime,
        )
        return Stage(
            autoscaling_group_name=settings.autoscaling_group_name,
            model=FlushCheck,
            waiter=waiter,
            queue=Queue(self.queue, "https://flush"),
            dead_letters=Queue(self.dead_letters, "https://flush-dlq"),
            heartbeats=Heartbeats(
                autoscaling,
                instances,
                dict.fromkeys(Transition, HookClock(3600, 120, 360)),
                runtime,
            ),
            polls=waiter.polls,
            runtime=runtime,
        )

    @property
    def ec2(self) -> Any:
        return scripted(create_tags={})

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    @property
    def visibility(self) -> list[int]:
        """In how many seconds each message comes back."""
        calls = self.queue.arguments_of("change_message_visibility")
        return [call["VisibilityTimeout"] for call in calls]

    @property
    def passed_on(self) -> list[dict[str, Any]]:
        calls = self.buffer_queue.arguments_of("send_message")
        return [json.loads(call["MessageBody"]) for call in calls]

    @property
    def completed(self) -> list[str]:
        calls = self.autoscaling.arguments_of("complete_lifecycle_action")
        assert {call["LifecycleActionResult"] for call in calls} <= {"CONTINUE"}
        return [call["InstanceId"] for call in calls]

    @property
    def kept_alive(self) -> list[str]:
        calls = self.autoscaling.arguments_of("record_lifecycle_action_heartbeat")
        return [call["InstanceId"] for call in calls]

    @property
    def dead(self) -> list[str]:
        calls = self.dead_letters.arguments_of("send_message")
        return [call["MessageAttributes"]["Reason"]["StringValue"] for call in calls]

    def verdict(self) -> dict[str, object]:
        return self.telemetry.the(LogEvent.FLUSH_VERDICT).fields


class TestSettling:
    def test_nothing_is_sent_before_forwarders_have_let_go(self) -> None:
        world = World(now=NOW + SETTLE - 40)
        assert world.receive(flush_check()) == ["m0"]
        assert world.agents.sent == []
        assert world.visibility == [40]
        assert world.kept_alive == [INSTANCE_ID]
        assert LogEvent.FLUSH_REQUESTED not in world.telemetry.events

    @pytest.mark.parametrize(("left", "visibility"), [(3, POLL), (40, 40), (3600, POLL_MAX)])
    def test_it_comes_back_when_they_have_in_bounds(self, left: float, visibility: int) -> None:
        world = World(now=NOW + SETTLE - left)
        world.receive(flush_check())
        assert world.visibility == [visibility]

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
        assert world.now == NOW + SETTLE + 21
        assert world.telemetry.the(LogEvent.FLUSH_REQUESTED)["commands"] == {
            INSTANCE_ID: "command-1",
            OTHER_INSTANCE_ID: "command-2",
        }

    def test_a_slow_command_keeps_the_instance_and_the_next_receive_signals_anew(self) -> None:
        world = World()
        world.agents.answers = {INSTANCE_ID: [PENDING]}
        assert world.receive(flush_check()) == ["m0"]
        assert world.now == NOW + SETTLE + COMMAND_TIMEOUT
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
            world.sleep(30)
            return send(**arguments)

        world.agents.send_command = slowly  # type: ignore[method-assign]
        world.receive(flush_check())
        assert world.now == NOW + SETTLE + COMMAND_TIMEOUT

    def test_a_batch_without_a_sound_message_sends_nothing(self) -> None:
        world = World()
        assert world.receive() == []
        foreign = flush_check(autoscaling_group_name="other")
        assert world.receive(foreign) == []
        assert world.agents.sent == []
        assert "is not this pipeline's group" in world.dead[0]


class TestSurprises:
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
        world = World()
        world.agents.refusals = {INSTANCE_ID: refusal}
        other = flush_check(instance_id=OTHER_INSTANCE_ID)
        assert world.receive(flush_check(), other) == ["m0"]
        assert [one["action"]["instance_id"] for one in world.passed_on] == [OTHER_INSTANCE_ID]
        first, second = world.telemetry.of(LogEvent.FLUSH_VERDICT)
        assert (first["verdict"], first["reason"]) == ("UNKNOWN", reason)
        assert second["verdict"] == "FLUSHED"
        assert world.kept_alive == [INSTANCE_ID]

    @pytest.mark.parametrize(
        "surprise", [THROTTLED, aws_error("InvalidCommandId"), ValueError("what?")]
    )
    def test_one_that_cannot_be_looked_up_does_not_touch_the_others(
        self, surprise: Exception
    ) -> None:
        world = World()
        world.agents.answers = {INSTANCE_ID: [surprise]}
        other = flush_check(instance_id=OTHER_INSTANCE_ID)
        assert world.receive(flush_check(), other) == ["m0"]
        assert [one["action"]["instance_id"] for one in world.passed_on] == [OTHER_INSTANCE_ID]
        first, _ = world.telemetry.of(LogEvent.FLUSH_VERDICT)
        assert (first["verdict"], first["reason"]) == ("UNKNOWN", "command_failed")
        assert type(surprise).__name__ in str(first["detail"])

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
        world = World()
        world.agents.answers = {INSTANCE_ID: [odd]}
        other = flush_check(instance_id=OTHER_INSTANCE_ID)
        assert world.receive(flush_check(), other) == ["m0"]
        assert [one["action"]["instance_id"] for one in world.passed_on] == [OTHER_INSTANCE_ID]

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
        ("in_seconds", "visibility"),
        [(-60, POLL), (1, POLL), (40, 42), (3600, POLL_MAX)],
    )
    def test_an_output_in_back_off_is_looked_at_after_its_retry_in_bounds(
        self, in_seconds: float, visibility: int
    ) -> None:
        world = World()
        next_at = world.now + 1 + in_seconds  # one second passes before the first look
        left = monitor(queued=1, bytes=5, retrying=1, retry_next_at=next_at)
        world.agents.answers = {INSTANCE_ID: [success(chunks=1, bytes=5, monitor=left)]}
        assert world.receive(flush_check()) == ["m0"]
        assert world.visibility == [visibility]
        told = world.verdict()
        assert (told["verdict"], told["reason"]) == ("REMAINING", "retrying")
        assert (told["chunks"], told["bytes"], told["set_aside"]) == (1, 5, 0)
        assert told["retry_next_at"] == next_at
        assert told["next_check_seconds"] == visibility

    def test_chunks_set_aside_are_handed_to_a_person_at_once(self) -> None:
        world = World()
        world.agents.answers = {INSTANCE_ID: [success(set_aside=2)]}
        message = flush_check()
        assert world.receive(message) == []
        [reason] = world.dead
        assert reason == "2 backed-up chunks: they would die with the instance"
        [letter] = world.dead_letters.arguments_of("send_message")
        assert json.loads(letter["MessageBody"]) == json.loads(message.model_dump_json())
        assert world.kept_alive == [INSTANCE_ID]  # the person has all the time there is
        assert world.telemetry.total(Metric.CHECK_MESSAGE_DEAD_LETTERED) == 1
        assert world.verdict()["next_check_seconds"] is None
        assert (world.passed_on, world.completed) == ([], [])

    def test_what_takes_too_long_is_handed_to_a_person_with_the_last_verdict(self) -> None:
        world = World(now=NOW + 3601)
        world.agents.answers = {INSTANCE_ID: [success(signalled=False, chunks=1)]}
        assert world.receive(flush_check()) == []
        [reason] = world.dead
        assert "UNKNOWN (not_signalled)" in reason
        assert world.completed == []

    @pytest.mark.parametrize("is_last", [True, False])
    def test_a_heartbeat_is_sent_for_every_instance_that_is_kept(self, is_last: bool) -> None:
        world = World(is_last=is_last)
        world.agents.answers = {INSTANCE_ID: [success(chunks=1)]}
        assert world.receive(flush_check()) == ["m0"]
        assert world.kept_alive == [INSTANCE_ID]
        assert (world.passed_on, world.completed) == ([], [])


class TestLeaving:
    def test_a_flushed_instance_goes_on_with_the_time_of_its_deregistration(self) -> None:
        world = World()
        assert world.receive(flush_check(deregistered_at=NOW - 5, requested_again=2)) == []
        [message] = world.passed_on
        assert message["stage"] == "buffer"
        assert (message["deregistered_at"], message["requested_again"]) == (NOW - 5, 2)
        assert message["action"]["instance_id"] == INSTANCE_ID
        assert world.completed == []
        assert world.telemetry.the(LogEvent.CHECK_MESSAGE_ENQUEUED)["stage"] == "buffer"

    def test_after_the_last_stage_it_is_released_and_counted(self) -> None:
        world = World(is_last=True)
        assert world.receive(flush_check(started_at=NOW - 100)) == []
        assert world.completed == [INSTANCE_ID]
        assert world.passed_on == []
        assert world.telemetry.total(Metric.LIFECYCLE_ACTION_COMPLETED) == 1
        assert world.telemetry.total(Metric.DRAIN_SECONDS) == world.now - (NOW - 100)

    @pytest.mark.parametrize("is_last", [True, False])
    def test_one_that_is_registered_goes_back_to_the_operation_stage(self, is_last: bool) -> None:
        world = World(is_last=is_last, registered={"Instance": {"Id": INSTANCE_ID}})
        assert world.receive(flush_check()) == []
        assert (world.passed_on, world.completed) == ([], [])
        [sent] = world.operation_queue.arguments_of("send_message")
        message = json.loads(sent["MessageBody"])
        assert (message["stage"], message["operation_id"]) == ("operation", None)
        assert message["requested_again"] == 0
        assert world.telemetry.the(LogEvent.STILL_REGISTERED)["instance_id"] == INSTANCE_ID

    @pytest.mark.parametrize("is_last", [True, False])
    def test_one_whose_registration_cannot_be_looked_up_is_kept(self, is_last: bool) -> None:
        world = World(is_last=is_last, registered=THROTTLED)
        assert world.receive(flush_check()) == ["m0"]
        assert (world.passed_on, world.completed) == ([], [])
        assert world.kept_alive == [INSTANCE_ID]

    @pytest.mark.parametrize("is_last", [True, False])
    def test_a_fleet_without_cloud_map_asks_cloud_map_nothing(self, is_last: bool) -> None:
        world = World(is_last=is_last, in_cloud_map=False)
        assert world.receive(flush_check()) == []
        assert world.cloud_map.calls == []
        assert (len(world.completed), len(world.passed_on)) == ((1, 0) if is_last else (0, 1))

    def test_a_release_that_came_before_is_no_error(self) -> None:
        world = World(is_last=True, completion=NO_ACTIVE_ACTION)
        assert world.receive(flush_check()) == []
        ended = world.telemetry.the(LogEvent.LIFECYCLE_ACTION_ALREADY_ENDED)["ended"]
        assert ended == "already_ended_gone"
        assert world.telemetry.total(Metric.LIFECYCLE_ACTION_EXPIRED) == 0

    def test_one_that_is_gone_without_proof_raises_the_alarm(self) -> None:
        world = World(is_last=True, heartbeat=NO_ACTIVE_ACTION)
        world.agents.refusals = {INSTANCE_ID: aws_error("InvalidInstanceId")}
        assert world.receive(flush_check()) == []
        assert world.telemetry.total(Metric.LIFECYCLE_ACTION_EXPIRED) == 1
