"""Settings of each function, read once from a mapping; all problems are reported at once.

The names are those of the environment variables that the Terraform module sets.
"""

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from lifecycle.errors import ConfigurationError, describe_problems
from lifecycle.messages import Transition
from lifecycle.settings.prometheus import PrometheusSettings, Seconds

_Text = Annotated[str, StringConstraints(min_length=1)]
_SecondsFromZero = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_DeliverySeconds = Annotated[int, Field(ge=30, le=2592000)]  # limits of SendCommand
_VisibilitySeconds = Annotated[float, Field(ge=1, le=43200)]  # limit of ChangeMessageVisibility
LabelName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
MetricPrefix = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")]
_Port = Annotated[int, Field(ge=1, le=65535)]
_QueueUrl = Annotated[str, StringConstraints(pattern=r"^https?://\S+$")]


def _separated(ids: object) -> object:
    return tuple(one.strip() for one in ids.split(",")) if isinstance(ids, str) else ids


def _all_different(ids: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(ids)) < len(ids):
        raise ValueError("must not name a service twice")
    return ids


# Comma separated; with several services each is a shard of the fleet.
_ServiceIds = Annotated[
    tuple[Annotated[str, StringConstraints(pattern=r"^[^\s,]+$")], ...],
    BeforeValidator(_separated),
    AfterValidator(_all_different),
]


class IdentifyBy(StrEnum):
    """Which property of an instance its Prometheus label holds."""

    INSTANCE_ID = "instance_id"
    PRIVATE_IP_ADDRESS = "private_ip_address"


class PrometheusAuth(StrEnum):
    """How to authenticate to Prometheus."""

    NONE = "none"
    BASIC = "basic"
    BEARER = "bearer"
    SIGV4 = "sigv4"


class _Settings(BaseModel):
    """What all functions need.

    What two settings must be to each other is checked with the later one, never by a validator of
    the whole model: that would wait until every field is right, and hide its problem until then.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    autoscaling_group_name: _Text
    # Powertools reads these itself; without them it would fail when it prints the first metric.
    powertools_service_name: _Text
    powertools_metrics_namespace: _Text


def _fits_cloud_map(value: object, info: ValidationInfo) -> object:
    """Without Cloud Map there is nothing to register with, and no operation to wait for.

    One without the other is a mistake that would skip the look at the registration.
    """
    if "cloud_map_service_ids" not in info.data:  # wrong itself, and reported already
        return value
    is_in_cloud_map = info.data["cloud_map_service_ids"] is not None
    if value is None and is_in_cloud_map:
        raise ValueError("is missing; CLOUD_MAP_SERVICE_IDS needs it")
    if value is not None and not is_in_cloud_map:
        raise ValueError("means nothing without CLOUD_MAP_SERVICE_IDS")
    return value


def _needed_unless(*names: str) -> tuple[object, ...]:
    """Require a setting where these earlier ones are left out; a wrong one is reported already."""

    def check(value: object, info: ValidationInfo) -> object:
        if value is None and all(name in info.data and info.data[name] is None for name in names):
            others = " or ".join(name.upper() for name in names)
            raise ValueError(f"is missing; it or {others} is needed")
        return value

    return Field(validate_default=True), AfterValidator(check)


_InCloudMap = [Field(validate_default=True), AfterValidator(_fits_cloud_map)]


class FleetSettings(_Settings):
    """What every function knows of the fleet's service discovery, if it is in Cloud Map."""

    cloud_map_service_ids: _ServiceIds | None = None
    cloud_map_port: Annotated[_Port | None, *_InCloudMap] = None
    allow_empty_service: bool = False
    operation_queue_url: Annotated[_QueueUrl | None, *_InCloudMap] = None


class ReadinessBy(StrEnum):
    """What a launching instance is asked for before it is registered."""

    OFF = "off"
    METRICS = "metrics"


class LifecycleHandlerSettings(FleetSettings):
    """Settings of ``handlers.lifecycle``.

    A fleet is in Cloud Map, or its instances go straight into the first draining stage.
    """

    terminate_hook_name: _Text
    launch_hook_name: Annotated[_Text | None, *_InCloudMap] = None
    readiness: ReadinessBy = ReadinessBy.OFF
    flush_queue_url: _QueueUrl | None = None
    buffer_queue_url: Annotated[
        _QueueUrl | None, *_needed_unless("cloud_map_service_ids", "flush_queue_url")
    ] = None

    @property
    def hook_names(self) -> dict[Transition, str | None]:
        """The names of our hooks."""
        launch, terminate = self.launch_hook_name, self.terminate_hook_name
        return {Transition.LAUNCHING: launch, Transition.TERMINATING: terminate}


class ReconcileMode(StrEnum):
    """What the reconciler does about what it finds."""

    CORRECT = "correct"
    OBSERVE = "observe"


class CommandSettings(FleetSettings):
    """What it takes to run the flush document; without one the fleet is not flushed."""

    flush_document_name: _Text | None = None
    flush_delivery_timeout_seconds: _DeliverySeconds = 30


class ReconcilerSettings(LifecycleHandlerSettings, CommandSettings):
    """Settings of ``handlers.reconcile``, which starts the same pipelines.

    ``reconcile_grace_seconds`` lie between its two snapshots; the heartbeat timeouts are those of
    the hooks.
    """

    reconcile_mode: ReconcileMode
    reconcile_grace_seconds: _SecondsFromZero
    terminate_heartbeat_timeout_seconds: Seconds
    launch_heartbeat_timeout_seconds: Annotated[Seconds | None, *_InCloudMap] = None


