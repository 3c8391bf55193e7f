"""Builds the parts that several entry points share, from settings and clients."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lifecycle.adapters import clients
from lifecycle.adapters.autoscaling import AutoScaling
from lifecycle.adapters.cloud_map import CloudMap
from lifecycle.adapters.evidence import EvidenceFunction
from lifecycle.adapters.instances import Instances
from lifecycle.adapters.queues import Queue
from lifecycle.decisions.heartbeats import HookClock
from lifecycle.decisions.ownership import Module
from lifecycle.decisions.polling import PollPolicy, longest_interval
from lifecycle.errors import ConfigurationError
from lifecycle.flows.entrance import Entrance
from lifecycle.flows.heartbeats import Heartbeats
from lifecycle.flows.marking import Marker
from lifecycle.flows.ownership import Scope
from lifecycle.flows.placement import Placement
from lifecycle.flows.proof import Proof
from lifecycle.flows.readiness import Readiness
from lifecycle.flows.release import Exit
from lifecycle.flows.stage import Discovery, NextStage
from lifecycle.messages import BufferCheck, FlushCheck, Transition
from lifecycle.settings import (
    AnySettings,
    FleetSettings,
    LifecycleHandlerSettings,
    OperationWaiterSettings,
    ProofSettings,
    ReadinessBy,
    WaiterSettings,
    load_settings,
)
from lifecycle.telemetry import LogEvent, Runtime

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sqs import SQSClient


def settings_of(
    model: type[AnySettings], environment: Mapping[str, str], runtime: Runtime
) -> AnySettings:
    """Read a function's settings; log what is wrong with them and raise ConfigurationError."""
    try:
        return load_settings(model, environment)
    except ConfigurationError as error:
        runtime.telemetry.error(LogEvent.CONFIGURATION_INVALID, reason=str(error))
        raise


def instances_of(settings: FleetSettings, client: "EC2Client") -> Instances:
    """Build what looks instances up, and tags them as this module's."""
    return Instances(client, settings.powertools_service_name)


def scope_of(settings: FleetSettings, autoscaling: AutoScaling) -> Scope:
    """Build what asks whose an instance is."""
    return Scope(module_of(settings), autoscaling, instances_of(settings, clients.ec2_briefly()))


def module_of(settings: FleetSettings) -> Module:
    """Return this module, by its `name` and its group."""
    return Module(settings.powertools_service_name, settings.autoscaling_group_name)


def polls_of(settings: WaiterSettings) -> PollPolicy:
    """Build a stage's poll policy."""
    return PollPolicy(
        settings.poll_interval_seconds,
        longest_interval(
            settings.poll_interval_max_seconds, *_heartbeat_timeouts(settings).values()
        ),
        settings.timeout_seconds,
    )


def heartbeats_of(
    settings: WaiterSettings, autoscaling: AutoScaling, runtime: Runtime
) -> Heartbeats:
    """Build what sends a stage's heartbeats."""
    longest_pause = polls_of(settings).longest_interval_seconds
    clocks = {
        transition: HookClock(seconds, longest_pause, settings.visibility_timeout_seconds)
        for transition, seconds in _heartbeat_timeouts(settings).items()
    }
    instances = instances_of(settings, clients.ec2_briefly())
    return Heartbeats(autoscaling, instances, clocks, runtime)


def _heartbeat_timeouts(settings: WaiterSettings) -> dict[Transition, float]:
    """Return the timeout of each hook; launching instances pass the operation stage only."""
    terminating = settings.terminate_heartbeat_timeout_seconds
    launching = (
        settings.launch_heartbeat_timeout_seconds
        if isinstance(settings, OperationWaiterSettings)
        else terminating
    )
    return {Transition.LAUNCHING: launching, Transition.TERMINATING: terminating}


def discovery_of(
    settings: FleetSettings,
    autoscaling: AutoScaling,
    instances: Instances,
    sqs: "SQSClient",
    runtime: Runtime,
) -> Discovery | None:
    """Build the fleet's service discovery, None for a fleet that is not in Cloud Map."""
    service_ids, port = settings.cloud_map_service_ids, settings.cloud_map_port
    if service_ids is None or port is None or settings.operation_queue_url is None:
        return None  # all three, or none of them: settings.FleetSettings
    cloud_map = CloudMap(clients.servicediscovery(), service_ids, port)
    return Discovery(
        cloud_map=cloud_map,
        operation_queue=Queue(sqs, settings.operation_queue_url),
        placement=Placement(
            cloud_map,
            autoscaling,
            instances,
            settings.autoscaling_group_name,
            settings.allow_empty_service,
            runtime,
        ),
    )


def proof_of(
    settings: ProofSettings,
    instances: Instances,
    runtime: Runtime,
    functions: "LambdaClient | None" = None,
) -> Proof:
    """Build what asks the evidence function."""
    functions = functions or clients.functions(settings.evidence_timeout_seconds)
    evidence = EvidenceFunction(functions, settings.evidence_function_name, runtime.clock)
    return Proof(settings, instances, evidence, runtime)


def readiness_of(
    settings: OperationWaiterSettings,
    environment: Mapping[str, str],
    instances: Instances,
    runtime: Runtime,
    functions: "LambdaClient | None",
) -> Readiness | None:
    """Build what asks whether a launching instance is ready, None where that is off."""
    if settings.readiness is ReadinessBy.OFF:
        return None
    proof_settings = settings_of(ProofSettings, environment, runtime)
    proof = proof_of(proof_settings, instances, runtime, functions)
    return Readiness(proof, instances, settings.readiness_unknown_seconds, runtime)


def entrance_of(
    settings: LifecycleHandlerSettings,
    autoscaling: AutoScaling,
    instances: Instances,
    runtime: Runtime,
) -> Entrance:
    """Build what starts the first of the configured stages."""
    sqs = clients.sqs()
    return Entrance(
        autoscaling=autoscaling,
        instances=instances,
        marker=Marker(instances, runtime),
        start=discovery_of(settings, autoscaling, instances, sqs, runtime)
        or first_draining_stage(settings.flush_queue_url, settings.buffer_queue_url, sqs, runtime),
        runtime=runtime,
        readiness=settings.readiness,
    )


def exit_of(
    settings: WaiterSettings,
    autoscaling: AutoScaling,
    next_stage: NextStage | None,
    sqs: "SQSClient",
    runtime: Runtime,
) -> Exit:
    """Build the end of a draining stage."""
    instances = instances_of(settings, clients.ec2_briefly())
    return Exit(
        autoscaling=autoscaling,
        marker=Marker(instances, runtime),
        discovery=discovery_of(settings, autoscaling, instances, sqs, runtime),
        next_stage=next_stage,
        runtime=runtime,
    )


def first_draining_stage(
    flush_queue_url: str | None,
    buffer_queue_url: str | None,
    sqs: "SQSClient",
    runtime: Runtime,
) -> NextStage:
    """Build the first draining stage of those that are configured; settings ensure one."""
    if flush_queue_url is not None:
        return NextStage(FlushCheck, Queue(sqs, flush_queue_url), runtime)
    if buffer_queue_url is not None:
        return NextStage(BufferCheck, Queue(sqs, buffer_queue_url), runtime)
    raise ConfigurationError("neither FLUSH_QUEUE_URL nor BUFFER_QUEUE_URL is set")
