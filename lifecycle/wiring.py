"""What every entry point does with its environment variables before anything else."""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lifecycle.adapters import clients
from lifecycle.adapters.autoscaling import AutoScaling
from lifecycle.adapters.cloud_map import CloudMap
from lifecycle.adapters.instances import Instances
from lifecycle.adapters.queues import Queue
from lifecycle.errors import ConfigurationError
from lifecycle.events import BufferCheck, FlushCheck
from lifecycle.flows.entrance import Pipeline
from lifecycle.flows.release import NextStage, Registration
from lifecycle.settings import (
    AnySettings,
    LifecycleHandlerSettings,
    load_settings,
)
from lifecycle.telemetry import LogEvent, Telemetry

if TYPE_CHECKING:
    from mypy_boto3_servicediscovery import ServiceDiscoveryClient
    from mypy_boto3_sqs import SQSClient


def settings_of(
    model: type[AnySettings], environment: Mapping[str, str], telemetry: Telemetry
) -> AnySettings:
    """Read a function's settings; log what is wrong with them and raise ConfigurationError."""
    try:
        return load_settings(model, environment)
    except ConfigurationError as error:
        telemetry.error(LogEvent.CONFIGURATION_INVALID, reason=str(error))
        raise


def pipeline_of(
    settings: LifecycleHandlerSettings, autoscaling: AutoScaling, telemetry: Telemetry
) -> Pipeline:
    """Build the way into the stages that are configured."""
    sqs = clients.sqs()
    return Pipeline(
        autoscaling=autoscaling,
        instances=Instances(clients.ec2()),
        start=registration_of(
            settings.cloud_map_service_ids,
            settings.operation_queue_url,
            clients.servicediscovery(),
            sqs,
        )
        or first_draining_stage(
            settings.flush_queue_url, settings.buffer_queue_url, sqs, telemetry
        ),
        port=settings.cloud_map_port,
        telemetry=telemetry,
        clock=time.time,
        allow_empty_service=settings.allow_empty_service,
    )


def registration_of(
    cloud_map_service_ids: Sequence[str] | None,
    operation_queue_url: str | None,
    servicediscovery: "ServiceDiscoveryClient",
    sqs: "SQSClient",
) -> Registration | None:
    """Build the fleet's service discovery, None for a fleet that is in none."""
    if cloud_map_service_ids is None or operation_queue_url is None:
        return None
    return Registration(
        cloud_map=CloudMap(servicediscovery, cloud_map_service_ids),
        operation_queue=Queue(sqs, operation_queue_url),
    )


def first_draining_stage(
    flush_queue_url: str | None,
    buffer_queue_url: str | None,
    sqs: "SQSClient",
    telemetry: Telemetry,
) -> NextStage:
    """Build the first draining stage of those that are configured; settings see to one."""
    if flush_queue_url is not None:
        return NextStage(FlushCheck, Queue(sqs, flush_queue_url), telemetry)
    if buffer_queue_url is not None:
        return NextStage(BufferCheck, Queue(sqs, buffer_queue_url), telemetry)
    raise ConfigurationError("neither FLUSH_QUEUE_URL nor BUFFER_QUEUE_URL is set")
