"""The HTTP face of Cloud Map: JSON in, JSON out. moto reads `url_paths` here."""

import json
from typing import cast

from moto.core.common_types import TYPE_RESPONSE
from moto.servicediscovery.responses import ServiceDiscoveryResponse
from moto.servicediscovery.urls import url_bases

from sandbox.emulator.cloud_map.backend import SlowCloudMapBackend

__all__ = ["SlowCloudMapResponse", "url_bases", "url_paths"]


class SlowCloudMapResponse(ServiceDiscoveryResponse):
    """moto's API, with operations that are under way and filters that are heeded."""

    @property
    def slow_backend(self) -> SlowCloudMapBackend:
        return cast("SlowCloudMapBackend", self.servicediscovery_backend)

    def create_private_dns_namespace(self) -> str:
        created = super().create_private_dns_namespace()
        self.slow_backend.shorten_zone_ids()
        return created

    def create_service(self) -> str:
        """CreateService; the namespace may be named inside the DNS configuration."""
        parameters = json.loads(self.body)
        dns_config = parameters.get("DnsConfig") or {}
        namespace_id = parameters.get("NamespaceId") or dns_config.get("NamespaceId")
        again = self.slow_backend.made_by(parameters.get("CreatorRequestId"))
        if again is not None:
            return json.dumps({"Service": again.to_json()})
        self.slow_backend.require_free_name(namespace_id, parameters["Name"])
        self.body = json.dumps({**parameters, "NamespaceId": namespace_id})
        return super().create_service()

    def list_instances(self) -> str:
        parameters = json.loads(self.body)
        world, most = self.slow_backend.world, parameters.get("MaxResults")
        token = parameters.get("NextToken")
        if token is not None:
            page, following = world.pages.go_on(token, most, "InvalidInput")
        else:
            registered = self.slow_backend.list_instances(parameters["ServiceId"])
            page, following = world.pages.begin(list(registered), world.faults, most)
        more = {} if following is None else {"NextToken": following}
        return json.dumps({"Instances": [one.to_json() for one in page], **more})

    def get_operation(self) -> str:
        operation_id = json.loads(self.body)["OperationId"]
        return json.dumps({"Operation": self.slow_backend.describe_operation(operation_id)})

    def list_operations(self) -> TYPE_RESPONSE:
        return 200, {}, json.dumps({"Operations": self.slow_backend.describe_operations()})

    def get_service(self) -> str:
        """GetService, with the number of instances."""
        service = self.slow_backend.get_service(json.loads(self.body)["Id"])
        described = {**service.to_json(), "InstanceCount": len(service.instances)}
        return json.dumps({"Service": described})

    def list_services(self) -> str:
        wanted = {
            value
            for condition in json.loads(self.body or "{}").get("Filters", [])
            if condition["Name"] == "NAMESPACE_ID"
            for value in condition["Values"]
        }
        services = self.slow_backend.services.values()
        chosen = [one for one in services if not wanted or one.namespace_id in wanted]
        described = [{**one.to_json(), "InstanceCount": len(one.instances)} for one in chosen]
        return json.dumps({"Services": described})


url_paths = {"{0}/$": SlowCloudMapResponse.dispatch}
