"""The environment of each function, as Terraform sets it."""

_COMMON = {
    "POWERTOOLS_SERVICE_NAME": "pipeline",
    "POWERTOOLS_METRICS_NAMESPACE": "FluentdLifecycle",
    "POWERTOOLS_LOG_LEVEL": "INFO",
    "AUTOSCALING_GROUP_NAME": "fluentd-aggregators",
    "LAUNCH_HOOK_NAME": "pipeline-launch",
    "TERMINATE_HOOK_NAME": "pipeline-terminate",
    # Lambda's own.
    "AWS_REGION": "ap-northeast-1",
    "AWS_LAMBDA_FUNCTION_NAME": "pipeline-function",
}
_QUEUE = "https://sqs.ap-northeast-1.amazonaws.com/123456789012/pipeline-"


def lifecycle_handler(**changes: str) -> dict[str, str]:
    """What ``handlers.lifecycle`` finds in its environment."""
    return {
        **_COMMON,
        "CLOUD_MAP_SERVICE_ID": "srv-0123456789abcdef",
        "CLOUD_MAP_PORT": "24224",
        "OPERATION_QUEUE_URL": f"{_QUEUE}operation",
        **changes,
    }


def operation_waiter(**changes: str) -> dict[str, str]:
    """What ``waiters.operation`` finds in its environment."""
    return {
        **lifecycle_handler(),
        "OPERATION_DLQ_URL": f"{_QUEUE}operation-dlq",
        "BUFFER_QUEUE_URL": f"{_QUEUE}buffer",
        "POLL_INTERVAL_SECONDS": "5",
        "POLL_INTERVAL_MAX_SECONDS": "120",
        "TIMEOUT_SECONDS": "600",
        **changes,
    }


def buffer_waiter(**changes: str) -> dict[str, str]:
    """What ``waiters.buffer`` finds in its environment, without its optional settings."""
    return {
        **_COMMON,
        "CLOUD_MAP_SERVICE_ID": "srv-0123456789abcdef",
        "OPERATION_QUEUE_URL": f"{_QUEUE}operation",
        "BUFFER_QUEUE_URL": f"{_QUEUE}buffer",
        "BUFFER_DLQ_URL": f"{_QUEUE}buffer-dlq",
        "POLL_INTERVAL_SECONDS": "15",
        "POLL_INTERVAL_MAX_SECONDS": "120",
        "TIMEOUT_SECONDS": "3600",
        "EMPTY_FOR_SECONDS": "300",
        "SETTLE_SECONDS": "75",
        "PROMETHEUS_URL": "http://prometheus.internal:9090",
        "PROMETHEUS_REQUEST_TIMEOUT_SECONDS": "10",
        "PROMETHEUS_SCRAPE_INTERVAL_SECONDS": "15",
        **changes,
    }
