"""The only place that builds boto3 clients."""

from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_servicediscovery import ServiceDiscoveryClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_sts import STSClient

# A call that hangs must not eat the function's timeout: 3 attempts of at most 2 + 5 seconds.
# The queue retries the rest.
_CONFIG = Config(
    connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3}
)

_FIRST_SERVER_ERROR = 500
# docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
_TRANSIENT = {"RequestLimitExceeded", "InternalError", "InternalFailure", "ServiceUnavailable"}

# For what may fail and must not hold up what matters: throttling is got over, an EC2 that cannot be
# reached costs a few seconds.
_BRIEFLY = Config(
    connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 3}
)


def is_transient(error: Exception) -> bool:
    """Tell whether AWS was slow, down or throttled the call: asked later, it may answer."""
    if not isinstance(error, ClientError):
        return isinstance(error, BotoCoreError)
    code, metadata = error.response["Error"]["Code"], error.response.get("ResponseMetadata", {})
    is_down = metadata.get("HTTPStatusCode", 0) >= _FIRST_SERVER_ERROR
    return is_down or "Throttl" in code or code in _TRANSIENT


def autoscaling() -> "AutoScalingClient":
    """Build a client for EC2 Auto Scaling in the function's own region."""
    return boto3.client("autoscaling", config=_CONFIG)


def ec2() -> "EC2Client":
    """Build a client for EC2 in the function's own region."""
    return boto3.client("ec2", config=_CONFIG)


def ec2_briefly() -> "EC2Client":
    """Build a client for EC2 that does not try for long."""
    return boto3.client("ec2", config=_BRIEFLY)


def servicediscovery() -> "ServiceDiscoveryClient":
    """Build a client for AWS Cloud Map in the function's own region."""
    return boto3.client("servicediscovery", config=_CONFIG)


def sqs() -> "SQSClient":
    """Build a client for SQS in the function's own region."""
    return boto3.client("sqs", config=_CONFIG)


def secretsmanager() -> "SecretsManagerClient":
    """Build a client for Secrets Manager in the function's own region."""
    return boto3.client("secretsmanager", config=_CONFIG)


def ssm() -> "SSMClient":
    """Build a client for Systems Manager in the function's own region."""
    return boto3.client("ssm", config=_CONFIG)


def sts() -> "STSClient":
    """Build a client for the Security Token Service in the function's own region."""
    return boto3.client("sts", config=_CONFIG)


def functions(longest_answer_seconds: float) -> "LambdaClient":
    """Build a client that invokes a function once and waits for its answer.

    A second attempt of botocore would be a second invocation, beside the first.
    """
    once = Config(
        connect_timeout=2, read_timeout=longest_answer_seconds, retries={"total_max_attempts": 1}
    )
    return boto3.client("lambda", config=once)
