"""Cloud Map's errors and ids, in the form that its model gives them."""

import re
import string

from moto.core.exceptions import ServiceException
from moto.moto_api._internal import mock_random

# `Name` of CreateService, by the service's model.
_LABEL = r"(?:[a-zA-Z0-9_][a-zA-Z0-9-_]{0,61}[a-zA-Z0-9_]|[a-zA-Z0-9])"
SERVICE_NAME = re.compile(rf"(?=.{{1,127}}$){_LABEL}(?:\.{_LABEL})*")
INSTANCE_ID = re.compile(r"[0-9a-zA-Z_/:.@-]{1,64}")


class CloudMapError(ServiceException):
    """An error of the API; extra members are attributes, as moto's serializer reads them."""

    def __init__(self, error_code: str, message: str, **members: str) -> None:
        super().__init__(error_code, message)
        vars(self).update(members)


def not_found(kind: str, name: object) -> CloudMapError:
    """There is no such instance, operation, service or namespace."""
    return CloudMapError(f"{kind}NotFound", f"{kind} {name} not found")


def resource_in_use(kind: str, resource_id: str) -> CloudMapError:
    """What is to be deleted still has something in it."""
    return CloudMapError("ResourceInUse", f"The {kind} {resource_id} contains other resources")


def duplicate_request(operation_id: str) -> CloudMapError:
    """Another operation on the same instance is under way: this one."""
    message = "Another operation on the same instance is already in progress"
    return CloudMapError("DuplicateRequest", message, DuplicateOperationId=operation_id)


def require_instance_id(instance_id: str) -> None:
    """Refuse an id that the API's model does not allow."""
    if not INSTANCE_ID.fullmatch(instance_id):
        raise CloudMapError("InvalidInput", f"{instance_id!r} is no valid InstanceId")


def new_operation_id() -> str:
    """An id in Cloud Map's form."""
    letters = string.ascii_lowercase + string.digits
    first, second = (
        "".join(mock_random.choice(letters) for _ in range(length)) for length in (32, 8)
    )
    return f"{first}-{second}"
