"""The whole pipeline on the extended moto: real functions, real queues, a clock moved by hand.

EventBridge, Lambda's asynchronous invocations and its SQS event source are played as AWS documents
them: at least once, two retries after one and two minutes, a batch at a time, and only what is not
named in ``batchItemFailures`` is deleted.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import boto3
from moto.autoscaling.models import autoscaling_backends
from moto.core.models import DEFAULT_ACCOUNT_ID

from handlers import interruption as interruption_handler
from handlers import lifecycle as lifecycle_handler
from handlers import reconcile as reconciling
from lifecycle.adapters.instances import Instances
from lifecycle.adapters.prometheus import Querier
from lifecycle.decisions.marks import Mark
from lifecycle.flows.batch import Stage
from lifecycle.flows.interruption import InterruptionHandler
from lifecycle.flows.lifecycle import LifecycleHandler
from lifecycle.flows.reconcile import Reconciler
from lifecycle.messages import BufferCheck, FlushCheck, OperationCheck
from lifecycle.telemetry import Runtime
from sandbox.emulator import Faults, World
from sandbox.emulator.autoscaling.backend import WaitingAutoScalingBackend
from tests.support import queues
from tests.support.fleet import Fleet
from tests.support.histories import START
from tests.support.machines import Machines
from tests.support.messages import GROUP, LAUNCH_HOOK, TERMINATE_HOOK
from tests.support.recording import RecordingTelemetry
from waiters import buffer as buffer_waiter
from waiters import flush as flush_waiter
from waiters import operation as operation_waiter

PORT = 24224
EMPTY_FOR = 60.0
SETTLE = 20.0
PROPAGATION = 8.0  # as much of it as DNS may take to leave a deregistered instance out
DRAIN_TIMEOUT = 900.0
HEARTBEAT_TIMEOUT = 300
_IN_CLOUD_MAP = (
    "CLOUD_MAP_SERVICE_IDS",
    "CLOUD_MAP_PORT",
    "ALLOW_EMPTY_SERVICE",
    "LAUNCH_HOOK_NAME",
    "LAUNCH_HEARTBEAT_TIMEOUT_SECONDS",
)
RECONCILE_INTERVAL = 300.0
INTERRUPTIONS = {
    "EC2 Spot Instance Interruption Warning",
    "EC2 Instance Rebalance Recommendation",
    "EC2 Instance State-change Notification",
    "EC2 Instance Terminate Successful",
    "EC2 Instance Terminate Unsuccessful",
}


@dataclass
class Clock:
    """Seconds since the epoch, moved by hand."""

    now: float = START

    def __call__(self) -> float:
        return self.now


@dataclass(eq=False)
class Delivery:
    """One asynchronous invocation of a handler."""

    event: dict[str, Any]
    due: float
    attempt: int = 1


@dataclass
class Pipeline:
    """What a test talks to."""

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
    handler: LifecycleHandler = field(init=False)
    interruption: InterruptionHandler = field(init=False)
    operation: Stage[OperationCheck] = field(init=False)
    flush: Stage[FlushCheck] = field(init=False)
    buffer: Stage[BufferCheck] = field(init=False)
    reconciler: Reconciler = field(init=False)
    reconcile_at: float | None = None  # when the schedule invokes the reconciler next
    stages: tuple[str, ...] = ("operation", "buffer")  # those in use, in their order
    alter: Callable[[dict[str, Any]], dict[str, Any]] = field(default=lambda event: event)
    further_service_ids: tuple[str, ...] = ()
    consume: Callable[[Mapping[str, Any]], Any] | None = None  # in place of the buffer waiter
    operation_poll_interval: str = "5"  # seconds
    heartbeat_timeout: int = HEARTBEAT_TIMEOUT  # seconds, of both hooks
    lost: dict[str, int] = field(default_factory=dict)  # receives to come that no consumer sees
    copies: int = 1  # how often each event is delivered, and each message received
    deliveries: list[Delivery] = field(default_factory=list)
    given_up: list[dict[str, Any]] = field(default_factory=list)  # the on-failure destination
    crashes: list[Exception] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)  # sizes of the buffer waiter's batches
    _journal_seen: int = 0

    def wire(
        self,
        querier: Callable[[], Querier] | None = None,
        /,
        **settings: str,
    ) -> None:
        """Deploy the functions of the stages, with other settings if a test wants them."""
        stages = self.stages
        left_out = {f"{one.upper()}_QUEUE_URL" for one in queues.STAGES if one not in stages}
        left_out |= set() if "operation" in stages else set(_IN_CLOUD_MAP)
        environment = {
            name: value
            for name, value in {**self.environment, **settings}.items()
            if name not in left_out and not ("flush" not in stages and name.startswith("FLUSH_"))
        }
        runtime = Runtime(self.telemetry, self.clock, self._sleep)
        self.handler = lifecycle_handler.wire(environment, runtime)
        # What happens during its grace is half of what it is about.
        self.reconciler = reconciling.wire(environment, replace(runtime, sleep=self.advance))
        self.interruption = interruption_handler.wire(environment, runtime)
        if "operation" in stages:
            quick = {**environment, "POLL_INTERVAL_SECONDS": self.operation_poll_interval}
            self.operation = operation_waiter.wire(quick, runtime)
        if "flush" in stages:
            self.flush = flush_waiter.wire(environment, runtime)
        if "buffer" in stages:
            self.buffer = buffer_waiter.wire(environment, runtime, querier)

    def _sleep(self, seconds: float) -> None:
        self.clock.now += seconds

    # What a person or AWS does.

    def create_shards(self, count: int) -> list[str]:
        """Spread the fleet over so many services; returns their ids."""
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
        """Set the desired capacity."""
        self.clients.autoscaling.set_desired_capacity(
            AutoScalingGroupName=GROUP, DesiredCapacity=desired
        )

    def retain_on_abandon(self) -> None:
        """Give the group the lifecycle policy that the documentation recommends."""
        self.clients.autoscaling.update_auto_scaling_group(
            AutoScalingGroupName=GROUP,
            InstanceLifecyclePolicy={"RetentionTriggers": {"TerminateHookAbandon": "retain"}},
        )

    def delete_terminate_hook(self) -> None:
        """From now on instances end unheld."""
        self.clients.autoscaling.delete_lifecycle_hook(
            AutoScalingGroupName=GROUP, LifecycleHookName=TERMINATE_HOOK
        )

    def replace_root_volumes(self, **preferences: Any) -> None:
        """Start an instance refresh with the strategy ReplaceRootVolume."""
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

    def register(self, instance_id: str) -> None:
        """Put an instance into service discovery, as somebody else might."""
        self.clients.servicediscovery.register_instance(
            ServiceId=self.service_id,
            InstanceId=instance_id,
            Attributes={"AWS_INSTANCE_IPV4": "10.0.0.9", "AWS_INSTANCE_PORT": str(PORT)},
        )
        self.advance(5)

    def start_fleet(self, size: int = 1) -> list[str]:
        """Bring a group of this size into service; returns the instance ids, oldest first."""
        self.create_group(size)
        self.until(lambda: self.states_are("InService", size))
        self._read_journal()  # without a launch hook no time has passed
        return list(self.states())

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
        """Put a message on a queue."""
        self.clients.sqs.send_message(QueueUrl=self.queue_urls[queue], MessageBody=body)

    def put(self, queue: str, body: str) -> None:
        """Put a message on a queue, past the faults that are meant for the functions."""
        faults, self.world.faults = self.world.faults, Faults()
        self.send(queue, body)
        self.world.faults = faults

    def take_all(self, queue: str) -> list[str]:
        """Take all messages off a queue; returns their bodies."""
        bodies = self.bodies(queue)
        queues.purge(queue)
        return bodies

    def secret(self, name: str, value: str) -> str:
        """Put a secret into Secrets Manager; returns its ARN."""
        client = boto3.client("secretsmanager")
        return client.create_secret(Name=name, SecretString=value)["ARN"]

    def parameter(self, name: str, value: str) -> str:
        """Put a secret into Parameter Store; returns its ARN."""
        client = boto3.client("ssm")
        client.put_parameter(Name=name, Value=value, Type="SecureString")
        return str(client.get_parameter(Name=name)["Parameter"]["ARN"])

    # What happens while time passes.

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

    def _turn(self) -> None:
        self.world.tick()
        self._deliver()
        self._poll("interruption", self.interruption.handle)
        if "operation" in self.stages:
            self._poll("operation", self.operation.handle)
        if "flush" in self.stages:
            self._poll("flush", self.flush.handle)
        if "buffer" in self.stages:
            self._poll("buffer", self.consume or self.buffer.handle)
        self._deliver(lambda one: not _is_lifecycle_action(one.event))  # of those just released
        self._poll("interruption", self.interruption.handle)
        self._read_journal()
        if self.is_time_to_reconcile():
            self.reconcile()

    def is_time_to_reconcile(self) -> bool:
        """Tell whether the schedule has come round since it was last asked; its times are fixed."""
        if self.reconcile_at is None or self.reconcile_at > self.clock.now:
            return False
        while self.reconcile_at <= self.clock.now:
            self.reconcile_at += RECONCILE_INTERVAL
        return True

    def reconcile(self) -> None:
        """Invoke the reconciler once, as its schedule does."""
        try:
            self.reconciler.handle()
        except Exception as error:  # noqa: BLE001 (what Lambda does)
            self.crashes.append(error)
        self._read_journal()

    def receive_event(self, event: dict[str, Any]) -> None:
        """EventBridge hands an event to the handler whose rule matches; tests alter some."""
        sent = json.loads(json.dumps(event))
        altered = self.alter(sent) if _is_lifecycle_action(sent) else sent
        self.deliveries += [Delivery(altered, self.clock.now) for _ in range(self.copies)]

    def lose_events(self) -> list[dict[str, Any]]:
        """From now on EventBridge delivers nothing; returns what it keeps, to be read later."""
        lost: list[dict[str, Any]] = []
        self.world._subscribers[:] = [lost.append]
        return lost

    def _deliver(self, wanted: Callable[[Delivery], bool] = lambda _: True) -> None:
        due = [one for one in self.deliveries if one.due <= self.clock.now and wanted(one)]
        self.deliveries = [one for one in self.deliveries if one not in due]
        for one in due:
            try:
                if is_of_ec2(one.event):
                    self.put("interruption", json.dumps(one.event))
                    continue
                function = self.handler if _is_lifecycle_action(one.event) else self.interruption
                function.handle(one.event)
            except Exception as error:  # noqa: BLE001 (what Lambda does)
                self.crashes.append(error)
                if one.attempt > 2:
                    self.given_up.append(one.event)
                else:
                    later = self.clock.now + 60 * one.attempt
                    self.deliveries.append(Delivery(one.event, later, one.attempt + 1))

    def _poll(self, queue: str, function: Callable[[Mapping[str, Any]], Any]) -> None:
        if not queues.has_visible(queue):
            return
        messages = queues.receive(queue)
        if self.lost.get(queue, 0):
            self.lost[queue] -= 1
            return
        event = queues.as_event(queue, messages)
        if queue == "buffer":
            self.batches.append(len(messages))
        returned: set[str] = set()
        for _ in range(self.copies):
            try:
                answer = json.loads(json.dumps(function(json.loads(json.dumps(event)))))
            except Exception as error:  # noqa: BLE001 (what Lambda does)
                self.crashes.append(error)
                returned |= {message["MessageId"] for message in messages}
            else:
                returned |= {one["itemIdentifier"] for one in answer["batchItemFailures"]}
        for message in messages:
            if message["MessageId"] not in returned:
                queues.delete(queue, message)

    def _read_journal(self) -> None:
        """Whatever a test is about: nobody may be released early."""
        entries = self.world.journal[self._journal_seen :]
        self._journal_seen = len(self.world.journal)
        for entry in entries:
            if entry["event"] == "launched":
                self.fleet.launch(entry["instance_id"], entry["address"])
            if entry["event"] == "terminated":
                self.fleet.loses_target(entry["instance_id"])
            released = entry["event"] == "completed" and entry["result"] == "CONTINUE"
            if released and entry["lifecycle_hook_name"] == TERMINATE_HOOK:
                self._check_release(entry["instance_id"], entry["at"])

    def _check_release(self, instance_id: str, at: float) -> None:
        if "buffer" in self.stages:
            since = self.fleet.aggregators[instance_id].empty_since
            assert since is not None, "released with a full buffer"
            assert since + EMPTY_FOR <= at, "released before the window was over"
        if "flush" in self.stages:
            assert self.machines[instance_id].is_safe_to_end(), "released with chunks on its disk"
            assert self.machines.signals_of(instance_id), "released without a flush"
        if "operation" in self.stages:
            assert instance_id not in self.registered(), "released while registered"
            if "flush" in self.stages:
                [*_, deregistered] = self.journal(instance_id, "deregistered")
                flushed_at = self.machines.signals_of(instance_id)[-1]
                assert flushed_at >= deregistered["at"] + SETTLE, "flushed before the last record"

    def let_hooks_expire(self, queue: str) -> None:
        """Let a hook's whole time pass without a receive of this queue's messages."""
        bodies = self.take_all(queue)
        self.advance(HEARTBEAT_TIMEOUT + 10)
        for body in bodies:
            self.put(queue, body)

    # What there is to see.

    def states(self) -> dict[str, str]:
        """Lifecycle states by instance id."""
        backend: Any = autoscaling_backends[DEFAULT_ACCOUNT_ID][queues.REGION]
        groups = backend.autoscaling_groups.values()
        members = [one for group in groups for one in group.everybody()]
        return {one.instance_id: one.lifecycle_state for one in members}

    def state(self, instance_id: str) -> str | None:
        """The lifecycle state of one instance, None once it is gone."""
        return self.states().get(instance_id)

    def states_are(self, state: str, count: int) -> bool:
        """Tell whether there are exactly so many instances, all in this state."""
        return list(self.states().values()) == count * [state]

    def registered(self) -> dict[str, dict[str, str]]:
        """Attributes of each registered instance."""
        return {
            instance_id: attributes
            for shard in self.shards().values()
            for instance_id, attributes in shard.items()
        }

    def shards(self) -> dict[str, dict[str, dict[str, str]]]:
        """The same for each service."""
        listed = {
            service_id: self.clients.servicediscovery.list_instances(ServiceId=service_id)
            for service_id in (self.service_id, *self.further_service_ids)
        }
        return {
            service_id: {one["Id"]: one["Attributes"] for one in answer["Instances"]}
            for service_id, answer in listed.items()
        }

    def registrations(self, instance_id: str) -> list[str]:
        """What became of an instance's registration, in order."""
        return [
            entry["event"]
            for entry in self.world.journal
            if entry["instance_id"] == instance_id
            and entry["event"] in {"registered", "deregistered"}
        ]

    def journal(self, instance_id: str, event: str) -> list[dict[str, Any]]:
        """All entries of one kind about one instance."""
        return [
            entry
            for entry in self.world.journal
            if (entry["instance_id"], entry["event"]) == (instance_id, event)
        ]

    def marks(self, instance_ids: Sequence[str]) -> list[Mark]:
        """The marks of those of these instances that have one."""
        described = Instances(self.clients.ec2).describe(instance_ids)
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

    def is_quiet(self) -> bool:
        """Tell whether nothing is left to do anywhere."""
        return not self.deliveries and not any(self.waiting(queue) for queue in queues.QUEUES)


def is_of_ec2(event: Mapping[str, Any]) -> bool:
    """Tell whether the rules of the module put an event on the queue of interruptions."""
    return event.get("source") == "aws.ec2"


def _is_lifecycle_action(event: Mapping[str, Any]) -> bool:
    """Everything malformed goes to the lifecycle handler."""
    return event.get("detail-type") not in INTERRUPTIONS
