"""AWS Cloud Map: registrations of one service and the operations on them.

Semantics: docs.aws.amazon.com/cloud-map/latest/api (RegisterInstance, DeregisterInstance,
GetOperation, GetInstance).
"""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from lifecycle.errors import Surprise
from lifecycle.instances import Address
from lifecycle.operations import Operation, OperationStatus

if TYPE_CHECKING:
    from mypy_boto3_servicediscovery import ServiceDiscoveryClient


class CloudMap:
    """One Cloud Map service."""

    def __init__(self, client: "ServiceDiscoveryClient", service_id: str) -> None:
        self._client = client
        self._service_id = service_id

    def register(
        self, instance_id: str, address: Address, port: int, creator_request_id: str
    ) -> str:
        """Ask for the registration and return the id of the operation under way.

        A repeated request with the same ``creator_request_id`` is harmless. The operation can be
        another one that was under way already: compare its type.
        """
        try:
            answer = self._client.register_instance(
                ServiceId=self._service_id,
                InstanceId=instance_id,
                CreatorRequestId=creator_request_id,
                Attributes={
                    "AWS_INSTANCE_IPV4": address.private_ip_address,
                    "AWS_INSTANCE_PORT": str(port),
                    "AVAILABILITY_ZONE": address.availability_zone,
                },
            )
        except ClientError as error:
            return _operation_under_way(error)
        return answer["OperationId"]

    def deregister(self, instance_id: str) -> str | None:
        """Ask for the deregistration and return the id of the operation under way.

        None means that Cloud Map knows no such instance. That can be a registration which has not
        propagated yet, so look with ``is_registered`` before believing it.
        """
        try:
            answer = self._client.deregister_instance(
                ServiceId=self._service_id, InstanceId=instance_id
            )
        except ClientError as error:
            if _code(error) == "InstanceNotFound":
                return None
            return _operation_under_way(error)
        return answer["OperationId"]

    def operation(self, operation_id: str) -> Operation | None:
        """Return an operation, None if Cloud Map does not know it (any more)."""
        try:
            answer = self._client.get_operation(OperationId=operation_id)["Operation"]
        except ClientError as error:
            if _code(error) == "OperationNotFound":
                return None
            raise
        try:
            status = OperationStatus(answer["Status"])
        except (KeyError, ValueError) as error:
            raise Surprise(
                f"operation {operation_id} has the status {answer.get('Status')!r}"
            ) from error
        return Operation(
            id=operation_id,
            type=answer.get("Type", ""),
            status=status,
            error_code=answer.get("ErrorCode"),
            error_message=answer.get("ErrorMessage"),
        )

    def registered_instances(self) -> dict[str, str | None]:
        """Return the address of every registered instance, by instance id."""
        pages = self._client.get_paginator("list_instances").paginate(ServiceId=self._service_id)
        return {
            instance["Id"]: instance.get("Attributes", {}).get("AWS_INSTANCE_IPV4")
            for page in pages
            for instance in page["Instances"]
        }

    def is_registered(self, instance_id: str) -> bool:
        """Tell whether the instance is in the service, by ``GetInstance``."""
        try:
            self._client.get_instance(ServiceId=self._service_id, InstanceId=instance_id)
        except ClientError as error:
            if _code(error) == "InstanceNotFound":
                return False
            raise
        return True


def _operation_under_way(error: ClientError) -> str:
    """Return the operation id that ``DuplicateRequest`` carries; re-raise anything else."""
    operation_id = error.response.get("DuplicateOperationId")
    if _code(error) == "DuplicateRequest" and isinstance(operation_id, str) and operation_id:
        return operation_id
    raise error


def _code(error: ClientError) -> str:
    return error.response["Error"]["Code"]
