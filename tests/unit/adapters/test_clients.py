"""A call that hangs must not eat the function's time."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError

from lifecycle.adapters import clients
from tests.support.scripted import THROTTLED, aws_error

SERVICES: dict[str, Callable[[], Any]] = {
    "autoscaling": clients.autoscaling,
    "ec2": clients.ec2,
    "servicediscovery": clients.servicediscovery,
    "sqs": clients.sqs,
    "secretsmanager": clients.secretsmanager,
    "ssm": clients.ssm,
}


@pytest.mark.usefixtures("aws_environment")
@pytest.mark.parametrize(
    ("build", "service", "longest_seconds"),
    [
        *((build, service, 21) for service, build in SERVICES.items()),
        (clients.ec2_briefly, "ec2", 9),
    ],
)
def test_a_client_times_out_early_enough_in_the_functions_own_region(
    build: Callable[[], Any], service: str, longest_seconds: float
) -> None:
    meta = build().meta
    assert (meta.service_model.service_name, meta.region_name) == (service, "ap-northeast-1")
    config = meta.config
    attempts = config.retries["total_max_attempts"]
    assert attempts > 1  # throttling is got over
    assert attempts * (config.connect_timeout + config.read_timeout) <= longest_seconds


@pytest.mark.parametrize(
    ("error", "is_transient"),
    [
        (THROTTLED, True),
        (aws_error("RequestLimitExceeded"), True),
        (aws_error("InternalError"), True),
        (aws_error("SomethingElse", ResponseMetadata={"HTTPStatusCode": 503}), True),
        (ConnectTimeoutError(endpoint_url="https://ec2"), True),
        (aws_error("UnauthorizedOperation", ResponseMetadata={"HTTPStatusCode": 403}), False),
        (aws_error("AccessDenied"), False),
        (ValueError("a bug"), False),
    ],
)
def test_what_time_heals_is_told_from_what_the_operator_has_to_mend(
    error: Exception, *, is_transient: bool
) -> None:
    assert clients.is_transient(error) is is_transient
