"""Cloud Map with operations that take time and can fail, on top of moto's.

RegisterInstance and DeregisterInstance answer at once with an operation id; what they ask for
takes effect when the operation succeeds, `faults.operation_seconds` later. Only one operation at a
time may be under way for an instance of a service. Operations on namespaces stay immediate.
"""

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

from moto.servicediscovery.models import Service, ServiceDiscoveryBackend, ServiceInstance

from sandbox.emulator.cloud_map import errors
from sandbox.emulator.faults import OperationFailure
from sandbox.emulator.world import World

LARGEST_PORT = 65_535


@dataclass
class SlowOperation:
    """One change of one instance, from SUBMITTED to SUCCESS or FAIL."""

    id: str
    operation_type: str
    service_id: str
    instance_id: str
    submitted_at: float
    ends_at: float
    creator_request_id: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    failure: OperationFailure | None = None
    ended: bool = False

    @property
    def targets(self) -> dict[str, str]:
        """What the operation is about; moto's lists ask for it by this name."""
        return {"INSTANCE": self.instance_id, "SERVICE": self.service_id}

    def status(self, now: float) -> str:
        """The state that GetOperation shows at `now`."""
        if self.ended:
            return "FAIL" if self.failure else "SUCCESS"
        halfway = (self.submitted_at + self.ends_at) / 2
        return "SUBMITTED" if now < halfway else "PENDING"

    def description(self, now: float) -> dict[str, Any]:
        described: dict[str, Any] = {
            "Id": self.id,
            "Type": self.operation_type,
            "Status": self.status(now),
            "CreateDate": self.submitted_at,
            "UpdateDate": min(now, self.ends_at),
            "Targets": self.targets,
        }
        if self.ended and self.failure:
            described |= {"ErrorCode": self.failure.code, "ErrorMessage": self.failure.message}
        return described


