"""The local cloud, brought into the states that the runbooks are about."""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.cloud import REGION, STACK, LocalCloud
from sandbox.demo import set_up as demo
from sandbox.demo.observer import Names
from sandbox.demo.scenarios.catalog import Scenario, Setting
from sandbox.emulator.autoscaling.interruptions import NOTICE_SECONDS
from sandbox.fleet.fleet import Fleet, FleetSettings
from sandbox.fleet.fluentd.aggregator import FLUENTD_DIRECTORY
from sandbox.fleet.fluentd.exporter import ExporterMode
from sandbox.fleet.host import UNIT
from sandbox.fleet.prometheus import Prometheus, PrometheusSettings
from sandbox.host.waiting import wait_until

SECONDS = 120.0
# From EC2's warning on, and what a busy machine adds.
DEATH_SECONDS = NOTICE_SECONDS + 60.0
WAITING = "Terminating:Wait"
WAITER = f"{demo.NAME}-buffer-waiter"
# Shorter than the demo's: most of these runbooks begin when a stage has timed out.
TIMING = {"drain_timeout_seconds": 28, "empty_for_seconds": 5, "poll_interval_max_seconds": 2}
FLUSH_TIMING = {"timeout_seconds": 28, "wait_seconds": 2, "quiet_seconds": 1}
# Six times as long is how long a message hides whose waiter raised.
BUFFER_WAITER_TIMEOUT_SECONDS = 18  # the least: the evidence function is waited for


