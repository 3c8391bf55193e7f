"""Settings of each function, read once from a mapping; all problems are reported at once.

The names are those of the environment variables that the Terraform module sets.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from lifecycle.errors import ConfigurationError

_Text = Annotated[str, StringConstraints(min_length=1)]
_Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_VisibilitySeconds = Annotated[float, Field(ge=1, le=43200)]  # limit of ChangeMessageVisibility
_LabelName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
_MetricPrefix = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")]
_QueueUrl = Annotated[str, StringConstraints(pattern=r"^https?://\S+$")]


def _url_without_credentials(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be an http:// or https:// address")
    if parts.username or parts.password:
        raise ValueError("must not hold credentials: set PROMETHEUS_AUTH and its secret instead")
    return url.rstrip("/")


_PrometheusUrl = Annotated[str, AfterValidator(_url_without_credentials)]


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
    model_config = ConfigDict(frozen=True, extra="ignore")

    autoscaling_group_name: _Text


class LifecycleHandlerSettings(_Settings):
    """Settings of ``handlers.lifecycle``."""

    launch_hook_name: _Text
    terminate_hook_name: _Text
    cloud_map_service_id: _Text
    cloud_map_port: Annotated[int, Field(ge=1, le=65535)]
    operation_queue_url: _QueueUrl


class _WaiterSettings(_Settings):
    """What every stage needs to wait; ``timeout_seconds`` counts from the message's arrival."""

    poll_interval_seconds: _VisibilitySeconds
    poll_interval_max_seconds: _VisibilitySeconds
    timeout_seconds: _Seconds

    @model_validator(mode="after")
    def _intervals_in_order(self) -> Self:
        if self.poll_interval_max_seconds < self.poll_interval_seconds:
            raise ValueError(
                "POLL_INTERVAL_MAX_SECONDS must not be smaller than POLL_INTERVAL_SECONDS"
            )
        return self


class OperationWaiterSettings(_WaiterSettings):
    """Settings of ``waiters.operation``."""

    cloud_map_service_id: _Text
    cloud_map_port: Annotated[int, Field(ge=1, le=65535)]
    operation_queue_url: _QueueUrl
    operation_dlq_url: _QueueUrl
    buffer_queue_url: _QueueUrl


class BufferWaiterSettings(_WaiterSettings):
    """Settings of ``waiters.buffer``."""

    cloud_map_service_id: _Text
    operation_queue_url: _QueueUrl
    buffer_queue_url: _QueueUrl
    buffer_dlq_url: _QueueUrl

    empty_for_seconds: _Seconds
    settle_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]

    prometheus_url: _PrometheusUrl
    prometheus_request_timeout_seconds: _Seconds
    prometheus_scrape_interval_seconds: _Seconds
    prometheus_auth: PrometheusAuth = PrometheusAuth.NONE
    prometheus_credentials_arn: _Text | None = None
    prometheus_region: _Text | None = None
    prometheus_instance_label: _LabelName = "instance_id"
    prometheus_identify_by: IdentifyBy = IdentifyBy.INSTANCE_ID
    prometheus_metric_prefix: _MetricPrefix = "fluentd_output_status_"
    prometheus_expected_buffered_outputs: Annotated[int, Field(ge=1)] | None = None
    prometheus_heartbeat_plugin_id: _Text | None = None

    @model_validator(mode="after")
    def _credentials_fit_auth(self) -> Self:
        needs_credentials = self.prometheus_auth in {PrometheusAuth.BASIC, PrometheusAuth.BEARER}
        if needs_credentials and self.prometheus_credentials_arn is None:
            raise ValueError(
                f"PROMETHEUS_CREDENTIALS_ARN is missing; PROMETHEUS_AUTH={self.prometheus_auth} "
                "needs the ARN of a secret or a parameter"
            )
        if self.prometheus_auth is PrometheusAuth.SIGV4 and self.prometheus_region is None:
            raise ValueError("PROMETHEUS_REGION is missing; PROMETHEUS_AUTH=sigv4 needs it")
        return self

    @model_validator(mode="after")
    def _window_holds_samples(self) -> Self:
        if self.empty_for_seconds < 3 * self.prometheus_scrape_interval_seconds:
            raise ValueError(
                "EMPTY_FOR_SECONDS must be at least 3 x PROMETHEUS_SCRAPE_INTERVAL_SECONDS: "
                "fewer samples prove nothing"
            )
        return self


AnySettings = TypeVar("AnySettings", bound=_Settings)


def load_settings(model: type[AnySettings], environment: Mapping[str, str]) -> AnySettings:
    """Read one function's settings from environment variables.

    Raises ConfigurationError, with every missing or wrong variable in one message.
    """
    try:
        return model.model_validate({name.lower(): v for name, v in environment.items()})
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False)
        raise ConfigurationError(
            "wrong settings: " + "; ".join(_describe(problem) for problem in problems)
        ) from None


def _describe(problem: Mapping[str, object]) -> str:
    location = problem["loc"]
    names = [str(part).upper() for part in location] if isinstance(location, tuple) else []
    message = str(problem["msg"]).removeprefix("Value error, ")
    if not names:
        return message
    if problem["type"] == "missing":
        return f"{names[0]} is missing"
    # A URL that was refused for its credentials must not be printed with them.
    shown = "" if "credentials" in message else f" (got {problem['input']!r})"
    return f"{names[0]}: {message}{shown}"
