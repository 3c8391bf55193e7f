"""SSM Run Command: sends the module's own document to one instance and reads what came of it.

Semantics: docs.aws.amazon.com/systems-manager/latest/APIReference (SendCommand,
GetCommandInvocation).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from lifecycle.decisions.flush import Invocation
from lifecycle.errors import AgentNotReachable

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


@dataclass(frozen=True, slots=True)
class RunCommand:
    """One document. Its parameters are its own defaults, so nothing else can be run with it.

    ``delivery_timeout_seconds`` (at least 30) is how long SSM may try to reach the agent.
    """

    client: "SSMClient"
    document_name: str
    delivery_timeout_seconds: int

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
                Comment=f"Flush Fluentd before {instance_id} ends",
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
