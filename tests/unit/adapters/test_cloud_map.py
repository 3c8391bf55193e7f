"""Registrations: what Cloud Map answers, and what that means."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from lifecycle.adapters.cloud_map import CloudMap
from lifecycle.decisions.instance import Address
from lifecycle.decisions.operation import OperationStatus
from lifecycle.errors import UnexpectedState
from tests.support.messages import INSTANCE_ID, TOKEN
from tests.support.scripted import THROTTLED, aws_error, scripted

ADDRESS = Address("10.0.0.7", "ap-northeast-1a")
UNDER_WAY = aws_error("DuplicateRequest", DuplicateOperationId="operation-0")
NOT_FOUND = aws_error("InstanceNotFound")


def cloud_map(client: Any) -> CloudMap:
    return CloudMap(client, ["srv-1"], 24224)


def register(client: Any) -> str:
    return cloud_map(client).register(INSTANCE_ID, ADDRESS, TOKEN)


@pytest.mark.parametrize(
    ("attribute", "address"),
    [("AWS_INSTANCE_IPV4", "10.0.0.7"), ("AWS_INSTANCE_IPV6", "2001:db8::7")],
)
def test_a_registration_carries_address_port_zone_and_the_token_of_its_event(
    attribute: str, address: str
) -> None:
    client = scripted(register_instance={"OperationId": "operation-1"})
    assert (
        cloud_map(client).register(INSTANCE_ID, Address(address, "ap-northeast-1a"), TOKEN)
        == "operation-1"
    )
    assert client.calls == [
        (
            "register_instance",
            {
                "ServiceId": "srv-1",
                "InstanceId": INSTANCE_ID,
                "CreatorRequestId": TOKEN,
                "Attributes": {
                    attribute: address,
                    "AWS_INSTANCE_PORT": "24224",
                    "AVAILABILITY_ZONE": "ap-northeast-1a",
                },
            },
        )
    ]


def test_a_duplicate_request_stands_for_the_operation_under_way() -> None:
    client = scripted(register_instance=UNDER_WAY, deregister_instance=UNDER_WAY)
    assert register(client) == "operation-0"
    assert cloud_map(client).deregister(INSTANCE_ID) == "operation-0"


@pytest.mark.parametrize(
    "error",
    [
        THROTTLED,
        aws_error("ResourceInUse"),
        aws_error("InvalidInput"),
        aws_error("ServiceNotFound"),
        aws_error("DuplicateRequest"),
        aws_error("DuplicateRequest", DuplicateOperationId=""),
        aws_error("ResourceInUse", DuplicateOperationId="operation-0"),
    ],
)
def test_any_other_refusal_is_an_error(error: ClientError) -> None:
    client = scripted(register_instance=error, deregister_instance=error)
    with pytest.raises(ClientError):
        register(client)
    with pytest.raises(ClientError):
        cloud_map(client).deregister(INSTANCE_ID)


def test_a_deregistration_names_service_and_instance_and_returns_its_operation() -> None:
    client = scripted(deregister_instance={"OperationId": "operation-2"})
    assert cloud_map(client).deregister(INSTANCE_ID) == "operation-2"
    assert client.calls == [
        ("deregister_instance", {"ServiceId": "srv-1", "InstanceId": INSTANCE_ID})
    ]


def test_an_instance_that_is_not_registered_needs_no_operation() -> None:
    assert cloud_map(scripted(deregister_instance=NOT_FOUND)).deregister(INSTANCE_ID) is None


def test_a_registration_of_an_unknown_instance_is_an_error() -> None:
    with pytest.raises(ClientError):
        register(scripted(register_instance=NOT_FOUND))


@pytest.mark.parametrize("status", OperationStatus)
def test_an_operation_is_read_whole(status: OperationStatus) -> None:
    answer = {
        "Operation": {
            "Id": "operation-1",
            "Type": "REGISTER_INSTANCE",
            "Status": str(status),
            "ErrorCode": "THROTTLED_REQUEST",
            "ErrorMessage": "too much",
        }
    }
    client = scripted(get_operation=answer)
    operation = cloud_map(client).operation("operation-1")
    assert client.calls == [("get_operation", {"OperationId": "operation-1"})]
    assert operation is not None
    assert (operation.id, operation.type, operation.status) == (
        "operation-1",
        "REGISTER_INSTANCE",
        status,
    )
    assert (operation.error_code, operation.error_message) == ("THROTTLED_REQUEST", "too much")


def test_an_operation_that_cloud_map_forgot_is_none() -> None:
    client = scripted(get_operation=aws_error("OperationNotFound"))
    assert cloud_map(client).operation("operation-1") is None


@pytest.mark.parametrize("answer", [{}, {"Status": "RESTING"}, {"Status": ""}])
def test_an_operation_in_an_unknown_state_is_unexpected(answer: dict[str, str]) -> None:
    with pytest.raises(UnexpectedState, match="operation-1 has the status"):
        cloud_map(scripted(get_operation={"Operation": answer})).operation("operation-1")


def test_what_cannot_be_asked_is_not_taken_for_an_answer() -> None:
    client = scripted(get_operation=THROTTLED, get_instance=THROTTLED)
    with pytest.raises(ClientError):
        cloud_map(client).operation("operation-1")
    with pytest.raises(ClientError):
        cloud_map(client).is_registered(INSTANCE_ID)


def test_registered_means_that_cloud_map_shows_the_instance() -> None:
    client = scripted(get_instance={"Instance": {}})
    assert cloud_map(client).is_registered(INSTANCE_ID)
    assert client.calls == [("get_instance", {"ServiceId": "srv-1", "InstanceId": INSTANCE_ID})]
    assert not cloud_map(scripted(get_instance=NOT_FOUND)).is_registered(INSTANCE_ID)


def test_a_service_that_is_gone_is_not_an_instance_that_is_not_registered() -> None:
    with pytest.raises(ClientError):
        cloud_map(scripted(get_instance=aws_error("ServiceNotFound"))).is_registered(INSTANCE_ID)


class Services:
    """Several services that answer as Cloud Map does; ``listed`` is what each holds."""

    def __init__(self, **listed: list[str]) -> None:
        self.listed = {f"srv-{name}": ids for name, ids in listed.items()}
        self.calls: list[tuple[str, str]] = []

    def get_paginator(self, name: str) -> Any:
        assert name == "list_instances"
        return self

    def paginate(self, ServiceId: str) -> list[dict[str, Any]]:  # noqa: N803 (boto3's)
        """Two pages, always."""
        listed = [
            {"Id": one, "Attributes": {"AWS_INSTANCE_IPV4": f"10.0.0.{one[2:]}"}}
            for one in self.listed[ServiceId]
        ]
        return [{"Instances": listed[:1]}, {"Instances": listed[1:]}]

    def register_instance(self, *, ServiceId: str, **_: Any) -> dict[str, str]:  # noqa: N803
        self.calls.append(("register", ServiceId))
        return {"OperationId": f"register-{ServiceId}"}

    def deregister_instance(self, *, ServiceId: str, InstanceId: str) -> dict[str, str]:  # noqa: N803
        if InstanceId not in self.listed[ServiceId]:
            raise NOT_FOUND
        self.calls.append(("deregister", ServiceId))
        return {"OperationId": f"deregister-{ServiceId}"}

    def get_instance(self, *, ServiceId: str, InstanceId: str) -> dict[str, str]:  # noqa: N803
        if InstanceId not in self.listed[ServiceId]:
            raise NOT_FOUND
        return {}


def three(services: Any) -> CloudMap:
    return CloudMap(services, ["srv-a", "srv-b", "srv-c"], 24224)


def test_of_several_services_an_instance_registers_in_the_emptiest() -> None:
    services: Any = Services(a=["i-1", "i-2"], b=["i-3"], c=["i-4", "i-5"])
    assert three(services).register("i-9", ADDRESS, TOKEN) == "register-srv-b"
    assert services.calls == [("register", "srv-b")]


def test_an_instance_that_is_in_a_service_already_stays_there() -> None:
    services: Any = Services(a=["i-1"], b=["i-3", "i-9", "i-4"], c=[])
    assert three(services).register("i-9", ADDRESS, TOKEN) == "register-srv-b"


def test_an_instance_leaves_whatever_service_it_is_in() -> None:
    services: Any = Services(a=["i-1"], b=["i-1", "i-2"], c=["i-2"])
    assert three(services).deregister("i-2") == "deregister-srv-b"
    assert services.calls == [("deregister", "srv-b"), ("deregister", "srv-c")]
    assert three(services).deregister("i-3") is None


def test_registered_means_in_any_of_the_services() -> None:
    services: Any = Services(a=["i-1"], b=[], c=["i-2"])
    assert three(services).is_registered("i-2")
    assert not three(services).is_registered("i-3")


def test_the_fleet_is_all_services_together() -> None:
    services: Any = Services(a=["i-1", "i-2"], b=[], c=["i-3"])
    assert three(services).registered_instances() == {"i-1", "i-2", "i-3"}
    assert three(services).members() == {"srv-a": {"i-1", "i-2"}, "srv-b": set(), "srv-c": {"i-3"}}


def test_a_service_that_cannot_be_listed_is_not_an_empty_one() -> None:
    services: Any = Services(a=["i-1"])  # KeyError for the others, as for any error
    with pytest.raises(KeyError):
        CloudMap(services, ["srv-a", "srv-b"], 24224).register("i-9", ADDRESS, TOKEN)
