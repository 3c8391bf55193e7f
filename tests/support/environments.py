"""The environment of each function, as Terraform sets it."""

from typing import Any

from lifecycle.settings import PrometheusSettings

_COMMON = {
    "POWERTOOLS_SERVICE_NAME": "pipeline",
    "POWERTOOLS_METRICS_NAMESPACE": "FluentdLifecycle",
    "MODULE_VERSION": "1.2.3",
    "POWERTOOLS_LOG_LEVEL": "INFO",
    "AUTOSCALING_GROUP_NAME": "fluentd-aggregators",
    "TERMINATE_HOOK_NAME": "pipeline-terminate",
    # Lambda's own.
    "AWS_REGION": "ap-northeast-1",
    "AWS_LAMBDA_FUNCTION_NAME": "pipeline-function",
}
PROMETHEUS_URL = "http://prometheus.internal:9090"
_QUEUE = "https://sqs.ap-northeast-1.amazonaws.com/123456789012/pipeline-"
_DRAINING = {
    "POLL_INTERVAL_SECONDS": "15",
    "POLL_INTERVAL_MAX_SECONDS": "120",
    "TIMEOUT_SECONDS": "3600",
    "VISIBILITY_TIMEOUT_SECONDS": "360",
    "TERMINATE_HEARTBEAT_TIMEOUT_SECONDS": "3600",
    "SETTLE_SECONDS": "75",
}
_PROOF = {
    "EMPTY_FOR_SECONDS": "300",
    "EVIDENCE_FUNCTION_NAME": "pipeline-evidence",
    "EVIDENCE_TIMEOUT_SECONDS": "32",
    "PROMETHEUS_SCRAPE_INTERVAL_SECONDS": "15",
    "SETTLE_SECONDS": "75",
}
_CLOUD_MAP = {
    "LAUNCH_HOOK_NAME": "pipeline-launch",
    "CLOUD_MAP_SERVICE_IDS": "srv-0123456789abcdef",
    "CLOUD_MAP_PORT": "24224",
    "ALLOW_EMPTY_SERVICE": "false",
    "OPERATION_QUEUE_URL": f"{_QUEUE}operation",
}


def lifecycle_handler(**changes: str) -> dict[str, str]:
    return {**_COMMON, **_CLOUD_MAP, **changes}


def reconciler(**changes: str) -> dict[str, str]:
    return {
        **lifecycle_handler(),
        "BUFFER_QUEUE_URL": f"{_QUEUE}buffer",
        "RECONCILE_MODE": "correct",
        "RECONCILE_GRACE_SECONDS": "60",
        "TERMINATE_HEARTBEAT_TIMEOUT_SECONDS": "3600",
        "LAUNCH_HEARTBEAT_TIMEOUT_SECONDS": "600",
        **_PROOF,
        **changes,
    }


def interruption(**changes: str) -> dict[str, str]:
    """What ``handlers.interruption`` finds in its environment, for a fleet that is flushed."""
    return {
        **_COMMON,
        **_CLOUD_MAP,
        "INTERRUPTION_QUEUE_URL": f"{_QUEUE}interruption",
        "INTERRUPTION_DLQ_URL": f"{_QUEUE}interruption-dlq",
        "FLUSH_DOCUMENT_NAME": "pipeline-flush",
        "FLUSH_DELIVERY_TIMEOUT_SECONDS": "60",
        **changes,
    }


def operation_waiter(**changes: str) -> dict[str, str]:
    return {
        **_COMMON,
        **_CLOUD_MAP,
        "OPERATION_DLQ_URL": f"{_QUEUE}operation-dlq",
        "BUFFER_QUEUE_URL": f"{_QUEUE}buffer",
        "POLL_INTERVAL_SECONDS": "5",
        "POLL_INTERVAL_MAX_SECONDS": "120",
        "TIMEOUT_SECONDS": "600",
        "VISIBILITY_TIMEOUT_SECONDS": "360",
        "TERMINATE_HEARTBEAT_TIMEOUT_SECONDS": "3600",
        "LAUNCH_HEARTBEAT_TIMEOUT_SECONDS": "900",
        **changes,
    }


def flush_waiter(**changes: str) -> dict[str, str]:
    """What ``waiters.flush`` finds in its environment, as the only stage after Cloud Map."""
    return {
        **_COMMON,
        **_CLOUD_MAP,
        "FLUSH_QUEUE_URL": f"{_QUEUE}flush",
        "FLUSH_DLQ_URL": f"{_QUEUE}flush-dlq",
        **_DRAINING,
        "FLUSH_DOCUMENT_NAME": "pipeline-flush",
        "FLUSH_COMMAND_TIMEOUT_SECONDS": "55",
        "FLUSH_DELIVERY_TIMEOUT_SECONDS": "60",
        **changes,
    }


def buffer_waiter(**changes: str) -> dict[str, str]:
    """What ``waiters.buffer`` finds in its environment, without its optional settings."""
    return {
        **_COMMON,
        **_CLOUD_MAP,
        "BUFFER_QUEUE_URL": f"{_QUEUE}buffer",
        "BUFFER_DLQ_URL": f"{_QUEUE}buffer-dlq",
        **_DRAINING,
        **_PROOF,
        **changes,
    }


def evidence(**changes: str) -> dict[str, str]:
    """What ``handlers.evidence`` finds in its environment, without its optional settings."""
    return {
        **_COMMON,
        "PROMETHEUS_URL": PROMETHEUS_URL,
        "PROMETHEUS_REQUEST_TIMEOUT_SECONDS": "10",
        **changes,
    }


def reaching(url: str, **settings: Any) -> PrometheusSettings:
    """How to reach a Prometheus at this address."""
    return PrometheusSettings(prometheus_url=url, prometheus_request_timeout_seconds=5, **settings)


def without_cloud_map(environment: dict[str, str], **changes: str) -> dict[str, str]:
    """The same function for a fleet that is in no service discovery."""
    in_cloud_map = {*_CLOUD_MAP, "LAUNCH_HEARTBEAT_TIMEOUT_SECONDS"}
    return {name: v for name, v in environment.items() if name not in in_cloud_map} | changes


def queue_url(stage: str) -> str:
    return f"{_QUEUE}{stage}"


def everything() -> dict[str, str]:
    """A sound value for every setting that Terraform always gives to some function."""
    return {
        **reconciler(),
        **interruption(),
        **operation_waiter(),
        **flush_waiter(),
        **buffer_waiter(),
        **evidence(),
        "PROMETHEUS_DIALECT": "prometheus",
        "READINESS": "metrics",
        "READINESS_UNKNOWN_SECONDS": "300",
        "PROMETHEUS_AUTH": "none",
        "PROMETHEUS_METHOD": "POST",
        "PROMETHEUS_INSTANCE_LABEL": "instance_id",
        "PROMETHEUS_IDENTIFY_BY": "instance_id",
        "PROMETHEUS_METRIC_PREFIX": "fluentd_output_status_",
    }