class InterruptionSettings(CommandSettings):
    """Settings of ``handlers.interruption``."""

    interruption_queue_url: _QueueUrl
    interruption_dlq_url: _QueueUrl


class WaiterSettings(FleetSettings):
    """What every stage needs to wait; ``timeout_seconds`` counts from the message's arrival.

    ``visibility_timeout_seconds`` is the queue's; the heartbeat timeout is the hook's.
    """

    poll_interval_seconds: _VisibilitySeconds
    poll_interval_max_seconds: _VisibilitySeconds
    timeout_seconds: Seconds
    visibility_timeout_seconds: _VisibilitySeconds
    terminate_heartbeat_timeout_seconds: Seconds

    @field_validator("poll_interval_max_seconds")
    @classmethod
    def _intervals_in_order(cls, longest: float, info: ValidationInfo) -> float:
        if longest < info.data.get("poll_interval_seconds", longest):
            raise ValueError("must not be smaller than POLL_INTERVAL_SECONDS")
        return longest


class OperationWaiterSettings(WaiterSettings):
    """Settings of ``waiters.operation``, the only stage that launching instances pass."""

    launch_heartbeat_timeout_seconds: Seconds
    readiness: ReadinessBy = ReadinessBy.OFF
    readiness_unknown_seconds: Seconds = 300
    cloud_map_service_ids: _ServiceIds
    cloud_map_port: _Port
    operation_queue_url: _QueueUrl
    operation_dlq_url: _QueueUrl
    flush_queue_url: _QueueUrl | None = None
    buffer_queue_url: Annotated[_QueueUrl | None, *_needed_unless("flush_queue_url")] = None


class FlushWaiterSettings(WaiterSettings, CommandSettings):
    """Settings of ``waiters.flush``."""

    flush_queue_url: _QueueUrl
    flush_dlq_url: _QueueUrl
    buffer_queue_url: _QueueUrl | None = None

    settle_seconds: _SecondsFromZero
    flush_document_name: _Text
    flush_command_timeout_seconds: Seconds
    flush_delivery_timeout_seconds: _DeliverySeconds


class ProofSettings(_Settings):
    """What a function needs to ask the evidence function; the answer is judged by these."""

    evidence_function_name: _Text
    evidence_timeout_seconds: Seconds  # the longest that an answer is waited for

    empty_for_seconds: Seconds
    settle_seconds: _SecondsFromZero

    prometheus_scrape_interval_seconds: Seconds
    prometheus_instance_label: LabelName = "instance_id"
    prometheus_identify_by: IdentifyBy = IdentifyBy.INSTANCE_ID
    prometheus_metric_prefix: MetricPrefix = "fluentd_output_status_"
    prometheus_expected_buffered_outputs: Annotated[int, Field(ge=1)] | None = None
    prometheus_heartbeat_plugin_id: _Text | None = None

    @field_validator("prometheus_scrape_interval_seconds")
    @classmethod
    def _window_holds_samples(cls, interval: float, info: ValidationInfo) -> float:
        if info.data.get("empty_for_seconds", math.inf) < 3 * interval:
            raise ValueError(
                "EMPTY_FOR_SECONDS must be at least 3 times as long: fewer samples prove nothing"
            )
        return interval


class BufferWaiterSettings(ProofSettings, WaiterSettings):
    """Settings of ``waiters.buffer``."""

    buffer_queue_url: _QueueUrl
    buffer_dlq_url: _QueueUrl


def _needed_with(what: str, *kinds: PrometheusAuth) -> tuple[object, ...]:
    """Require a setting for these kinds of authentication."""

    def check(value: object, info: ValidationInfo) -> object:
        kind = info.data.get("prometheus_auth")
        if value is None and kind in kinds:
            raise ValueError(f"is missing; PROMETHEUS_AUTH={kind} needs {what}")
        return value

    return Field(validate_default=True), AfterValidator(check)


class EvidenceSettings(_Settings, PrometheusSettings):
    """Settings of ``handlers.evidence``."""

    prometheus_auth: PrometheusAuth = PrometheusAuth.NONE
    prometheus_credentials_arn: Annotated[
        _Text | None,
        *_needed_with(
            "the ARN of a secret or a parameter", PrometheusAuth.BASIC, PrometheusAuth.BEARER
        ),
    ] = None
    prometheus_region: Annotated[_Text | None, *_needed_with("it", PrometheusAuth.SIGV4)] = None
    prometheus_role_arn: _Text | None = None


AnySettings = TypeVar("AnySettings", bound=_Settings)


def load_settings(model: type[AnySettings], environment: Mapping[str, str]) -> AnySettings:
    """Read one function's settings from environment variables.

    Raises ConfigurationError, with every missing or wrong variable in one message.
    """
    try:
        return model.model_validate({name.lower(): v for name, v in environment.items()})
    except ValidationError as error:
        problems = describe_problems(error, name_of=_variable, show=_shown)
        raise ConfigurationError(f"wrong settings: {problems}") from None


def _variable(path: str) -> str:
    return path.partition(".")[0].upper()


def _shown(value: object) -> str:
    """Show a wrong value, unless it can be a URL with a password or a token in it."""
    return "" if value is None or set(str(value)) & set("@?#") else f" (got {value!r})"
