"""The emulated Cloud Map takes its time, may fail, and refuses what AWS refuses."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.emulator.conftest import Cloud


@pytest.fixture
def cloud(cloud_with_service: Cloud) -> Cloud:
    cloud_with_service.world.faults.operation_seconds = 10
    return cloud_with_service


def settle(cloud: Cloud) -> None:
    cloud.pass_time(10)


class TestOperations:
    def test_an_operation_is_submitted_then_pending_then_successful(self, cloud: Cloud) -> None:
        operation_id = cloud.register()
        statuses = []
        for seconds in (0, 4, 1, 4, 1):
            cloud.pass_time(seconds)
            statuses.append(cloud.operation(operation_id)["Status"])
        assert statuses == ["SUBMITTED", "SUBMITTED", "PENDING", "PENDING", "SUCCESS"]

    def test_registration_and_deregistration_take_effect_only_at_success(
        self, cloud: Cloud
    ) -> None:
        cloud.register()
        cloud.pass_time(9)
        assert cloud.registered() == {}
        cloud.pass_time(1)
        assert cloud.registered() == {
            "i-1": {"AWS_INSTANCE_IPV4": "127.9.0.4", "AWS_INSTANCE_PORT": "24224"}
        }
        cloud.deregister()
        cloud.pass_time(9)
        assert set(cloud.registered()) == {"i-1"}
        cloud.pass_time(1)
        assert cloud.registered() == {}

    def test_a_failed_operation_names_its_error_and_has_no_effect(self, cloud: Cloud) -> None:
        cloud.world.faults.fail_operations(code="THROTTLED_REQUEST", message="too many")
        operation_id = cloud.register()
        settle(cloud)
        operation = cloud.operation(operation_id)
        outcome = (operation["Status"], operation["ErrorCode"], operation["ErrorMessage"])
        assert outcome == ("FAIL", "THROTTLED_REQUEST", "too many")
        assert cloud.registered() == {}

    def test_an_unknown_operation_is_not_found(self, cloud: Cloud) -> None:
        with pytest.raises(cloud.cloud_map.exceptions.OperationNotFound):
            cloud.operation("no-such-operation")

    def test_the_list_of_operations_holds_those_of_instances(self, cloud: Cloud) -> None:
        operation_id = cloud.register()
        listed = cloud.cloud_map.list_operations()["Operations"]
        assert {"Id": operation_id, "Status": "SUBMITTED"} in listed
        assert cloud.operation(operation_id)["Status"] == "SUBMITTED"


class TestOneRequestAtATime:
    def test_another_request_is_told_which_operation_is_under_way(self, cloud: Cloud) -> None:
        operation_id = cloud.register(CreatorRequestId="first")
        with pytest.raises(cloud.cloud_map.exceptions.DuplicateRequest) as error:
            cloud.register(CreatorRequestId="second")
        response: Any = error.value.response
        assert response["DuplicateOperationId"] == operation_id

    def test_the_same_request_again_is_the_same_operation(self, cloud: Cloud) -> None:
        first = cloud.register(CreatorRequestId="token")
        assert cloud.register(CreatorRequestId="token") == first

    def test_the_same_request_id_with_other_attributes_is_a_duplicate(self, cloud: Cloud) -> None:
        cloud.register(CreatorRequestId="token")
        with pytest.raises(cloud.cloud_map.exceptions.DuplicateRequest):
            cloud.register(CreatorRequestId="token", address="127.9.0.5")

    def test_deregistering_twice_is_a_duplicate(self, cloud: Cloud) -> None:
        cloud.register()
        settle(cloud)
        operation_id = cloud.deregister()
        with pytest.raises(cloud.cloud_map.exceptions.DuplicateRequest) as error:
            cloud.deregister()
        response: Any = error.value.response
        assert response["DuplicateOperationId"] == operation_id

    def test_deregistering_while_registering_is_a_duplicate(self, cloud: Cloud) -> None:
        cloud.register()
        with pytest.raises(cloud.cloud_map.exceptions.DuplicateRequest):
            cloud.deregister()


class TestInstances:
    def test_an_instance_id_with_a_space_is_refused(self, cloud: Cloud) -> None:
        with pytest.raises(cloud.cloud_map.exceptions.InvalidInput):
            cloud.register("i 1")

    def test_registering_again_updates(self, cloud: Cloud) -> None:
        for address in ("127.9.0.4", "127.9.0.5"):
            cloud.register(address=address)
            settle(cloud)
        [attributes] = cloud.registered().values()
        assert attributes["AWS_INSTANCE_IPV4"] == "127.9.0.5"

    def test_deregistering_an_unknown_instance_is_refused(self, cloud: Cloud) -> None:
        with pytest.raises(cloud.cloud_map.exceptions.InstanceNotFound):
            cloud.deregister("i-9")

    def test_an_instance_that_is_being_registered_is_not_found_yet(self, cloud: Cloud) -> None:
        cloud.register()
        with pytest.raises(cloud.cloud_map.exceptions.InstanceNotFound):
            cloud.cloud_map.get_instance(ServiceId=cloud.service_id, InstanceId="i-1")

    def test_an_unknown_service_is_refused(self, cloud: Cloud) -> None:
        cloud.service_id = "srv-unknown"
        with pytest.raises(cloud.cloud_map.exceptions.ServiceNotFound):
            cloud.register()

    @pytest.mark.parametrize(
        "attributes",
        [
            {"AWS_INSTANCE_IPV4": "127.9.0.4"},
            {"AWS_INSTANCE_PORT": "24224"},
            {"AWS_INSTANCE_IPV4": "aggregator.internal", "AWS_INSTANCE_PORT": "24224"},
            {"AWS_INSTANCE_IPV4": "127.9.0.4", "AWS_INSTANCE_PORT": "0"},
            {"AWS_INSTANCE_IPV4": "127.9.0.4", "AWS_INSTANCE_PORT": "65536"},
            {"AWS_INSTANCE_IPV4": "127.9.0.4", "AWS_INSTANCE_PORT": "forward"},
        ],
    )
    def test_attributes_that_make_no_srv_record_are_refused(
        self, cloud: Cloud, attributes: dict[str, str]
    ) -> None:
        with pytest.raises(cloud.cloud_map.exceptions.InvalidInput):
            cloud.cloud_map.register_instance(
                ServiceId=cloud.service_id, InstanceId="i-1", Attributes=attributes
            )


class TestServices:
    def test_a_service_with_instances_cannot_be_deleted(self, cloud: Cloud) -> None:
        cloud.register()
        settle(cloud)
        with pytest.raises(cloud.cloud_map.exceptions.ResourceInUse):
            cloud.cloud_map.delete_service(Id=cloud.service_id)

    def test_an_empty_service_and_its_namespace_can_be_deleted(self, cloud: Cloud) -> None:
        with pytest.raises(cloud.cloud_map.exceptions.ResourceInUse):
            cloud.cloud_map.delete_namespace(Id=cloud.extra["namespace_id"])
        cloud.cloud_map.delete_service(Id=cloud.service_id)
        cloud.cloud_map.delete_namespace(Id=cloud.extra["namespace_id"])
        assert cloud.cloud_map.list_namespaces()["Namespaces"] == []

    def test_a_second_service_of_the_same_name_is_refused(self, cloud: Cloud) -> None:
        with pytest.raises(cloud.cloud_map.exceptions.ServiceAlreadyExists):
            cloud.cloud_map.create_service(
                Name="_fluentd._tcp", NamespaceId=cloud.extra["namespace_id"]
            )

    @pytest.mark.parametrize(
        "name", ["", "_a-._tcp", "_a b._tcp", f"_{63 * 'a'}._tcp", 3 * f"{50 * 'a'}."]
    )
    def test_a_name_that_the_model_does_not_have_is_refused(self, cloud: Cloud, name: str) -> None:
        with pytest.raises(cloud.cloud_map.exceptions.InvalidInput):
            cloud.cloud_map.create_service(Name=name, NamespaceId=cloud.extra["namespace_id"])

    def test_a_service_in_an_unknown_namespace_is_refused(self, cloud: Cloud) -> None:
        with pytest.raises(cloud.cloud_map.exceptions.NamespaceNotFound):
            cloud.cloud_map.create_service(Name="other", NamespaceId="ns-unknown")


def test_the_http_status_of_an_error_is_the_models(cloud: Cloud) -> None:
    with pytest.raises(ClientError) as error:
        cloud.deregister("i-9")
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
