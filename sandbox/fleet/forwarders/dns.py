"""The DNS of the simulation: Cloud Map's instances as Route 53 and a caching resolver show them.

`_fluentd._tcp.<namespace>` has an SRV record for each registered instance, with priority and weight
1, and each target has an A record. An answer names at most eight instances, chosen at random, and
is kept for the record's TTL. Each change in Cloud Map is shown up to `propagation_seconds` late, as
Route 53's name servers do. Without instances the name does not exist. When Cloud Map cannot be
asked the answer is SERVFAIL: never an empty list made up from an error.

`python -m sandbox.fleet.forwarders.dns SETTINGS` serves it over UDP and TCP on a port that the
system chooses.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from dnslib import QTYPE, RCODE, RR, SRV, A, DNSRecord
from dnslib.server import BaseResolver, DNSHandler, DNSLogger, DNSServer

from sandbox.fleet import signals
from sandbox.host.background import Background
from sandbox.host.settings import read

ANSWER_LIMIT = 8
UDP_LIMIT_BYTES = 512
PORT_ATTEMPTS = 20
STOP_POLL_SECONDS = 0.1
POLL_SECONDS = 0.25

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Registered:
    """One instance in Cloud Map."""

    instance_id: str
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class DnsSettings:
    """What it answers for, and how long an answer is kept."""

    service_ids: Mapping[str, str]
    """The id in Cloud Map of each `_fluentd._tcp.NAMESPACE`, one a shard."""
    ttl_seconds: int
    propagation_seconds: float = 0.0


class CloudMapUnavailableError(Exception):
    """Cloud Map cannot be asked, so nothing is known."""


def registered_instances(client: Any, service_id: str) -> list[Registered]:  # noqa: ANN401 - boto3
    """Everything that Cloud Map has registered for a service."""
    try:
        pages = client.get_paginator("list_instances").paginate(ServiceId=service_id)
        found = [instance for page in pages for instance in page["Instances"]]
    except (ClientError, BotoCoreError) as error:
        raise CloudMapUnavailableError(str(error)) from error
    return [
        Registered(
            instance["Id"],
            instance["Attributes"]["AWS_INSTANCE_IPV4"],
            int(instance["Attributes"]["AWS_INSTANCE_PORT"]),
        )
        for instance in found
    ]


class Propagation:
    """What the name servers show of one service: each change after a random part of a given time.

    Its `poll` has to be called every `POLL_SECONDS`; that much is part of the time.
    """

    def __init__(
        self,
        instances: Callable[[], list[Registered]],
        seconds: float,
        dice: random.Random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._instances = instances
        self._seconds = max(0.0, seconds - 2 * POLL_SECONDS)
        self._dice = dice
        self._clock = clock
        self._shown: set[Registered] | None = None
        self._due: dict[Registered, float] = {}

    def poll(self) -> None:
        """Notice what changed, and show each change that is due."""
        try:
            registered = set(self._instances())
        except CloudMapUnavailableError:
            logger.exception("Cloud Map cannot be asked")
            self._shown = None
            return
        if self._shown is None:
            self._shown, self._due = registered, {}
        now = self._clock()
        changed = registered ^ self._shown
        drawn = {
            one: now + self._dice.uniform(0, self._seconds) for one in changed - self._due.keys()
        }
        self._due = {one: due for one, due in self._due.items() if one in changed} | drawn
        self._shown ^= {one for one, due in self._due.items() if due <= now}

    def shown(self) -> list[Registered]:
        """What an answer is made of. Raises CloudMapUnavailableError if nothing is known."""
        if self._shown is None:
            raise CloudMapUnavailableError("Cloud Map did not answer")
        return sorted(self._shown, key=lambda one: one.instance_id)


class ServiceZone(BaseResolver):  # type: ignore[misc]  # dnslib has no types
    """Answers for one service: the SRV record, and an A record for each of its targets."""

    def __init__(
        self,
        service: str,
        ttl_seconds: int,
        instances: Callable[[], list[Registered]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._service = service.rstrip(".").lower()
        self._ttl_seconds = ttl_seconds
        self._instances = instances
        self._clock = clock
        self._lock = threading.Lock()
        self._answer: list[Registered] = []
        self._expires_at = float("-inf")

    def resolve(self, request: DNSRecord, _handler: object = None) -> DNSRecord:
        reply = request.reply()
        name = str(request.q.qname).rstrip(".").lower()
        try:
            instances = self._current()
        except CloudMapUnavailableError:
            logger.exception("SERVFAIL for %s", name)
            reply.header.rcode = RCODE.SERVFAIL
            return reply
        records = self._records(name, instances)
        if not records:
            reply.header.rcode = RCODE.NXDOMAIN
        for kind, record in records:
            if request.q.qtype in (getattr(QTYPE, kind), QTYPE.ANY):
                question = request.q.qname
                reply.add_answer(
                    RR(question, getattr(QTYPE, kind), ttl=self._ttl_seconds, rdata=record)
                )
        return reply

    def knows(self, name: str) -> bool:
        """Whether a name is the service's own, or of one of its instances."""
        return name == self._service or name.endswith(f".{self._service}")

    def _records(self, name: str, instances: list[Registered]) -> list[tuple[str, SRV | A]]:
        if name == self._service:
            return [
                ("SRV", SRV(priority=1, weight=1, port=each.port, target=self._name_of(each)))
                for each in instances
            ]
        return [("A", A(each.address)) for each in instances if self._name_of(each) == name]

    def _name_of(self, instance: Registered) -> str:
        return f"{instance.instance_id}.{self._service}".lower()

    def _current(self) -> list[Registered]:
        with self._lock:
            if self._clock() >= self._expires_at:
                instances = self._instances()
                self._answer = random.sample(instances, min(ANSWER_LIMIT, len(instances)))
                self._expires_at = self._clock() + self._ttl_seconds
            return self._answer


