"""AWS Cloud Map: registrations in a fleet's services and the operations on them.

Semantics: docs.aws.amazon.com/cloud-map/latest/api (RegisterInstance, DeregisterInstance,
GetOperation, GetInstance, ListInstances).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from lifecycle.decisions.instance import Address
from lifecycle.decisions.operation import Operation, OperationStatus
from lifecycle.decisions.shards import shard_for
from lifecycle.errors import UnexpectedState

if TYPE_CHECKING:
    from mypy_boto3_servicediscovery import ServiceDiscoveryClient


class CloudMap:
    """The Cloud Map services of one fleet: usually one, several for more than eight aggregators.

    An instance belongs in one of them; what is asked or done about it holds for all. ``port`` is
    where every instance listens.
    """

    def __init__(
        self, client: "ServiceDiscoveryClient", service_ids: Sequence[str], port: int
    ) -> None:
        self._client = client
        self._service_ids = tuple(service_ids)
        self._port = port

    @property
    def is_sharded(self) -> bool:
        """Tell whether the fleet is spread over several services."""
        return len(self._service_ids) > 1

    def register(self, instance_id: str, address: Address, creator_request_id: str) -> str:
        """Ask for the registration and return the id of the operation under way.

        Of several services it is the one that the instance is in already, else the emptiest.
        A repeated request with the same ``creator_request_id`` is harmless. The operation can be
        another one that was under way already: compare its type.
        """
        service_id = (
            shard_for(instance_id, self.members()) if self.is_sharded else self._service_ids[0]
        )
        return self.register_in(service_id, instance_id, address, creator_request_id)

    def register_in(
        self,
        service_id: str,
        instance_id: str,
        address: Address,
        creator_request_id: str,
    ) -> str:
        """Ask for the registration in one of the services, as ``register`` does."""
        # An SRV record's target gets an A record for the one, an AAAA record for the other.
        family = "AWS_INSTANCE_IPV6" if address.is_ipv6 else "AWS_INSTANCE_IPV4"
        try:
            answer = self._client.register_instance(
                ServiceId=service_id,
                InstanceId=instance_id,
                CreatorRequestId=creator_request_id,
                Attributes={
                    family: address.private_ip_address,
                    "AWS_INSTANCE_PORT": str(self._port),
                    "AVAILABILITY_ZONE": address.availability_zone,
                },
            )
        except ClientError as error:
            return _operation_under_way(error)
        return answer["OperationId"]

    def deregister(self, instance_id: str) -> str | None:
        """Ask for the deregistration, wherever it is; return the id of an operation under way.

        None means that Cloud Map knows no such instance. That can be a registration which has not
        propagated yet, so look with ``is_registered`` before believing it.
        """
        operation_ids = [self.deregister_from(one, instance_id) for one in self._service_ids]
        return next((one for one in operation_ids if one is not None), None)

    def deregister_from(self, service_id: str, instance_id: str) -> str | None:
        """Ask for the deregistration from one of the services, as ``deregister`` does."""
        try:
            answer = self._client.deregister_instance(ServiceId=service_id, InstanceId=instance_id)
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
            raise UnexpectedState(
                f"operation {operation_id} has the status {answer.get('Status')!r}"
            ) from error
        return Operation(
            id=operation_id,
            type=answer.get("Type", ""),
            status=status,
            error_code=answer.get("ErrorCode"),
            error_message=answer.get("ErrorMessage"),
        )

    def registered_instances(self) -> set[str]:
        """Return the ids of all registered instances."""
        return set[str]().union(*self.members().values())

    def members(self) -> dict[str, frozenset[str]]:
        """Return the ids of the registered instances by service id, in the services' order."""
        return {one: self._listed(one) for one in self._service_ids}

    def is_registered(self, instance_id: str) -> bool:
        """Tell whether the instance is in any of the services, by ``GetInstance``."""
        return any(self._is_registered_in(one, instance_id) for one in self._service_ids)

    def _listed(self, service_id: str) -> frozenset[str]:
        pages = self._client.get_paginator("list_instances").paginate(ServiceId=service_id)
        return frozenset(one["Id"] for page in pages for one in page["Instances"])

    def _is_registered_in(self, service_id: str, instance_id: str) -> bool:
        try:
            self._client.get_instance(ServiceId=service_id, InstanceId=instance_id)
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
