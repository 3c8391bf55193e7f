"""A call that hangs must not eat the function's time."""

from collections.abc import Callable
from typing import Any

import pytest

from lifecycle.adapters import clients

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
