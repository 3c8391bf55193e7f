"""Cloud Map's errors, with the members that its model gives them."""

from __future__ import annotations

import re
import string
from typing import TYPE_CHECKING

from moto.core.exceptions import ServiceException
from moto.moto_api._internal import mock_random

if TYPE_CHECKING:
    from moto.servicediscovery.models import Service

# `Name` of CreateService, by the service's model.
_LABEL = r"(?:[a-zA-Z0-9_][a-zA-Z0-9-_]{0,61}[a-zA-Z0-9_]|[a-zA-Z0-9])"
SERVICE_NAME = re.compile(rf"(?=.{{1,127}}$){_LABEL}(?:\.{_LABEL})*")
INSTANCE_ID = re.compile(r"[0-9a-zA-Z_/:.@-]{1,64}")


class CloudMapError(ServiceException):
    """An error of the API; extra members are attributes, as moto's serializer reads them."""

    def __init__(self, error_code: str, message: str, **members: str) -> None:
        super().__init__(error_code, message)
        for name, value in members.items():
            setattr(self, name, value)


def invalid_input(message: str) -> CloudMapError:
    """A parameter is missing or makes no sense."""
    return CloudMapError("InvalidInput", message)


def duplicate_request(operation_id: str) -> CloudMapError:
    """Another operation on the same instance is under way: this one."""
    return CloudMapError(
        "DuplicateRequest",
        "Another operation on the same instance is already in progress",
        DuplicateOperationId=operation_id,
    )


def instance_not_found(instance_id: str) -> CloudMapError:
    """No such instance is registered."""
    return CloudMapError("InstanceNotFound", f"Instance {instance_id} not found")


def operation_not_found(operation_id: str) -> CloudMapError:
    """No such operation, or it is too long ago."""
    return CloudMapError("OperationNotFound", f"Operation {operation_id} not found")


def service_not_found(service_id: str) -> CloudMapError:
    """No such service."""
    return CloudMapError("ServiceNotFound", f"Service {service_id} not found")


def namespace_not_found(namespace_id: str | None) -> CloudMapError:
    """No such namespace."""
    return CloudMapError("NamespaceNotFound", f"Namespace {namespace_id} not found")


def service_already_exists(service: Service) -> CloudMapError:
    """The namespace has a service of this name."""
    return CloudMapError(
        "ServiceAlreadyExists",
        f"Service {service.name} already exists",
        ServiceId=service.id,
        ServiceArn=service.arn,
        CreatorRequestId=service.creator_request_id,
    )


def resource_in_use(kind: str, resource_id: str) -> CloudMapError:
    """What is to be deleted still has something in it."""
    return CloudMapError("ResourceInUse", f"The {kind} {resource_id} contains other resources")


def require_instance_id(instance_id: str) -> None:
    """Refuse an id that the API's model does not allow."""
    if not INSTANCE_ID.fullmatch(instance_id):
        raise invalid_input(f"{instance_id!r} is no valid InstanceId")


def new_operation_id() -> str:
    """An id in Cloud Map's form."""
    letters = string.ascii_lowercase + string.digits
    first, second = (
        "".join(mock_random.choice(letters) for _ in range(length)) for length in (32, 8)
    )
    return f"{first}-{second}"
