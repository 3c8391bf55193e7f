"""The whole simulated fleet of one run, in one object.

Start a `Prometheus` first (the module needs its address), apply the module, then enter a `Fleet`.
"""

import shutil
import signal
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.fleet.accounting import DeliveredLines, Delivery
from sandbox.fleet.fluentd.aggregator import AggregatorSettings
from sandbox.fleet.fluentd.backoff import BackoffPolicy
from sandbox.fleet.fluentd.buffer import StagingPolicy
from sandbox.fleet.fluentd.destination import DestinationMode
from sandbox.fleet.fluentd.exporter import ExporterMode
from sandbox.fleet.fluentd.history import History
from sandbox.fleet.forwarders.dns import DnsSettings
from sandbox.fleet.forwarders.process import ForwardersSettings
from sandbox.fleet.host import AggregatorCommand, AggregatorHost, simulated_aggregator
from sandbox.fleet.instances import Instance, group_instances, lifecycle_states
from sandbox.fleet.load import ForwardersProcess, Load, start_dns
from sandbox.fleet.ssm_agent import Machine, RunCommandService, SsmAgents
from sandbox.fleet.supervisor import POLL_SECONDS, Supervisor
from sandbox.fleet.web_servers import WebServers
from sandbox.host.background import Background
from sandbox.host.parts import Parts
from sandbox.host.processes import Processes, clean_environment
from sandbox.host.waiting import wait_until

PROJECT = Path(__file__).parents[2]
BOOT_SECONDS = (0.25, 1.5)  # the shortest and the longest; 5 to 30 on AWS


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """The group, its discovery, its destination, and how fast everything goes."""

    autoscaling_group_name: str
    bucket: str
    namespace: str | None = None
    service_ids: tuple[str, ...] = ()
    """One, or one a shard. Without any there are no forwarders: instances make their own lines."""
    other_group_names: tuple[str, ...] = ()
    """Further groups whose instances belong to the fleet."""
    forwarders: int = 10
    lines_per_second: float = 1000.0
    """Of all forwarders together, or of each instance that writes its own."""
    dns_ttl_seconds: int = 1
    dns_propagation_seconds: float = 0.0
    forwarder_interval_seconds: float = 2.0
    forwarder_tick_seconds: float = 3.0
    monitor_interval_seconds: float = 1.0
    boot_seconds: tuple[float, float] = BOOT_SECONDS
    staging: StagingPolicy = field(default_factory=StagingPolicy)
    backoff: BackoffPolicy = field(
        default_factory=lambda: BackoffPolicy(first_wait_seconds=1.0, longest_wait_seconds=4.0)
    )

    @property
    def has_forwarders(self) -> bool:
        """Whether lines come from elsewhere, by service discovery."""
        return bool(self.service_ids)

    @property
    def services(self) -> dict[str, str]:
        """The names that forwarders look up, with the services' ids; the module names them so."""
        if len(self.service_ids) == 1:
            return {f"_fluentd._tcp.{self.namespace}": self.service_ids[0]}
        return {
            f"_fluentd{shard}._tcp.{self.namespace}": service_id
            for shard, service_id in enumerate(self.service_ids)
        }

    @property
    def group_names(self) -> tuple[str, ...]:
        return (self.autoscaling_group_name, *self.other_group_names)


