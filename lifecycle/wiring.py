"""Builds the parts that several entry points share, from settings and clients."""

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Protocol

from lifecycle.adapters import clients
from lifecycle.adapters.autoscaling import AutoScaling
from lifecycle.adapters.cloud_map import CloudMap
from lifecycle.adapters.evidence import EvidenceFunction
from lifecycle.adapters.instances import Instances
from lifecycle.adapters.queues import Queue
from lifecycle.adapters.run_command import RunCommand
from lifecycle.decisions.heartbeats import HookClock
from lifecycle.decisions.ownership import Module
from lifecycle.decisions.polling import PollPolicy, longest_interval
from lifecycle.errors import ConfigurationError
from lifecycle.flows.batch import Stage, Waiter
from lifecycle.flows.entrance import Entrance
from lifecycle.flows.heartbeats import Heartbeats
from lifecycle.flows.marking import Marker
from lifecycle.flows.ownership import Scope
from lifecycle.flows.placement import Placement
from lifecycle.flows.proof import Proof
from lifecycle.flows.readiness import Readiness
from lifecycle.flows.release import Exit
from lifecycle.flows.stage import Discovery, NextStage
from lifecycle.messages import BufferCheck, FlushCheck, Message, Transition
from lifecycle.settings import (
    AnySettings,
    CommandSettings,
    FleetSettings,
    LifecycleHandlerSettings,
    OperationWaiterSettings,
    ProofSettings,
    ReadinessBy,
    WaiterSettings,
    load_settings,
)
from lifecycle.telemetry import LogEvent, Runtime, begin_invocation, on_lambda

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sqs import SQSClient


class Function(Protocol):
    """What ``wire`` returns."""

    def handle(self, event: dict[str, Any], /) -> Any:  # noqa: ANN401 (each has its own)
        """Do what one invocation asks for."""


class EntryPoint:
    """What Lambda invokes: it wires its function at the first invocation."""

    def __init__(self, wire: Callable[[Mapping[str, str], Runtime], Function]) -> None:
        self.wired = cache(lambda: wire(os.environ, on_lambda()))

    def __call__(self, event: dict[str, Any], context: object) -> Any:  # noqa: ANN401 (as above)
        """Handle one invocation."""
        begin_invocation(context)
        return self.wired().handle(event)


def settings_of(
    model: type[AnySettings], environment: Mapping[str, str], runtime: Runtime
) -> AnySettings:
    """Read a function's settings; log what is wrong with them and raise ConfigurationError."""
    try:
        return load_settings(model, environment)
    except ConfigurationError as error:
        runtime.telemetry.error(LogEvent.CONFIGURATION_INVALID, reason=str(error))
        raise


