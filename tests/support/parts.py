"""The parts that flows are made of, on a scripted client, at a time that a test sets."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from lifecycle.adapters.autoscaling import AutoScaling
from lifecycle.adapters.cloud_map import CloudMap
from lifecycle.adapters.instances import Instances
from lifecycle.adapters.queues import Queue
from lifecycle.decisions.heartbeats import HookClock
from lifecycle.decisions.marks import OWNER_TAG_KEY, TAG_KEY, Mark, MarkKind
from lifecycle.decisions.ownership import Module
from lifecycle.decisions.polling import PollPolicy
from lifecycle.flows.batch import Stage, Waiter
from lifecycle.flows.heartbeats import Heartbeats
from lifecycle.flows.marking import Marker
from lifecycle.flows.ownership import Scope
from lifecycle.flows.placement import Placement
from lifecycle.flows.stage import Discovery, NextStage
from lifecycle.messages import BufferCheck, Message, Transition
from lifecycle.telemetry import Runtime
from tests.support.messages import GROUP, INSTANCE_ID, NOW
from tests.support.recording import RecordingTelemetry
from tests.support.scripted import ScriptedClient, aws_error, scripted

MODULE = Module("pipeline", GROUP)
NOT_REGISTERED = aws_error("InstanceNotFound")
POLLS = PollPolicy(interval_seconds=15, longest_interval_seconds=120, timeout_seconds=3600)
_HOOK = HookClock(3600, POLLS.longest_interval_seconds, visibility_timeout_seconds=66)
_CHANGES = {
    "register_instance",
    "deregister_instance",
    "create_tags",
    "send_command",
    "send_message",
    "complete_lifecycle_action",
    "record_lifecycle_action_heartbeat",
}


def members(states: Mapping[str, str] | None = None, **more: str) -> dict[str, Any]:
    """What Auto Scaling says of these instances; ``more`` are their groups, ours otherwise."""
    return {
        "AutoScalingInstances": [
            {
                "InstanceId": instance_id,
                "LifecycleState": state,
                "AutoScalingGroupName": more.get("group", GROUP),
            }
            for instance_id, state in (states or {}).items()
        ]
    }


def described(
    *instance_ids: str,
    state: str = "running",
    mark: Mark | None = None,
    address: str = "10.0.0.7",
    **tags: str,
) -> dict[str, Any]:
    """What EC2 says of these instances, which all have these tags."""
    written = {TAG_KEY: str(mark), OWNER_TAG_KEY: MODULE.name} if mark else {}
    all_tags = written | tags
    instances = [
        {
            "InstanceId": one,
            "State": {"Name": state},
            "PrivateIpAddress": address,
            "Placement": {"AvailabilityZone": "ap-northeast-1a"},
            "LaunchTime": datetime.fromtimestamp(NOW - 500, UTC),
            "Tags": [{"Key": key, "Value": value} for key, value in all_tags.items()],
        }
        for one in instance_ids
    ]
    return {"Reservations": [{"Instances": instances}]}


def _ids_in(asked: Mapping[str, Any]) -> list[str]:
    """The ids that are asked for; no instance carries a tag that is asked for."""
    [wanted] = asked["Filters"]
    return wanted["Values"] if wanted["Name"] == "instance-id" else []


def listed(*instance_ids: str) -> dict[str, Any]:
    """What Cloud Map says of one service."""
    return {"Instances": [{"Id": one} for one in instance_ids]}


class Parts:
    """Adapters on one client that answers all services; by default AWS does what it is asked."""

    def __init__(
        self, *, allow_empty: bool = False, services: tuple[str, ...] = ("srv-1",), **answers: Any
    ) -> None:
        self.client: ScriptedClient = scripted(
            **{
                "describe_auto_scaling_instances": members(),
                "describe_instances": lambda **asked: described(*_ids_in(asked)),
                "get_instance": NOT_REGISTERED,
                "list_instances": listed(),
                **{name: {} for name in _CHANGES},
                "register_instance": {"OperationId": "register-1"},
                "deregister_instance": {"OperationId": "deregister-1"},
                "change_message_visibility": {},
                "send_command": {"Command": {"CommandId": "command-1"}},
                **answers,
            }
        )
        self.now = NOW
        self.slept: list[float] = []
        self.telemetry = RecordingTelemetry()
        self.runtime = Runtime(self.telemetry, lambda: self.now, self.sleep)
        client: Any = self.client
        self.autoscaling, self.instances = AutoScaling(client), Instances(client, MODULE.name)
        self.scope = Scope(MODULE, self.autoscaling, self.instances)
        self.marker = Marker(self.instances, self.runtime)
        self.cloud_map = CloudMap(client, services, 24224)
        self.placement = Placement(
            self.cloud_map, self.autoscaling, self.instances, GROUP, allow_empty, self.runtime
        )
        self.heartbeats = Heartbeats(
            self.autoscaling, self.instances, dict.fromkeys(Transition, _HOOK), self.runtime
        )
        self.discovery = Discovery(
            self.cloud_map, self.queue("operation"), self.placement, self.runtime
        )
        self.next_stage = NextStage(BufferCheck, self.queue("buffer"), self.runtime)

    def stage(self, model: type[Message], waiter: Waiter[Message]) -> Stage[Message]:
        name = str(model.model_fields["stage"].default)
        return Stage(
            scope=self.scope,
            model=model,
            waiter=waiter,
            queue=self.queue(name),
            dead_letters=self.queue(f"{name}-dlq"),
            heartbeats=self.heartbeats,
            polls=POLLS,
            runtime=self.runtime,
        )

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def queue(self, name: str) -> Queue:
        client: Any = self.client
        return Queue(client, f"https://sqs/{name}")

    @property
    def done(self) -> list[str]:
        """What was changed, in order; a tag by its state, a message by its stage."""
        return [
            _named(name, arguments) for name, arguments in self.client.calls if name in _CHANGES
        ]

    def sent_to(self, queue: str) -> list[dict[str, Any]]:
        sent = self.client.arguments_of("send_message")
        return [one for one in sent if one["QueueUrl"] == f"https://sqs/{queue}"]

    def dead_letters(self, stage: str) -> list[tuple[str, str]]:
        return [
            (one["MessageBody"], one["MessageAttributes"]["Reason"]["StringValue"])
            for one in self.sent_to(f"{stage}-dlq")
        ]

    @property
    def comes_back_in(self) -> list[int]:
        calls = self.client.arguments_of("change_message_visibility")
        return [call["VisibilityTimeout"] for call in calls]

    @property
    def kept_alive(self) -> list[str]:
        calls = self.client.arguments_of("record_lifecycle_action_heartbeat")
        return [call["InstanceId"] for call in calls]

    @property
    def messages(self) -> list[dict[str, Any]]:
        sent = self.client.arguments_of("send_message")
        return [json.loads(one["MessageBody"]) for one in sent]


def marked(kind: MarkKind, at: float = NOW) -> dict[str, Any]:
    """What EC2 says of our instance with this state tag."""
    return described(INSTANCE_ID, mark=Mark(kind, at))


def _named(name: str, arguments: Mapping[str, Any]) -> str:
    if name == "create_tags":
        return f"tag {arguments['Tags'][0]['Value'].partition(' ')[0]}"
    if name == "send_message":
        return f"send {arguments['QueueUrl'].rpartition('/')[2]}"
    return name.partition("_")[0]


SERVING = marked(MarkKind.LAUNCHING)


def fleet(states: dict[str, str], *registered: str, **answers: Any) -> Parts:
    """A group with these members, and what Cloud Map has of it."""
    group = {
        "AutoScalingGroupName": GROUP,
        "DesiredCapacity": answers.pop("desired", len(states)),
        "Instances": [
            {"InstanceId": one, "LifecycleState": state} for one, state in states.items()
        ],
        "InstanceLifecyclePolicy": {"RetentionTriggers": {"TerminateHookAbandon": "retain"}},
    }
    return Parts(
        **{
            "describe_auto_scaling_groups": {"AutoScalingGroups": [group]},
            "describe_auto_scaling_instances": members(states),
            "describe_warm_pool": {"Instances": []},
            "describe_instances": SERVING,
            "list_instances": listed(*registered),
            **answers,
        }
    )
