"""Instances in a subnet that is IPv6-only, as EC2 describes them.

They have no private IPv4 address at all. moto shows their IPv6 address in its place.
"""

from collections.abc import Callable
from typing import Any

from moto.ec2.models.instances import Instance

_private_name: Any = Instance.private_dns_name


def with_ipv6(prepare: Callable[..., None]) -> Callable[..., None]:
    """Set the network interfaces of an instance up, with the address where EC2 has it."""

    def prepared(instance: Any, *arguments: Any, **settings: Any) -> None:  # noqa: ANN401 - moto's
        prepare(instance, *arguments, **settings)
        for interface in instance.nics.values():
            address = interface.private_ip_address or ""
            if ":" in address:
                interface.private_ip_address, interface.private_ip_addresses = None, []
                interface.ipv6_addresses = [address]
                instance.ipv6_address = address

    return prepared


def private_name(instance: Any) -> str:  # noqa: ANN401 - moto's
    """The private DNS name: with IPv6 it is made of the instance id."""
    if instance.private_ip is None:
        return f"{instance.id}.{instance.region_name}.compute.internal"
    return str(_private_name.fget(instance))


def address_of(instance: Any) -> str:  # noqa: ANN401 - moto's
    """The address of an instance: IPv6 if it has no other."""
    return str(instance.private_ip or instance.ipv6_address)
