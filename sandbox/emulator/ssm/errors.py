"""The errors of SSM that Run Command answers with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moto.ssm.exceptions import SSMException

if TYPE_CHECKING:
    from collections.abc import Iterable


def invalid_document(name: str) -> SSMException:
    """There is no such document."""
    return SSMException("InvalidDocument", f"Document with name {name} does not exist.")


def invalid_document_version(version: str) -> SSMException:
    """The document has no such version."""
    return SSMException("InvalidDocumentVersion", f"The document version {version} does not exist.")


def invalid_content(reason: str) -> SSMException:
    """The content is no command document."""
    return SSMException("InvalidDocumentContent", reason)


def invalid_instances(instance_ids: Iterable[str]) -> SSMException:
    """SSM reaches no agent on these instances: unknown, not running, or it has not been heard."""
    return SSMException(
        "InvalidInstanceId",
        f"Instances [[{', '.join(instance_ids)}]] not in a valid state for account",
    )


def duplicate_instances() -> SSMException:
    """An instance is named twice."""
    return SSMException("DuplicateInstanceId", "You can't specify an instance ID more than once.")


def invalid_parameters(reason: str) -> SSMException:
    """The parameters are not what the document allows."""
    return SSMException("InvalidParameters", reason)


def validation(reason: str) -> SSMException:
    """A member of the request breaks the API's own limits."""
    return SSMException("ValidationException", f"1 validation error detected: {reason}")


def invalid_command(command_id: str) -> SSMException:
    """There is no such command."""
    return SSMException("InvalidCommandId", f"Command {command_id} does not exist.")


def no_invocation() -> SSMException:
    """The command was not sent to that instance, or nothing is known of it yet."""
    return SSMException("InvocationDoesNotExist", "The invocation does not exist.")


def invalid_plugin(name: str) -> SSMException:
    """The document has no such step."""
    return SSMException("InvalidPluginName", f"The document has no step {name}.")
