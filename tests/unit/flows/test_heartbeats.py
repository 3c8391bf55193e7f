"""Heartbeats that fail: what is counted, what the instance's tag says, and what needs no call."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError

from lifecycle.adapters.autoscaling import AutoScaling, Heartbeat
from lifecycle.adapters.instances import Instances
from lifecycle.decisions.heartbeats import HEARTBEATS_TAG_KEY, Failing, HookClock, Receive, Silence
from lifecycle.flows.heartbeats import Heartbeats
from lifecycle.messages import Transition
from lifecycle.telemetry import LogEvent, Metric, Runtime
from tests.support.messages import INSTANCE_ID, NOW, OTHER_INSTANCE_ID, action, described
from tests.support.recording import RecordingTelemetry
from tests.support.scripted import NO_ACTIVE_ACTION, THROTTLED, aws_error, scripted

DENIED = aws_error("AccessDenied")
UNREACHABLE = ConnectTimeoutError(endpoint_url="https://ec2")
HOOK = HookClock(timeout_seconds=3600, longest_pause_seconds=120, visibility_timeout_seconds=360)
LAUNCH_HOOK = HookClock(900, 120, 360)
STARTED_AT, SENT_AT = NOW - 5000, NOW - 1000
FIRST = Failing(NOW - 120, NOW, 8, "m1")


@dataclass
class World:
    """Heartbeats with scripted AWS clients around them."""

    beat: Any = DENIED
    tag: str | None = None
    seen: Any = None
    written: Any = field(default_factory=dict)
    removed: Any = field(default_factory=dict)
    telemetry: RecordingTelemetry = field(default_factory=RecordingTelemetry)

    def __post_init__(self) -> None:
        tags = {} if self.tag is None else {HEARTBEATS_TAG_KEY: self.tag}
        found = described(INSTANCE_ID, OTHER_INSTANCE_ID, **tags)
        self.autoscaling = scripted(record_lifecycle_action_heartbeat=self.beat)
        self.ec2 = scripted(
            describe_instances=found if self.seen is None else self.seen,
            create_tags=self.written,
            delete_tags=self.removed,
        )
        self.heartbeats = Heartbeats(
            AutoScaling(self.autoscaling),
            Instances(self.ec2, "pipeline"),
            {Transition.TERMINATING: HOOK, Transition.LAUNCHING: LAUNCH_HOOK},
            Runtime(self.telemetry, lambda: NOW),
        )
        self.heartbeats.begin([INSTANCE_ID, OTHER_INSTANCE_ID])

    def send(self, count: int = 8, **changes: Any) -> tuple[Heartbeat, Silence | None]:
        at = changes.pop("at", NOW)
        sent = action(**{"started_at": STARTED_AT, **changes})
        return self.heartbeats.send(sent, Receive("m1", count, SENT_AT, at))

    def silence(self, count: int = 8, **changes: Any) -> Silence:
        outcome, silence = self.send(count, **changes)
        assert outcome is Heartbeat.FAILED
        assert silence is not None
        return silence

    @property
    def tags_written(self) -> list[str]:
        return [call["Tags"][0]["Value"] for call in self.ec2.arguments_of("create_tags")]

    @property
    def urgencies(self) -> list[float]:
        return [v for metric, v in self.telemetry.values if metric is Metric.HEARTBEATS_FAILED]


class TestRecorded:
    def test_a_heartbeat_that_is_recorded_costs_no_further_call(self) -> None:
        world = World(beat={})
        assert world.send() == (Heartbeat.RECORDED, None)
        assert len(world.autoscaling.calls) == 1
        assert world.ec2.calls == []
        assert world.telemetry.lines == []
        assert world.telemetry.values == []

    def test_the_next_success_removes_the_tag_once(self) -> None:
        world = World(beat=[DENIED, {}])
        world.send()
        for _ in range(3):
            assert world.send() == (Heartbeat.RECORDED, None)
        assert world.ec2.arguments_of("delete_tags") == [
            {"Resources": [INSTANCE_ID], "Tags": [{"Key": HEARTBEATS_TAG_KEY}]}
        ]

    def test_a_tag_that_cannot_be_removed_is_tried_again_and_loses_nothing(self) -> None:
        world = World(beat=[DENIED, {}], removed=[THROTTLED, {}])
        world.send()
        for _ in range(3):
            assert world.send() == (Heartbeat.RECORDED, None)
        assert len(world.ec2.arguments_of("delete_tags")) == 2
        assert world.telemetry.the(LogEvent.MARK_FAILED)["mark"] == "failing_heartbeats"

    def test_the_success_of_one_instance_says_nothing_of_another(self) -> None:
        world = World(beat=[DENIED, {}])
        world.send()
        world.send(instance_id=OTHER_INSTANCE_ID)
        assert world.ec2.arguments_of("delete_tags") == []


class TestEnded:
    def test_a_hook_that_has_ended_is_no_failure_of_heartbeats(self) -> None:
        world = World(beat=NO_ACTIVE_ACTION)
        assert world.send() == (Heartbeat.NO_ACTIVE_ACTION, None)
        assert world.urgencies == []
        assert world.ec2.calls == []
        assert world.telemetry.the(LogEvent.HEARTBEAT_FAILED).level == "WARNING"


class TestFirstFailure:
    def test_it_is_written_on_the_instance_and_counted_as_the_first(self) -> None:
        world = World()
        assert world.silence() == Silence(NOW - 120, is_repeated=False, hook=HOOK)
        assert world.ec2.arguments_of("create_tags") == [
            {
                "Resources": [INSTANCE_ID],
                "Tags": [{"Key": "fluentd-lifecycle-heartbeats-failing", "Value": str(FIRST)}],
            }
        ]
        assert world.urgencies == [1]

    def test_its_log_line_says_what_aws_answered_and_until_when_the_instance_is_kept(self) -> None:
        world = World()
        world.silence()
        line = world.telemetry.the(LogEvent.HEARTBEAT_FAILED)
        assert line.level == "WARNING"
        assert (line["outcome"], line["answer"]) == ("failed", str(DENIED))
        assert line["failing_since"] == "2023-11-14T22:11:20Z"
        assert line["kept_until"] == "2023-11-14T23:11:20Z"

    def test_a_launching_instance_is_kept_by_its_own_hook(self) -> None:
        assert World().silence(transition=Transition.LAUNCHING).kept_until == NOW - 120 + 900

    def test_it_is_reported_at_once_for_the_invocation_may_not_end(self) -> None:
        world = World()
        world.silence()
        assert world.telemetry.flushed == 1


class TestFailureInARow:
    def test_it_counts_from_the_first_and_is_more_urgent(self) -> None:
        world = World(tag=str(FIRST))
        assert world.silence(9, at=NOW + 15).since == NOW - 120
        assert world.urgencies == [2]
        assert world.telemetry.the(LogEvent.HEARTBEAT_FAILED).level == "ERROR"

    def test_the_tag_says_which_receive_failed_last(self) -> None:
        world = World(tag=str(FIRST))
        world.silence(9, at=NOW + 15)
        assert world.tags_written == [str(Failing(NOW - 120, NOW + 15, 9, "m1"))]

    def test_half_of_the_hooks_timeout_is_more_urgent_still(self) -> None:
        world = World(tag=str(Failing(NOW - 120, NOW + 1665, 8, "m1")))
        world.silence(9, at=NOW + 1680)
        assert world.urgencies == [3]

    def test_a_tag_that_another_process_left_is_told_by_its_receives(self) -> None:
        world = World(tag=str(FIRST))
        world.silence(10, at=NOW + 30)
        assert world.urgencies == [1]

    def test_without_the_new_tag_it_still_counts_from_the_first(self) -> None:
        world = World(tag=str(FIRST), written=DENIED)
        assert world.silence(9, at=NOW + 15).since == NOW - 120
        assert world.urgencies == [2]


class TestNoTag:
    """What stops heartbeats may stop tags: then the failure is not the first one, and never new."""

    @pytest.mark.parametrize(
        "trouble",
        [
            {"seen": DENIED},
            {"seen": UNREACHABLE},
            {"seen": {"Reservations": []}},
            {"tag": "another program's"},
            {"written": DENIED},
            {"written": UNREACHABLE},
        ],
    )
    def test_it_counts_from_the_oldest_moment_that_is_possible(
        self, trouble: dict[str, Any]
    ) -> None:
        world = World(**trouble)
        assert world.silence(started_at=NOW - 1500) == Silence(
            NOW - 1500, is_repeated=True, hook=HOOK
        )
        assert world.urgencies == [2]
        assert world.telemetry.the(LogEvent.MARK_FAILED).level == "WARNING"

    @pytest.mark.parametrize("trouble", [{"seen": DENIED}, {"tag": "another program's"}])
    def test_what_cannot_be_read_is_not_written_over(self, trouble: dict[str, Any]) -> None:
        world = World(**trouble)
        world.silence()
        assert world.tags_written == []

    def test_tags_that_cannot_be_read_cost_a_batch_one_call(self) -> None:
        world = World(seen=UNREACHABLE)
        world.silence()
        world.silence(instance_id=OTHER_INSTANCE_ID)
        assert len(world.ec2.calls) == 1
        assert world.urgencies == [3, 3]

    def test_the_next_batch_reads_them_anew(self) -> None:
        world = World(seen=[UNREACHABLE, described(INSTANCE_ID)])
        world.silence()
        world.heartbeats.begin([INSTANCE_ID])
        world.silence()
        assert world.urgencies == [3, 1]


def test_one_call_reads_the_tags_of_a_batch() -> None:
    world = World()
    world.silence()
    world.silence(instance_id=OTHER_INSTANCE_ID)
    [call] = world.ec2.arguments_of("describe_instances")
    assert call["Filters"][0]["Values"] == [INSTANCE_ID, OTHER_INSTANCE_ID]