class Fleet(Parts):
    """Aggregators on the group's instances, what sends lines to them, and their SSM agents."""

    def __init__(  # noqa: PLR0913 - by name, what a fleet needs of its cloud
        self,
        settings: FleetSettings,
        directory: Path,
        *,
        client: Callable[[str], Any],
        environment: Mapping[str, str],
        run_command: RunCommandService | None = None,
        command: AggregatorCommand = simulated_aggregator,
    ) -> None:
        self._settings = settings
        self._directory = directory.resolve()
        self._environment = {**clean_environment(), "PYTHONPATH": str(PROJECT), **environment}
        self._command = command
        self._run_command = run_command
        self._autoscaling = client("autoscaling")
        ec2 = client("ec2")
        self._supervisor = Supervisor(
            lambda: group_instances(ec2, settings.group_names),
            self._new_host,
            settings.boot_seconds,
        )
        self._delivered = DeliveredLines(client("s3"), settings.bucket)
        self._processes = Processes(self._directory / "logs")
        self._load: Load | None = None
        self._forwarders: ForwardersProcess | None = None

    # The load

    def set_rate(self, lines_per_second: float) -> None:
        """Make so many lines a second: all forwarders together, or each instance in service."""
        self._running_load.set_rate(lines_per_second)

    def reports(self) -> dict[str, dict[str, Any]]:
        """Each forwarder's report: sent, acknowledged, repeated_chunks, targets, finished."""
        if self._forwarders is None:
            raise RuntimeError("the fleet has no forwarders, or is not running")
        return self._forwarders.report()

    def sent(self) -> dict[str, int]:
        """The highest line number of each forwarder, or of each instance that writes its own."""
        return self._running_load.sent()

    def end_load(self, timeout_seconds: float = 60.0) -> None:
        """End the load, and wait until every line made is acknowledged by an aggregator."""
        self._running_load.drain()
        wait_until(
            "the forwarders, which hold lines that no aggregator acknowledged",
            self._running_load.is_finished,
            timeout_seconds,
        )

    # The result

    def delivered(self) -> Delivery:
        """Lines sent compared with the lines that are in S3 now; `lost` includes those on the way.

        Objects are read once, so it can be asked again and again.
        """
        return self._delivered.compare(self.sent)

    def finish(self, timeout_seconds: float = 120.0) -> Delivery:
        """End the load, flush the aggregators that are left, and account for every line."""
        self.end_load(timeout_seconds)
        self.flush()
        wait_until(
            "the aggregators, which still hold chunks",
            lambda: not any(self.held_bytes(name) for name in self.alive()),
            timeout_seconds,
        )
        return self.delivered()

    # The aggregators

    def alive(self) -> list[str]:
        return list(self._supervisor.alive())

    def known(self) -> list[str]:
        return list(self._supervisor.hosts())

    def history(self, instance_id: str) -> History:
        """What the aggregator of an instance truly held, moment by moment."""
        return self.host(instance_id).history

    def held_bytes(self, instance_id: str, at: float | None = None) -> int:
        """The bytes that only this instance has, now or then: its buffer, and backed-up chunks."""
        state = self.history(instance_id).state_at(float("inf") if at is None else at)
        return state.held_bytes if state else 0

    def boot_within(self, shortest: float, longest: float) -> None:
        """From now on instances take so many seconds to boot."""
        self._supervisor.boot_seconds = (shortest, longest)

    def flush(self, instance_id: str | None = None) -> None:
        """SIGUSR1 to one aggregator, or to all."""
        names = self.alive() if instance_id is None else [instance_id]
        for name in names:
            self.host(name).signal(signal.SIGUSR1)

    def host(self, instance_id: str) -> AggregatorHost:
        """The aggregator of an instance, dead or alive."""
        return self._supervisor.host(instance_id)

    # Faults

    def destination(
        self, mode: DestinationMode, instance_id: str | None = None, delay_seconds: float = 0.0
    ) -> None:
        """Let S3 take, refuse, reject or delay the writes of one instance, or of all to come."""
        self._supervisor.destination(mode, instance_id, delay_seconds)

    def exporter(self, mode: ExporterMode, instance_id: str) -> None:
        """Let the exporter of an instance answer, die, hang or freeze."""
        self.host(instance_id).exporter(mode)

    # Inside

    @property
    def _running_load(self) -> Load:
        if self._load is None:
            raise RuntimeError("the fleet is not running")
        return self._load

    def _start(self, starting: ExitStack) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)
        self._directory.mkdir(parents=True)
        starting.enter_context(self._processes)
        starting.enter_context(Background("supervisor", self._supervisor.converge, POLL_SECONDS))
        if self._run_command is not None:
            starting.enter_context(SsmAgents(self._run_command, self._machines))
        if self._settings.has_forwarders:
            self._load = self._forwarders = self._start_forwarders()
        else:
            self._load = self._start_web_servers(starting)

    def _machines(self) -> dict[str, Machine]:
        return {name: host.machine() for name, host in self._supervisor.alive().items()}

    def _start_web_servers(self, stack: ExitStack) -> WebServers:
        settings = self._settings
        servers = WebServers(
            lambda: lifecycle_states(self._autoscaling, settings.group_names),
            self._supervisor.hosts,
            self._supervisor.alive,
        )
        servers.set_rate(settings.lines_per_second)
        stack.enter_context(Background("web servers", servers.converge, POLL_SECONDS))
        return servers

    def _start_forwarders(self) -> ForwardersProcess:
        settings = self._settings
        propagation = settings.dns_propagation_seconds
        served = DnsSettings(settings.services, settings.dns_ttl_seconds, propagation)
        dns_address, dns_port = start_dns(served, self._processes, self._environment)
        return ForwardersProcess(
            ForwardersSettings(
                services=tuple(settings.services),
                dns_address=dns_address,
                dns_port=dns_port,
                count=settings.forwarders,
                lines_per_second=settings.lines_per_second,
                interval_seconds=settings.forwarder_interval_seconds,
                tick_seconds=settings.forwarder_tick_seconds,
            ),
            self._processes,
            self._environment,
        )

    def _new_host(self, instance: Instance, mode: DestinationMode) -> AggregatorHost:
        settings = AggregatorSettings(
            address=instance.address,
            root_directory=self._directory / instance.instance_id,
            bucket=self._settings.bucket,
            prefix=f"logs/{instance.instance_id}/",
            destination_mode=mode,
            source=None if self._settings.has_forwarders else instance.instance_id,
            monitor_interval_seconds=self._settings.monitor_interval_seconds,
            staging=self._settings.staging,
            backoff=self._settings.backoff,
        )
        return AggregatorHost(settings, self._processes, self._environment, self._command)