@dataclass(frozen=True)
class Scene:
    """The module applied beside a group, with aggregators and forwarders."""

    cloud: LocalCloud
    fleet: Fleet
    names: Names
    bucket: str
    folder: Path

    def reset(self, size: int) -> list[str]:
        """Undo what the last runbook was about; the instances, those that leave first in front."""
        self.cloud.control.clear_faults()
        self.retention("terminate")
        self.fleet.set_rate(0)
        for instance_id in self.fleet.alive():
            self.fleet.exporter(ExporterMode.OK, instance_id)
        for instance_id in self.instances(WAITING):
            self.end_wait(instance_id, "CONTINUE")
        for instance_id in self.instances("Pending:Wait"):
            self.end_wait(instance_id, "ABANDON", hook="launch")
        for instance_id in self.registered() - set(self.instances()):
            self.deregister(instance_id)
        self.scale_to(size)
        wait_until(
            f"{size} aggregators in service",
            lambda: (
                len(self.instances("InService")) == len(self.instances()) == size
                and set(self.instances()) == self.registered()
            ),
            SECONDS,
            situation=lambda: str(self.states()),
        )
        stages = map(self.queue_url, self.names.stages)
        for url in (*stages, *self.names.dead_letter_queues.values()):
            self.cloud.client("sqs").purge_queue(QueueUrl=url)
        return self.instances()

    def deregister(self, instance_id: str) -> None:
        cloud_map = self.cloud.client("servicediscovery")
        with suppress(cloud_map.exceptions.DuplicateRequest):
            cloud_map.deregister_instance(
                ServiceId=self.names.service_ids[0], InstanceId=instance_id
            )

    def scale_to(self, size: int) -> None:
        self.cloud.client("autoscaling").set_desired_capacity(
            AutoScalingGroupName=self.names.group, DesiredCapacity=size
        )

    def states(self) -> dict[str, str]:
        answer = self.cloud.client("autoscaling").describe_auto_scaling_groups(
            AutoScalingGroupNames=[self.names.group]
        )
        [group] = answer["AutoScalingGroups"]
        return {one["InstanceId"]: one["LifecycleState"] for one in group["Instances"]}

    def instances(self, state: str | None = None) -> list[str]:
        return [name for name, actual in self.states().items() if state in {None, actual}]

    def registered(self) -> set[str]:
        cloud_map = self.cloud.client("servicediscovery")
        found = cloud_map.list_instances(ServiceId=self.names.service_ids[0])["Instances"]
        return {one["Id"] for one in found}

    def register(self, instance_id: str) -> None:
        """Put an instance into service discovery behind the functions' back."""
        self.cloud.client("servicediscovery").register_instance(
            ServiceId=self.names.service_ids[0],
            InstanceId=instance_id,
            Attributes={
                "AWS_INSTANCE_IPV4": self.address(instance_id),
                "AWS_INSTANCE_PORT": "24224",
            },
        )
        wait_until("its registration", lambda: instance_id in self.registered(), SECONDS)

    def end_wait(self, instance_id: str, result: str, hook: str = "terminate") -> None:
        self.cloud.client("autoscaling").complete_lifecycle_action(
            AutoScalingGroupName=self.names.group,
            LifecycleHookName=f"{demo.NAME}-{hook}",
            InstanceId=instance_id,
            LifecycleActionResult=result,
        )

    def retention(self, policy: str) -> None:
        self.cloud.client("autoscaling").update_auto_scaling_group(
            AutoScalingGroupName=self.names.group,
            InstanceLifecyclePolicy={"RetentionTriggers": {"TerminateHookAbandon": policy}},
        )

    def fail_operations(self, code: str) -> None:
        """Let one request to Cloud Map and its three repetitions fail."""
        failure = {"code": code, "message": "as the test wants", "times": 4}
        self.cloud.control.set_faults(operation_failures=[failure])

    @contextmanager
    def without_setting(self, name: str, function: str = WAITER, **instead: str) -> Iterator[None]:
        """A function, usually the buffer waiter, lacks a setting, and has these, in the block."""
        functions = self.cloud.client("lambda")
        right = self.settings_of(function)
        wrong = {key: value for key, value in right.items() if key != name}
        wrong |= instead
        update = functions.update_function_configuration
        update(FunctionName=function, Environment={"Variables": wrong})
        try:
            yield
        finally:
            update(FunctionName=function, Environment={"Variables": right})

    def settings_of(self, function: str) -> dict[str, str]:
        functions = self.cloud.client("lambda")
        answer = functions.get_function_configuration(FunctionName=function)
        return dict(answer["Environment"]["Variables"])

    @contextmanager
    def granting(self, role: str, action: str) -> Iterator[None]:
        """A function's role allows one more action while the block runs."""
        iam, which = self.cloud.client("iam"), {"RoleName": role, "PolicyName": "granted"}
        statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_role_policy(**which, PolicyDocument=document)
        try:
            yield
        finally:
            iam.delete_role_policy(**which)

    def astray(self) -> AbstractContextManager[None]:
        """Nothing answers where Prometheus is looked for while the block runs."""
        elsewhere = {"PROMETHEUS_URL": "http://127.0.0.1:9"}
        return self.without_setting("PROMETHEUS_URL", f"{demo.NAME}-evidence", **elsewhere)

    def queue_url(self, suffix: str) -> str:
        name = f"{demo.NAME}-{suffix}"
        return str(self.cloud.client("sqs").get_queue_url(QueueName=name)["QueueUrl"])

    def depth(self, suffix: str) -> int:
        return self.visible(suffix) + self._count(suffix, "ApproximateNumberOfMessagesNotVisible")

    def visible(self, suffix: str) -> int:
        """The messages in a queue that are not in flight."""
        return self._count(suffix, "ApproximateNumberOfMessages")

    def wait_for_letters(self, suffix: str, count: int) -> None:
        wait_until(
            f"{count} messages in {suffix}",
            lambda: self.depth(suffix) == count,
            SECONDS,
            situation=lambda: f"{self.depth(suffix)} are there; {self.states()}",
        )

    def receive_malformed(self, stage: str) -> None:
        """Let a stage get a message that is none, and dead-letter it."""
        self.cloud.client("sqs").send_message(
            QueueUrl=self.queue_url(stage), MessageBody='{"version": 7}'
        )
        self.wait_for_letters(f"{stage}-dlq", 1)

    def wait_for_end(self, instance_id: str) -> None:
        wait_until(f"the end of {instance_id}", lambda: instance_id not in self.states(), SECONDS)

    def wait_for_death(self, instance_id: str) -> None:
        """Wait until EC2 has taken an instance that it warned of; its hook may hold it still."""
        wait_until(f"EC2 taking {instance_id}", lambda: self._is_dead(instance_id), DEATH_SECONDS)

    def wait_for_alarm(self, suffix: str, state: str = "ALARM") -> None:
        alarm = f"{demo.NAME}-{suffix}"
        cloudwatch = self.cloud.client("cloudwatch")
        wait_until(
            f"the alarm {alarm} to be {state}",
            lambda: (
                cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"][0]["StateValue"]
                == state
            ),
            SECONDS,
        )

    def events(self, function: str, event: str, instance_id: str) -> list[dict[str, Any]]:
        return [
            one
            for one in self.cloud.logs(f"{demo.NAME}-{function}")
            if one.get("message") == event and one.get("instance_id") == instance_id
        ]

    def journal(self, event: str, instance_id: str) -> list[dict[str, Any]]:
        return [
            one
            for one in self.cloud.journal()
            if (one["event"], one["instance_id"]) == (event, instance_id)
        ]

    def disk(self, instance_id: str) -> Path:
        """The folder that stands for `/` of an instance."""
        return self.folder / "fleet" / instance_id

    def fluentd_root(self, instance_id: str) -> Path:
        """Where the aggregator of an instance keeps its buffer: Fluentd's root_dir."""
        return self.disk(instance_id).joinpath(*FLUENTD_DIRECTORY.parts[1:])

    def chunks_set_aside(self, instance_id: str) -> list[Path]:
        """The backed-up chunks on an instance."""
        return list((self.fluentd_root(instance_id) / "backup").rglob("*.log"))

    def stop_unit(self, instance_id: str) -> None:
        """Let systemd on an instance know of no Fluentd, so that a flush sends no signal.

        The process itself goes on: ended, it would be started again at once.
        """
        self._unit(instance_id).rename(self.disk(instance_id) / UNIT)

    def start_unit(self, instance_id: str) -> None:
        """Let systemd know of it again."""
        (self.disk(instance_id) / UNIT).rename(self._unit(instance_id))

    def address(self, instance_id: str) -> str:
        answer = self.cloud.client("ec2").describe_instances(InstanceIds=[instance_id])
        return str(answer["Reservations"][0]["Instances"][0]["PrivateIpAddress"])

    def _is_dead(self, instance_id: str) -> bool:
        answer = self.cloud.client("ec2").describe_instances(InstanceIds=[instance_id])
        return bool(answer["Reservations"][0]["Instances"][0]["State"]["Name"] == "terminated")

    def _count(self, suffix: str, attribute: Any) -> int:
        answer = self.cloud.client("sqs").get_queue_attributes(
            QueueUrl=self.queue_url(suffix), AttributeNames=[attribute]
        )
        return int(answer["Attributes"][attribute])

    def _unit(self, instance_id: str) -> Path:
        return self.disk(instance_id) / "run" / "units" / UNIT


