"""What a call needs permission for: actions, resources and condition keys.

Taken from AWS's Service Authorization Reference, for the services that the emulator plays.
"""

import json
from collections.abc import Iterator, Mapping

from moto.core.responses import BaseResponse
from moto.ec2.models import ec2_backends
from moto.servicediscovery.models import Service

from sandbox.emulator.autoscaling.api import WaitingAutoScalingResponse
from sandbox.emulator.cloud_map.api import SlowCloudMapResponse
from sandbox.emulator.iam.policies import Request
from sandbox.emulator.ssm.api import RunCommandResponse

# They take a service as their resource.
SERVICE_ACTIONS = frozenset(
    {"RegisterInstance", "DeregisterInstance", "DeleteService", "GetService", "UpdateService"}
)
CHANGING_ACTIONS = frozenset({"RegisterInstance", "DeregisterInstance"})


def permissions_needed(response: BaseResponse, action: str) -> list[Request]:
    """Without all of these the call is refused."""
    name = f"{response.service_name}:{action}"
    common = {"aws:RequestedRegion": [response.region]}
    if isinstance(response, WaitingAutoScalingResponse):
        return [Request(name, _group_arn(response, action), common)]
    if isinstance(response, SlowCloudMapResponse):
        return [_cloud_map_request(response, action, common)]
    if isinstance(response, RunCommandResponse):
        return list(_ssm_requests(response, action, common))
    if action == "CreateTags":
        return list(_tagging_requests(response, name, common))
    return [Request(name, "*", common)]


def permissions_behind(response: BaseResponse, action: str) -> list[Request]:
    """Without these the call is accepted and the operation that it starts ends in ACCESS_DENIED.

    Cloud Map works on Route 53 with its caller's permissions.
    """
    if not isinstance(response, SlowCloudMapResponse) or action not in CHANGING_ACTIONS:
        return []
    service = _service(response)
    if service is None:
        return []
    namespace = response.slow_backend.namespaces[service.namespace_id]
    zone = namespace.dns_properties.get("HostedZoneId")
    if zone is None:
        return []
    records = (service.dns_config or {}).get("DnsRecords") or []
    types = {record["Type"] for record in records}
    # The target of an SRV record is a name of the instance's own, with an address record.
    context = {"route53:ChangeResourceRecordSetsRecordTypes": sorted(types | {"A"})}
    zone_arn = f"arn:{response.partition}:route53:::hostedzone/{zone}"
    return [Request("route53:ChangeResourceRecordSets", zone_arn, context)]


def _group_arn(response: WaitingAutoScalingResponse, action: str) -> str:
    name = response.querystring.get("AutoScalingGroupName", [""])[0]
    if action.startswith("Describe") or not name:
        return "*"
    group = response.waiting_backend.autoscaling_groups.get(name)
    if group is not None:
        return group.arn
    group_of = f"arn:{response.partition}:autoscaling:{response.region}:{response.current_account}"
    return f"{group_of}:autoScalingGroup:*:autoScalingGroupName/{name}"


def _cloud_map_request(
    response: SlowCloudMapResponse, action: str, common: Mapping[str, list[str]]
) -> Request:
    service = _service(response)
    if service is None:
        return Request(f"servicediscovery:{action}", "*", common)
    context = {**common, "servicediscovery:ServiceArn": [service.arn]}
    resource = service.arn if action in SERVICE_ACTIONS else "*"
    return Request(f"servicediscovery:{action}", resource, context)


def _ssm_requests(
    response: RunCommandResponse, action: str, common: Mapping[str, list[str]]
) -> Iterator[Request]:
    """A command needs permission for its document and for each of its instances."""
    name = f"ssm:{action}"
    parameters = json.loads(response.body or "{}")
    if action == "SendCommand":
        backend, document = response.run_command_backend, parameters["DocumentName"]
        tags = _tag_keys(backend.document_tags(document))
        yield Request(name, backend.document_arn(document), {**common, **tags})
        instances = f"arn:{response.partition}:ec2:{response.region}:{response.current_account}"
        for instance_id in parameters.get("InstanceIds") or []:
            tags = _tag_keys(backend.instance_tags(instance_id))
            yield Request(name, f"{instances}:instance/{instance_id}", {**common, **tags})
    elif action in {"GetParameter", "GetParameters"}:
        account = f"arn:{response.partition}:ssm:{response.region}:{response.current_account}"
        for one in parameters.get("Names") or [parameters["Name"]]:
            bare = one.rpartition(":parameter/")[2].removeprefix("/")
            yield Request(name, f"{account}:parameter/{bare}", common)
    else:
        yield Request(name, "*", common)


def _tagging_requests(
    response: BaseResponse, name: str, common: Mapping[str, list[str]]
) -> Iterator[Request]:
    """Tags need permission for each resource that they are written on; only instances are known."""
    backend = ec2_backends[response.current_account][response.region]
    tags = _numbered(response.querystring, "Tag", ".Key")
    instances = f"arn:{response.partition}:ec2:{response.region}:{response.current_account}"
    for resource_id in _numbered(response.querystring, "ResourceId", ""):
        there = {tag["key"]: tag["value"] for tag in backend.describe_tags(_by_id(resource_id))}
        context = {**common, **_tag_keys(there, "ec2:ResourceTag/"), "aws:TagKeys": tags}
        yield Request(name, f"{instances}:instance/{resource_id}", context)


def _by_id(resource_id: str) -> dict[str, list[str]]:
    return {"resource-id": [resource_id]}


def _numbered(parameters: Mapping[str, list[str]], prefix: str, suffix: str) -> list[str]:
    """The values of a list in the query protocol: Tag.1.Key, Tag.2.Key, ..."""
    values: list[str] = []
    while value := parameters.get(f"{prefix}.{len(values) + 1}{suffix}"):
        values.append(value[0])
    return values


def _tag_keys(
    tags: Mapping[str, str], own_prefix: str = "ssm:resourceTag/"
) -> dict[str, list[str]]:
    """The condition keys by which a service's permissions may ask for a resource's tags."""
    prefixes = (own_prefix, "aws:ResourceTag/")
    return {f"{prefix}{key}": [value] for prefix in prefixes for key, value in tags.items()}


def _service(response: SlowCloudMapResponse) -> Service | None:
    parameters = json.loads(response.body or "{}")
    service_id = parameters.get("ServiceId") or parameters.get("Id") or ""
    return response.slow_backend.services.get(service_id.rsplit("/", 1)[-1])