class Namespace(BaseResolver):  # type: ignore[misc]  # dnslib has no types
    """Answers for several services, each with its own eight."""

    def __init__(self, zones: Sequence[ServiceZone]) -> None:
        self._zones = tuple(zones)

    def resolve(self, request: DNSRecord, handler: object = None) -> DNSRecord:
        name = str(request.q.qname).rstrip(".").lower()
        for zone in self._zones:
            if zone.knows(name):
                return zone.resolve(request, handler)
        reply = request.reply()
        reply.header.rcode = RCODE.NXDOMAIN
        return reply


class DnsService:
    """A zone, served over UDP and TCP on one port of one address."""

    def __init__(self, zone: ServiceZone | Namespace, address: str = "127.0.0.1") -> None:
        self._servers = _bind_both(zone, address)
        self.address = address
        self.port = int(self._servers[0].server.server_address[1])

    def start(self) -> "DnsService":
        for server in self._servers:
            threading.Thread(
                target=server.server.serve_forever, args=(STOP_POLL_SECONDS,), daemon=True
            ).start()
        return self

    def stop(self) -> None:
        for server in self._servers:
            server.stop()
            server.server.server_close()


class _Handler(DNSHandler):  # type: ignore[misc]  # dnslib has no types
    udplen = UDP_LIMIT_BYTES


def _bind_both(zone: ServiceZone | Namespace, address: str) -> tuple[DNSServer, DNSServer]:
    """UDP on a free port and TCP on the same one, if it is free there as well."""
    options = {"address": address, "handler": _Handler, "logger": DNSLogger("error")}
    for _attempt in range(PORT_ATTEMPTS):
        datagrams = DNSServer(zone, port=0, **options)
        port = datagrams.server.server_address[1]
        try:
            return datagrams, DNSServer(zone, port=port, tcp=True, **options)
        except OSError:
            datagrams.server.server_close()
    raise OSError(f"no port of {address} is free for both UDP and TCP")


def main() -> None:
    """Serve until SIGTERM."""
    settings = read(DnsSettings)
    client = boto3.client("servicediscovery")
    services = {
        name: Propagation(
            partial(registered_instances, client, service_id),
            settings.propagation_seconds,
            random.Random(),
        )
        for name, service_id in settings.service_ids.items()
    }
    zones = [ServiceZone(name, settings.ttl_seconds, one.shown) for name, one in services.items()]
    signals.block()
    for one in services.values():
        one.poll()
    service = DnsService(Namespace(zones)).start()
    # The parent reads from the log where it is.
    print(f"dns://{service.address}:{service.port}", flush=True)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", level="INFO")
    with ExitStack() as polling:
        for name, one in services.items():
            polling.enter_context(Background(f"propagation of {name}", one.poll, POLL_SECONDS))
        signals.await_end()
    service.stop()


if __name__ == "__main__":
    main()