class SlowCloudMapBackend(ServiceDiscoveryBackend):
    """The API's operations. `world` is bound by a subclass for each emulated cloud."""

    world: ClassVar[World]

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.slow_operations: dict[str, SlowOperation] = {}
        self._under_way: dict[tuple[str, str], SlowOperation] = {}

    def get_service(self, service_id: str) -> Service:
        service = self.services.get(service_id.rsplit("/", 1)[-1])
        if service is None:
            raise errors.not_found("Service", service_id)
        return service

    def shorten_zone_ids(self) -> None:
        """Let namespaces name their zones by the bare id."""
        for namespace in self.namespaces.values():
            properties = namespace.dns_properties
            if "HostedZoneId" in properties:
                properties["HostedZoneId"] = properties["HostedZoneId"].rsplit("/", 1)[-1]

    def require_free_name(self, namespace_id: str | None, name: str) -> None:
        """Refuse a service in an unknown namespace, or one that is there already or cannot be."""
        if not errors.SERVICE_NAME.fullmatch(name):
            raise errors.CloudMapError("InvalidInput", f"{name!r} is no valid Name")
        if namespace_id not in self.namespaces:
            raise errors.not_found("Namespace", namespace_id)
        for other in self.services.values():
            if (other.namespace_id, other.name) == (namespace_id, name):
                raise errors.CloudMapError(
                    "ServiceAlreadyExists",
                    f"Service {name} already exists",
                    ServiceId=other.id,
                    ServiceArn=other.arn,
                    CreatorRequestId=other.creator_request_id,
                )

    def made_by(self, creator_request_id: str | None) -> Service | None:
        """The service that this request made before: its answer may have been lost."""
        made = (one for one in self.services.values() if creator_request_id)
        return next((one for one in made if one.creator_request_id == creator_request_id), None)

    def delete_service(self, service_id: str) -> None:
        service = self.get_service(service_id)
        if service.instances:
            raise errors.resource_in_use("service", service.id)
        super().delete_service(service.id)

    def delete_namespace(self, namespace_id: str) -> str:
        if any(service.namespace_id == namespace_id for service in self.services.values()):
            raise errors.resource_in_use("namespace", namespace_id)
        return super().delete_namespace(namespace_id)

    def register_instance(
        self, service_id: str, instance_id: str, creator_request_id: str, attributes: dict[str, str]
    ) -> str:
        """Start to register an instance, or to change what it is registered with."""
        service = self.get_service(service_id)
        errors.require_instance_id(instance_id)
        _require_attributes(service, attributes)
        known = self._under_way.get((service.id, instance_id))
        if known is not None:
            request = (known.operation_type, known.creator_request_id, known.attributes)
            if request == ("REGISTER_INSTANCE", creator_request_id, attributes):
                return known.id
            raise errors.duplicate_request(known.id)
        operation = self._submit("REGISTER_INSTANCE", service.id, instance_id)
        operation.creator_request_id = creator_request_id
        operation.attributes = dict(attributes)
        return operation.id

    def deregister_instance(self, service_id: str, instance_id: str) -> str:
        service = self.get_service(service_id)
        known = self._under_way.get((service.id, instance_id))
        if known is not None:
            raise errors.duplicate_request(known.id)
        self.get_instance(service.id, instance_id)
        return self._submit("DEREGISTER_INSTANCE", service.id, instance_id).id

    def get_instance(self, service_id: str, instance_id: str) -> ServiceInstance:
        for instance in self.get_service(service_id).instances:
            if instance.instance_id == instance_id:
                return instance
        raise errors.not_found("Instance", instance_id)

    def describe_operation(self, operation_id: str) -> dict[str, Any]:
        """An operation of either kind, as GetOperation shows it."""
        slow = self.slow_operations.get(operation_id)
        if slow is not None:
            return slow.description(self.world.now)
        operation = self.operations.get(operation_id)
        if operation is None:
            raise errors.not_found("Operation", operation_id)
        return operation.to_json()

    def describe_operations(self) -> list[dict[str, Any]]:
        """All operations in short, as ListOperations shows them."""
        fast = [operation.to_json(short=True) for operation in self.operations.values()]
        slow: Iterable[SlowOperation] = self.slow_operations.values()
        return fast + [{"Id": one.id, "Status": one.status(self.world.now)} for one in slow]

    def _submit(self, operation_type: str, service_id: str, instance_id: str) -> SlowOperation:
        now = self.world.now
        ends_at = now + self.world.faults.operation_seconds
        operation = SlowOperation(
            errors.new_operation_id(), operation_type, service_id, instance_id, now, ends_at
        )
        operation.failure = (
            self.world.operation_failure or self.world.faults.take_operation_failure()
        )
        self.slow_operations[operation.id] = operation
        self._under_way[service_id, instance_id] = operation
        self.world.call_at(ends_at, lambda: self._end(operation))
        self._record("operation_submitted", operation)
        return operation

    def _end(self, operation: SlowOperation) -> None:
        operation.ended = True
        del self._under_way[operation.service_id, operation.instance_id]
        service = self.services.get(operation.service_id)
        if service is None:
            operation.failure = OperationFailure("INTERNAL_FAILURE", "the service is gone", 1)
        if operation.failure is not None:
            self._record("operation_failed", operation, error_code=operation.failure.code)
        elif service is not None:
            self._take_effect(operation, service)

    def _take_effect(self, operation: SlowOperation, service: Service) -> None:
        instance_id = operation.instance_id
        # An update keeps its place; an instance that is gone already stays gone.
        positions = [one.instance_id for one in service.instances]
        known = positions.index(instance_id) if instance_id in positions else None
        revision = service.instances_revision.get(instance_id, 0)
        service.instances_revision[instance_id] = revision + 1
        if operation.operation_type == "DEREGISTER_INSTANCE":
            if known is not None:
                del service.instances[known]
            self._record("deregistered", operation)
            return
        instance = ServiceInstance(
            service.id, instance_id, operation.creator_request_id, operation.attributes
        )
        place = slice(known, known + 1) if known is not None else slice(len(positions), None)
        service.instances[place] = [instance]
        self._record("registered", operation, attributes=operation.attributes)

    def _record(self, event: str, operation: SlowOperation, **details: object) -> None:
        self.world.record(
            event,
            operation.instance_id,
            service_id=operation.service_id,
            operation_id=operation.id,
            operation_type=operation.operation_type,
            **details,
        )


def _record_types(service: Service) -> set[str]:
    records = (service.dns_config or {}).get("DnsRecords") or []
    return {record["Type"] for record in records}


def _require_attributes(service: Service, attributes: Mapping[str, str]) -> None:
    """Refuse an instance that the service's DNS records could not be made of."""
    types = _record_types(service)
    required = [name for kind, name in REQUIRED_BY.items() if kind in types]
    wrong = [f"{name} is required" for name in required if name not in attributes]
    if "SRV" in types and not attributes.keys() & ADDRESSES:
        wrong.append(f"{' or '.join(sorted(ADDRESSES))} is required by the SRV record")
    for name, is_sound in SOUND.items():
        if name in attributes and not is_sound(attributes[name]):
            wrong.append(f"{name} {attributes[name]!r} is not valid")
    if wrong:
        raise errors.CloudMapError("InvalidInput", "; ".join(wrong))


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) <= LARGEST_PORT


def _is_address(text: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(text).version == version
    except ValueError:
        return False


# RegisterInstance, Attributes: what each kind of DNS record needs; SRV needs an address, too.
REQUIRED_BY = {"A": "AWS_INSTANCE_IPV4", "AAAA": "AWS_INSTANCE_IPV6", "SRV": "AWS_INSTANCE_PORT"}
ADDRESSES = {"AWS_INSTANCE_IPV4", "AWS_INSTANCE_IPV6"}
SOUND: dict[str, Callable[[str], bool]] = {
    "AWS_INSTANCE_IPV4": partial(_is_address, version=4),
    "AWS_INSTANCE_IPV6": partial(_is_address, version=6),
    "AWS_INSTANCE_PORT": _is_port,
}