@contextmanager
def scene(folder: Path, setting: Setting) -> Iterator[Scene]:
    """Start everything, and tear everything down again; with Cloud Map, whatever else there is."""
    with ExitStack() as stack:
        cloud = stack.enter_context(LocalCloud(folder / "cloud"))
        prometheus_url = None
        if setting.prometheus:
            prometheus_url = stack.enter_context(_prometheus(cloud, folder)).url
        outputs = cloud.apply(STACK, _variables(setting, str(cloud.subnet), prometheus_url))
        names = demo.names_of(outputs, Setting())
        fleet = Fleet(
            _fleet_settings(outputs, names),
            folder / "fleet",
            client=cloud.client,
            environment=cloud.environment,
            run_command=cloud.control if setting.flush else None,
        )
        stack.enter_context(fleet)
        yield Scene(cloud, fleet, names, outputs["bucket"], folder)


def _prometheus(cloud: LocalCloud, folder: Path) -> Prometheus:
    settings = PrometheusSettings(
        autoscaling_group_name=f"{demo.NAME}-aggregators",
        ec2_endpoint=cloud.endpoints["ec2"],
        region=REGION,
        scrape_interval_seconds=demo.SCRAPE_INTERVAL_SECONDS,
    )
    return Prometheus(settings, folder / "prometheus")


def _fleet_settings(outputs: dict[str, Any], names: Names) -> FleetSettings:
    return FleetSettings(
        autoscaling_group_name=names.group,
        namespace=outputs["namespace"],
        service_ids=names.service_ids,
        bucket=outputs["bucket"],
        forwarders=2,
        lines_per_second=0,
        dns_ttl_seconds=demo.DNS_TTL_SECONDS,
        dns_propagation_seconds=demo.DNS_PROPAGATION_SECONDS,
        forwarder_interval_seconds=demo.FORWARDER_REFRESH_SECONDS,
    )


def _variables(setting: Setting, subnet: str, prometheus_url: str | None) -> dict[str, Any]:
    about = "states that runbooks are about"
    scenario = Scenario("runbooks", about, lambda _: None, TIMING, setting)
    made = demo.variables(scenario, subnet, prometheus_url)
    made["lambda"]["buffer_waiter_timeout_seconds"] = BUFFER_WAITER_TIMEOUT_SECONDS
    if made["prometheus"]:
        made["prometheus"]["request_timeout_seconds"] = 1
    if made["flush"]:
        made["flush"] = {**made["flush"], **FLUSH_TIMING}
    return made
