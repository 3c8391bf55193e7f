"""Free places on loopback: ports, and a network of its own for each cloud.

Every simulated instance has an address of its own, out of its cloud's subnet in 127.0.0.0/8. The
subnet is held for as long as the cloud lives, so that clouds can run side by side.
"""

from __future__ import annotations

import contextlib
import ipaddress
import random
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOPBACK = "127.0.0.1"
# 127.0.x.y is where resolvers and container engines listen on many machines.
SECOND_BYTES = range(16, 250)
THIRD_BYTES = range(256)
ATTEMPTS = 100


class NoFreeSubnetError(Exception):
    """Every subnet that was tried is held by another cloud."""


def free_port(address: str = LOOPBACK) -> int:
    """A TCP port on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def held_subnet() -> Iterator[ipaddress.IPv4Network]:
    """A loopback /24 that no other cloud on this machine gets while the block runs."""
    for _ in range(ATTEMPTS):
        second, third = random.choice(SECOND_BYTES), random.choice(THIRD_BYTES)
        subnet = ipaddress.IPv4Network(f"127.{second}.{third}.0/24")
        lock = _lock(str(subnet))
        if lock is not None:
            with lock:
                yield subnet
            return
    raise NoFreeSubnetError(f"{ATTEMPTS} loopback subnets are all in use")


def _lock(name: str) -> socket.socket | None:
    """Bind a name in the kernel: free again when this process ends, however it ends."""
    holder = socket.socket(socket.AF_UNIX)
    try:
        holder.bind(f"\0fluentd-lifecycle-sandbox/{name}")
    except OSError:
        holder.close()
        return None
    return holder
