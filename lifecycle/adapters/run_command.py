"""SSM Run Command: sends the module's own document to one instance and reads what came of it.

Semantics: docs.aws.amazon.com/systems-manager/latest/APIReference (SendCommand,
GetCommandInvocation, DescribeInstanceInformation).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NotRequired, TypedDict

from botocore.exceptions import ClientError

from lifecycle.decisions.flush import Invocation
from lifecycle.errors import AgentNotReachable

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


_MOST_VALUES = 100  # of a filter, per request


@dataclass(frozen=True, slots=True)
class RunCommand:
    """One document. Its parameters are its own defaults, so nothing else can be run with it.

    ``delivery_timeout_seconds`` (at least 30) is how long SSM may try to reach the agent. Without
    ``signals`` the document only looks: Fluentd is not asked to flush.
    """

    client: "SSMClient"
    document_name: str
    delivery_timeout_seconds: int
    signals: bool = True

    def online(self, instance_ids: Sequence[str]) -> set[str]:
        """Return which of these instances have an agent that SSM can reach at this moment.

        SSM also lists agents that it has lost, and leaves out those that it never knew.
        """
        online: set[str] = set()
        for first in range(0, len(instance_ids), _MOST_VALUES):
            ids = list(instance_ids[first : first + _MOST_VALUES])
            pages = self.client.get_paginator("describe_instance_information").paginate(
                Filters=[{"Key": "InstanceIds", "Values": ids}]
            )
            for page in pages:
                agents = page["InstanceInformationList"]
                online |= {one["InstanceId"] for one in agents if one["PingStatus"] == "Online"}
        return online

    def send(self, instance_id: str) -> str:
        """Send the document to an instance and return the id of the command.

        Raises AgentNotReachable if SSM knows no running agent on it.
        """
        try:
            answer = self.client.send_command(
                DocumentName=self.document_name,
                DocumentVersion="$DEFAULT",
                InstanceIds=[instance_id],
                TimeoutSeconds=self.delivery_timeout_seconds,
                **_purpose(instance_id, signals=self.signals),
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "InvalidInstanceId":
                raise AgentNotReachable(
                    f"SSM knows no running agent on {instance_id}: {error}"
                ) from error
            raise
        return answer["Command"]["CommandId"]

    def invocation(self, command_id: str, instance_id: str) -> Invocation:
        """Return what became of a command; one that SSM does not know yet counts as pending."""
        try:
            answer = self.client.get_command_invocation(
                CommandId=command_id, InstanceId=instance_id
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "InvocationDoesNotExist":
                return Invocation(status="Pending", status_details="InvocationDoesNotExist")
            raise
        return Invocation(
            status=answer.get("Status", "Pending"),
            status_details=answer.get("StatusDetails", ""),
            output=answer.get("StandardOutputContent", ""),
            error_output=answer.get("StandardErrorContent", ""),
        )


class _Purpose(TypedDict):
    Comment: str
    Parameters: NotRequired[dict[str, list[str]]]


def _purpose(instance_id: str, *, signals: bool) -> _Purpose:
    if signals:
        return {"Comment": f"Flush Fluentd before {instance_id} ends"}
    return {"Comment": f"Look at Fluentd on {instance_id}", "Parameters": {"Signal": ["false"]}}
