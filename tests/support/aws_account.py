"""The account around the pipeline: its group, queues and services, and a clock moved by hand."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import boto3
from moto.autoscaling.models import autoscaling_backends
from moto.core.models import DEFAULT_ACCOUNT_ID

from lifecycle.adapters.instances import Instances
from lifecycle.decisions.marks import Mark
from sandbox.emulator import Faults, World
from sandbox.emulator.autoscaling.backend import WaitingAutoScalingBackend
from tests.support import queues
from tests.support.fleet import HOLDING, Fleet
from tests.support.histories import START
from tests.support.machines import Machines
from tests.support.messages import GROUP, LAUNCH_HOOK, TERMINATE_HOOK
from tests.support.recording import RecordingTelemetry

PORT = 24224
HEARTBEAT_TIMEOUT = 300


@dataclass
class Clock:
    """Seconds since the epoch, moved by hand."""

    now: float = START

    def __call__(self) -> float:
        return self.now


@dataclass
class Account:
    """What a test does to the account, and sees of it. Functions run in ``Pipeline`` only."""

    world: World
    clock: Clock
    fleet: Fleet
    machines: Machines
    telemetry: RecordingTelemetry
    clients: SimpleNamespace
    queue_urls: dict[str, str]
    service_id: str
    subnet_id: str
    environment: dict[str, str]
    stages: tuple[str, ...] = ("operation", "buffer")  # those in use, in their order
    further_service_ids: tuple[str, ...] = ()
    heartbeat_timeout: int = HEARTBEAT_TIMEOUT  # seconds, of both hooks

    def _turn(self) -> None:
        raise NotImplementedError

    def _read_journal(self) -> None:
        raise NotImplementedError

    def advance(self, seconds: float, step: float = 5.0) -> None:
        """Let time pass; everything that is due happens."""
        end = self.clock.now + seconds
        while self.clock.now < end:
            self.clock.now = min(end, self.clock.now + step)
            self._turn()

    def until(
        self, condition: Callable[[], bool], within: float = 600.0, step: float = 5.0
    ) -> None:
        """Let time pass until a condition holds; fails if it does not in time."""
        end = self.clock.now + within
        while not condition():
            assert self.clock.now < end, f"not within {within:.0f} s: {self.telemetry.events[-20:]}"
            self.advance(step, step)

    # What the operator or AWS does.

    def create_shards(self, count: int) -> list[str]:
        services = self.clients.servicediscovery
        like = services.get_service(Id=self.service_id)["Service"]["DnsConfig"]
        self.further_service_ids = tuple(
            services.create_service(Name=f"_fluentd{number}._tcp", DnsConfig=like)["Service"]["Id"]
            for number in range(1, count)
        )
        ids = [self.service_id, *self.further_service_ids]
        self.environment["CLOUD_MAP_SERVICE_IDS"] = ",".join(ids)
        return ids

    def create_group(self, desired: int = 0, **settings: Any) -> None:
        """Create the group with the module's hooks; without Cloud Map launches do not wait."""
        launching = [(LAUNCH_HOOK, "LAUNCHING")] if "operation" in self.stages else []
        self.clients.autoscaling.create_auto_scaling_group(
            AutoScalingGroupName=GROUP,
            MinSize=0,
            MaxSize=20,
            DesiredCapacity=desired,
            VPCZoneIdentifier=self.subnet_id,
            LaunchTemplate={"LaunchTemplateName": "aggregator"},
            LifecycleHookSpecificationList=[
                {
                    "LifecycleHookName": name,
                    "LifecycleTransition": f"autoscaling:EC2_INSTANCE_{transition}",
                    "HeartbeatTimeout": self.heartbeat_timeout,
                    "DefaultResult": "ABANDON",
                }
                for name, transition in [*launching, (TERMINATE_HOOK, "TERMINATING")]
            ],
            **settings,
        )

    def scale_to(self, desired: int) -> None:
        self.clients.autoscaling.set_desired_capacity(
            AutoScalingGroupName=GROUP, DesiredCapacity=desired
        )

    def terminate(self, instance_id: str, *, is_replaced: bool = False) -> None:
        self.clients.autoscaling.terminate_instance_in_auto_scaling_group(
            InstanceId=instance_id, ShouldDecrementDesiredCapacity=not is_replaced
        )

    def complete(
        self, instance_id: str, result: str = "ABANDON", hook: str = TERMINATE_HOOK
    ) -> None:
        """Complete a lifecycle action behind the functions' back."""
        self.clients.autoscaling.complete_lifecycle_action(
            AutoScalingGroupName=GROUP,
            LifecycleHookName=hook,
            InstanceId=instance_id,
            LifecycleActionResult=result,
        )

    def deregister(self, instance_id: str, service_id: str | None = None) -> None:
        """Take an instance out of service discovery, as an operator might."""
        self.clients.servicediscovery.deregister_instance(
            ServiceId=service_id or self.service_id, InstanceId=instance_id
        )

    def retain_on_abandon(self) -> None:
        """Give the group the lifecycle policy that the documentation recommends."""
        self.clients.autoscaling.update_auto_scaling_group(
            AutoScalingGroupName=GROUP,
            InstanceLifecyclePolicy={"RetentionTriggers": {"TerminateHookAbandon": "retain"}},
        )

    def delete_terminate_hook(self) -> None:
        self.clients.autoscaling.delete_lifecycle_hook(
            AutoScalingGroupName=GROUP, LifecycleHookName=TERMINATE_HOOK
        )

    def replace_root_volumes(self, **preferences: Any) -> None:
        override = {"InstanceType": "c6g.large", "ImageId": "ami-87654321"}
        template = {"LaunchTemplateName": "aggregator", "Version": "1"}
        policy = {"LaunchTemplateSpecification": template, "Overrides": [override]}
        self.clients.autoscaling.start_instance_refresh(
            AutoScalingGroupName=GROUP,
            Strategy="ReplaceRootVolume",
            DesiredConfiguration={"MixedInstancesPolicy": {"LaunchTemplate": policy}},
            Preferences=preferences,
        )

    @property
    def backend(self) -> WaitingAutoScalingBackend:
        """The emulator of the account and region that the group is in."""
        backends = WaitingAutoScalingBackend.all_of(self.world)
        [backend] = [one for one in backends if GROUP in one.autoscaling_groups]
        return backend

    def move(self, instance_id: str, state: str) -> None:
        """Do what EnterStandby and ExitStandby come to: no hook is asked, no event is sent."""
        group, member = self.backend.member(instance_id)
        group.move(member, state)

    def request_registration(self, instance_id: str, service_id: str | None = None) -> None:
        """Put an instance into service discovery, as an operator might."""
        self.clients.servicediscovery.register_instance(
            ServiceId=service_id or self.service_id,
            InstanceId=instance_id,
            Attributes={"AWS_INSTANCE_IPV4": "10.0.0.9", "AWS_INSTANCE_PORT": str(PORT)},
        )

    def register(self, instance_id: str) -> None:
        """The same, and wait until it is done."""
        self.request_registration(instance_id)
        self.advance(5)

    def start_fleet(self, size: int = 1) -> list[str]:
        """Bring a group of this size into service; returns the instance ids, oldest first."""
        self.create_group(size)
        self.until(lambda: self.states_are("InService", size))
        self._read_journal()  # without a launch hook no time has passed
        return list(self.states())

    def start_draining(self, capture: str = HOLDING) -> str:
        """Scale a group of one in and wait until its instance is out of service discovery."""
        [instance_id] = self.start_fleet()
        self.fleet.shows(instance_id, capture)
        self.scale_to(0)
        self.until(lambda: self.waiting("buffer") == 1)
        return instance_id

    def redrive(self, queue: str) -> int:
        """Do what StartMessageMoveTask does: new messages with the old bodies."""
        moved = 0
        while messages := queues.receive(f"{queue}-dlq"):
            for message in messages:
                self.send(queue, message["Body"])
                queues.delete(f"{queue}-dlq", message)
                moved += 1
        return moved

    def send(self, queue: str, body: str) -> None:
        self.clients.sqs.send_message(QueueUrl=self.queue_urls[queue], MessageBody=body)

    def put(self, queue: str, body: str) -> None:
        faults, self.world.faults = self.world.faults, Faults()
        self.send(queue, body)
        self.world.faults = faults

    def take_all(self, queue: str) -> list[str]:
        bodies = self.bodies(queue)
        queues.purge(queue)
        return bodies

    def secret(self, name: str, value: str) -> str:
        client = boto3.client("secretsmanager")
        return client.create_secret(Name=name, SecretString=value)["ARN"]

    def parameter(self, name: str, value: str) -> str:
        client = boto3.client("ssm")
        client.put_parameter(Name=name, Value=value, Type="SecureString")
        return str(client.get_parameter(Name=name)["Parameter"]["ARN"])

    # What there is to see.

    def states(self) -> dict[str, str]:
        backend: Any = autoscaling_backends[DEFAULT_ACCOUNT_ID][queues.REGION]
        groups = backend.autoscaling_groups.values()
        members = [one for group in groups for one in group.everybody()]
        return {one.instance_id: one.lifecycle_state for one in members}

    def state(self, instance_id: str) -> str | None:
        """The lifecycle state of one instance, None once it is gone."""
        return self.states().get(instance_id)

    def states_are(self, state: str, count: int) -> bool:
        return list(self.states().values()) == count * [state]

    def registered(self) -> dict[str, dict[str, str]]:
        return {
            instance_id: attributes
            for shard in self.shards().values()
            for instance_id, attributes in shard.items()
        }

    def shards(self) -> dict[str, dict[str, dict[str, str]]]:
        listed = {
            service_id: self.clients.servicediscovery.list_instances(ServiceId=service_id)
            for service_id in (self.service_id, *self.further_service_ids)
        }
        return {
            service_id: {one["Id"]: one["Attributes"] for one in answer["Instances"]}
            for service_id, answer in listed.items()
        }

    def registrations(self, instance_id: str) -> list[str]:
        return [
            entry["event"]
            for entry in self.world.journal
            if entry["instance_id"] == instance_id
            and entry["event"] in {"registered", "deregistered"}
        ]

    def journal(self, instance_id: str, event: str) -> list[dict[str, Any]]:
        return [
            entry
            for entry in self.world.journal
            if (entry["instance_id"], entry["event"]) == (instance_id, event)
        ]

    def marks(self, instance_ids: Sequence[str]) -> list[Mark]:
        described = Instances(self.clients.ec2, "pipeline").describe(instance_ids)
        return [one.mark for one in described.values() if one.mark is not None]

    def waiting(self, queue: str) -> int:
        """How many messages are in a queue, visible or not."""
        return len(queues.bodies(queue))

    def bodies(self, queue: str) -> list[str]:
        """The bodies of all messages in a queue, without receiving them."""
        return queues.bodies(queue)

    def dead_letters(self, queue: str) -> list[tuple[str, str]]:
        """Body and Reason of each message on a stage's dead-letter queue, which they stay on."""
        messages = queues.receive(f"{queue}-dlq")
        for message in messages:
            self.clients.sqs.change_message_visibility(
                QueueUrl=self.queue_urls[f"{queue}-dlq"],
                ReceiptHandle=message["ReceiptHandle"],
                VisibilityTimeout=0,
            )
        self.clock.now += 0.002
        return [
            (message["Body"], message["MessageAttributes"]["Reason"]["StringValue"])
            for message in messages
        ]
