"""moto's answers, written and read without finding out again what is the same each time."""

import pickle
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from botocore import parsers
from botocore.utils import parse_timestamp
from moto.core.serialize import (
    AttributePickerContext,
    EC2Serializer,
    ResponseSerializer,
    XFormedAttributePicker,
)

# Most of an answer of DescribeInstances is what neither functions nor tests read: a hundred members
# an instance.
_READ = {
    "Reservation": {"Instances"},
    "Instance": {
        *("InstanceId", "LaunchTime", "Placement", "PrivateIpAddress", "State", "Tags"),
        *("BlockDeviceMappings", "Ipv6Address", "NetworkInterfaces"),
    },
    "Placement": {"AvailabilityZone"},
    "InstanceBlockDeviceMapping": {"Ebs"},
    "EbsInstanceBlockDevice": {"VolumeId"},
    "InstanceNetworkInterface": {"Attachment", "Ipv6Addresses"},
    "InstanceNetworkInterfaceAttachment": {"DeviceIndex"},
}
_MISSING = object()
_look_up = ResponseSerializer.get_value
_names: dict[tuple[type, object, str], tuple[str, ...]] = {}


class Picker(XFormedAttributePicker):
    """moto's picker, which knows beforehand which members are transformed, by their last names."""

    def __init__(
        self, response_transformers: dict[str, Callable[[Any], Any]] | None = None
    ) -> None:
        super().__init__(response_transformers=response_transformers)
        self.transformed = tuple(one.rpartition(".")[2] for one in self.response_transformers)


def get_value(serializer: Any, value: Any, key: str, shape: Any) -> Any:
    """Find a member of what moto answers; under which names to look depends on its class only."""
    if isinstance(serializer, EC2Serializer) and key not in _READ.get(shape.parent.name, (key,)):
        return None
    picker = serializer._value_picker
    if key.endswith(picker.transformed):
        return _look_up(serializer, value, key, shape)
    kind = value.__class__
    names = _names.get((kind, shape, key))
    if names is None:
        context = AttributePickerContext(value, key, shape)
        names = tuple(dict.fromkeys(picker.get_possible_keys(context)))
        _names[kind, shape, key] = names
    if kind is dict:
        for name in names:
            if name in value:
                return value[name]
        return None
    if hasattr(value, "__getitem__"):
        return _look_up(serializer, value, key, shape)
    for name in names:
        found = getattr(value, name, _MISSING)
        if found is not _MISSING:
            return found
    return None


def unparse(document: Mapping[str, Any], **_: Any) -> str:
    """Write XML as ``xmltodict`` does, but for what moto has no use for."""
    return "".join(_element(name, value) for name, value in document.items())


def _element(name: str, value: Any) -> str:
    if isinstance(value, str):
        return f"<{name}>{escape(value)}</{name}>"
    if isinstance(value, dict):
        attributes, children = "", ""
        for key, inner in value.items():
            if key[0] == "@":
                attributes += f" {key[1:]}={quoteattr(str(inner))}"
            else:
                children += _element(key, inner)
        return f"<{name}{attributes}>{children}</{name}>"
    if isinstance(value, list):
        return "".join(_element(name, one) for one in value)
    if value is None:
        return f"<{name}/>"
    text = str(value).lower() if isinstance(value, bool) else escape(str(value))
    return f"<{name}>{text}</{name}>"


def read(model: Any, status: int, headers: Mapping[str, Any], body: bytes) -> Any:
    """Read an answer as botocore does; more than half were read before: nothing has changed."""
    return pickle.loads(_read(model, status, tuple(headers.items()), body))


@lru_cache(maxsize=2000)
def _read(model: Any, status: int, headers: tuple[tuple[str, Any], ...], body: bytes) -> bytes:
    """Do what botocore.endpoint does with an answer: an error is read a second time."""
    raw = {"headers": dict(headers), "status_code": status, "body": body}
    service = model.service_model
    parser = _parser(service.resolved_protocol)
    parsed = parser.parse(raw, model.output_shape)
    if status >= 300:
        error_shape = service.shape_for_error_code(parsed.get("Error", {}).get("Code"))
        if error_shape is not None:
            parsed.update(parser.parse(raw, error_shape))
    return pickle.dumps(parsed)


@cache
def _parser(protocol: str) -> Any:
    factory = parsers.ResponseParserFactory()
    factory.set_parser_defaults(timestamp_parser=lru_cache(parse_timestamp))
    return factory.create_parser(protocol)