@dataclass(frozen=True)
class Parts:
    """What functions are made of; each part is built once, when it is first asked for."""

    settings: FleetSettings
    runtime: Runtime
    functions: "LambdaClient | None" = None

    @cached_property
    def autoscaling(self) -> AutoScaling:
        """What asks and tells Auto Scaling."""
        return AutoScaling(clients.autoscaling())

    @cached_property
    def instances(self) -> Instances:
        """What looks instances up, and tags them as this module's."""
        return Instances(clients.ec2(), self.module.name)

    @cached_property
    def instances_briefly(self) -> Instances:
        """The same, where an EC2 that cannot be reached must not hold up what matters."""
        return Instances(clients.ec2_briefly(), self.module.name)

    @property
    def module(self) -> Module:
        """This module, by its `name` and its group."""
        return Module(self.settings.powertools_service_name, self.settings.autoscaling_group_name)

    @cached_property
    def scope(self) -> Scope:
        """What asks whose an instance is."""
        return Scope(self.module, self.autoscaling, self.instances_briefly)

    @cached_property
    def marker(self) -> Marker:
        """What writes state tags."""
        return Marker(self.instances, self.runtime)

    def queue(self, url: str) -> Queue:
        """Return a queue."""
        return Queue(self._sqs, url)

    @cached_property
    def discovery(self) -> Discovery | None:
        """The fleet's service discovery, None for a fleet that is not in Cloud Map."""
        settings = self.settings
        service_ids, port = settings.cloud_map_service_ids, settings.cloud_map_port
        if service_ids is None or port is None or settings.operation_queue_url is None:
            return None  # all three, or none of them: settings.FleetSettings
        cloud_map = CloudMap(clients.servicediscovery(), service_ids, port)
        return Discovery(
            cloud_map=cloud_map,
            operation_queue=self.queue(settings.operation_queue_url),
            placement=Placement(
                cloud_map,
                self.autoscaling,
                self.instances,
                settings.autoscaling_group_name,
                settings.allow_empty_service,
                self.runtime,
            ),
            runtime=self.runtime,
        )

    def draining_stage(
        self, flush_queue_url: str | None, buffer_queue_url: str | None
    ) -> NextStage | None:
        """Return the first draining stage of those that are configured, None without any."""
        if flush_queue_url is not None:
            return NextStage(FlushCheck, self.queue(flush_queue_url), self.runtime)
        if buffer_queue_url is not None:
            return NextStage(BufferCheck, self.queue(buffer_queue_url), self.runtime)
        return None

    def run_command(self, settings: CommandSettings, *, signals: bool = True) -> RunCommand | None:
        """Return what runs the flush document, None for a fleet that is not flushed."""
        name, seconds = settings.flush_document_name, settings.flush_delivery_timeout_seconds
        return RunCommand(clients.ssm(), name, seconds, signals) if name else None

    def proof(self, settings: ProofSettings) -> Proof:
        """Return what asks the evidence function."""
        functions = self.functions or clients.functions(settings.evidence_timeout_seconds)
        evidence = EvidenceFunction(functions, settings.evidence_function_name, self.runtime.clock)
        return Proof(settings, self.instances, evidence, self.runtime)

    def entrance(self, settings: LifecycleHandlerSettings) -> Entrance:
        """Return what starts the first of the configured stages."""
        start = self.discovery or self.draining_stage(
            settings.flush_queue_url, settings.buffer_queue_url
        )
        assert start is not None  # settings require one of them
        return Entrance(
            autoscaling=self.autoscaling,
            instances=self.instances,
            marker=self.marker,
            start=start,
            runtime=self.runtime,
            readiness=settings.readiness,
        )

    @cached_property
    def _sqs(self) -> "SQSClient":
        return clients.sqs()


@dataclass(frozen=True)
class StageParts(Parts):
    """What waiters are made of, too."""

    settings: WaiterSettings

    @cached_property
    def polls(self) -> PollPolicy:
        """The stage's poll policy."""
        return PollPolicy(
            self.settings.poll_interval_seconds,
            longest_interval(
                self.settings.poll_interval_max_seconds, *self._heartbeat_timeouts.values()
            ),
            self.settings.timeout_seconds,
        )

    @property
    def _heartbeat_timeouts(self) -> dict[Transition, float]:
        """Return the timeout of each hook; launching instances pass the operation stage only."""
        terminating = self.settings.terminate_heartbeat_timeout_seconds
        launching = (
            self.settings.launch_heartbeat_timeout_seconds
            if isinstance(self.settings, OperationWaiterSettings)
            else terminating
        )
        return {Transition.LAUNCHING: launching, Transition.TERMINATING: terminating}

    def readiness(
        self, settings: OperationWaiterSettings, environment: Mapping[str, str]
    ) -> Readiness | None:
        """Return what asks whether a launching instance is ready, None where that is off."""
        if settings.readiness is ReadinessBy.OFF:
            return None
        proof = self.proof(settings_of(ProofSettings, environment, self.runtime))
        seconds = settings.readiness_unknown_seconds
        return Readiness(proof, self.instances, seconds, self.runtime)

    def exit(self, next_stage: NextStage | None) -> Exit:
        """Return the end of a draining stage."""
        return Exit(
            autoscaling=self.autoscaling,
            marker=Marker(self.instances_briefly, self.runtime),
            discovery=self.discovery,
            next_stage=next_stage,
            runtime=self.runtime,
        )

    def stage(
        self,
        model: type[Message],
        waiter: Waiter[Message],
        queue_url: str,
        dlq_url: str,
        longest_pause_seconds: float = math.inf,
    ) -> Stage[Message]:
        """Return what a waiter's function does; some may not pause as long as the hooks allow."""
        longest = min(longest_pause_seconds, self.polls.longest_interval_seconds)
        visibility = self.settings.visibility_timeout_seconds
        hooks = {
            transition: HookClock(seconds, longest, visibility)
            for transition, seconds in self._heartbeat_timeouts.items()
        }
        return Stage(
            scope=self.scope,
            model=model,
            waiter=waiter,
            queue=self.queue(queue_url),
            dead_letters=self.queue(dlq_url),
            heartbeats=Heartbeats(self.autoscaling, self.instances_briefly, hooks, self.runtime),
            polls=replace(self.polls, longest_interval_seconds=longest),
            runtime=self.runtime,
        )
