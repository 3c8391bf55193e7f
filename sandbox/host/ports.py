"""Free places on loopback: ports, and a network of its own for each cloud.

Every simulated instance has an address of its own, out of its cloud's subnet in 127.0.0.0/8. The
subnet is held for as long as the cloud lives, so that clouds can run side by side.
"""

import contextlib
import ipaddress
import random
import socket
from collections.abc import Iterator

LOOPBACK = "127.0.0.1"
# 127.0.x.y is where resolvers and container engines listen on many machines.
SECOND_BYTES = range(16, 250)
THIRD_BYTES = range(256)
# Below what Linux, by default, gives to outgoing connections.
PORTS = range(20_000, 32_000)
ATTEMPTS = 100


class NoFreePlaceError(Exception):
    """Everything that was tried is in use."""


def free_port(address: str = LOOPBACK) -> int:
    """A TCP port on which no process listens now.

    Not one that the kernel gives to connections: such a port may be taken again at any moment.
    """
    for _ in range(ATTEMPTS):
        port = random.choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((address, port))
            return port
    raise NoFreePlaceError(f"{ATTEMPTS} ports of {address} are all in use")


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
    raise NoFreePlaceError(f"{ATTEMPTS} loopback subnets are all in use")


def _lock(name: str) -> socket.socket | None:
    """Bind a name in the kernel: free again when this process ends, however it ends."""
    holder = socket.socket(socket.AF_UNIX)
    try:
        holder.bind(f"\0fluentd-lifecycle-sandbox/{name}")
    except OSError:
        holder.close()
        return None
    return holder
