"""Service discovery as Fluentd's `sd_srv` does it, quirks included.

It asks for the SRV record every `interval`, whatever the record's TTL says, and hands the changes
to the output, which applies them on a tick of its own. An answer that is empty or an error is
ignored: the old targets stay. If one target of an answer has no address, the whole answer is
dropped. At start there must be an answer, or the forwarder does not start.
"""

import logging
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dnslib import QTYPE, RCODE, DNSError, DNSRecord

QUERY_TIMEOUT_SECONDS = 2.0

logger = logging.getLogger(__name__)


class LookupFailedError(Exception):
    """DNS gave an error, no record, or no answer."""


class NoTargetsAtStartError(Exception):
    """Fluentd's configuration error for an `sd_srv` that starts with an empty answer."""


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """One aggregator that DNS named."""

    address: str
    port: int
    name: str


@dataclass(frozen=True, slots=True)
class DnsClient:
    """Asks one DNS server; over TCP when the answer does not fit into a datagram."""

    address: str
    port: int
    timeout_seconds: float = QUERY_TIMEOUT_SECONDS

    def targets(self, service: str) -> list[Target]:
        """The targets of an SRV record, each with its first address."""
        found = [
            Target(self._address_of(str(record.target)), record.port, str(record.target))
            for record in self._ask(service, "SRV")
        ]
        return sorted(found)

    def _address_of(self, name: str) -> str:
        return str(self._ask(name, "A")[0])

    def _ask(self, name: str, kind: str) -> list[Any]:
        question = DNSRecord.question(name, kind)
        try:
            answer = DNSRecord.parse(self._send(question))
            if answer.header.tc:
                answer = DNSRecord.parse(self._send(question, tcp=True))
        except (OSError, DNSError) as error:
            raise LookupFailedError(f"{kind} {name}: no answer: {error}") from error
        records = [record.rdata for record in answer.rr if QTYPE[record.rtype] == kind]
        if not records:
            raise LookupFailedError(f"{kind} {name}: {RCODE[answer.header.rcode]}, no record")
        return records

    def _send(self, question: DNSRecord, *, tcp: bool = False) -> bytes:
        answer = question.send(self.address, self.port, tcp=tcp, timeout=self.timeout_seconds)
        return bytes(answer)


class ServiceDiscovery:
    """The targets of one forwarder: what was found, and what is already applied."""

    def __init__(self, look_up: Callable[[], list[Target]]) -> None:
        self._look_up = look_up
        self._found: frozenset[Target] = frozenset()
        self._applied: tuple[Target, ...] = ()

    @property
    def targets(self) -> tuple[Target, ...]:
        return self._applied

    def start(self) -> None:
        """The first look-up, applied at once. Raises `NoTargetsAtStartError` when it finds none."""
        self.refresh()
        if not self._found:
            raise NoTargetsAtStartError("the SRV record has no target")
        self.apply()

    def refresh(self) -> None:
        """Look up again; anything but a complete answer with targets changes nothing."""
        try:
            found = self._look_up()
        except LookupFailedError as error:
            logger.info("the old targets stay: %s", error)
            return
        if found:
            self._found = frozenset(found)

    def apply(self) -> None:
        """Send to what was found, and to nothing else, from now on."""
        if self._found != frozenset(self._applied):
            self._applied = tuple(sorted(self._found))

    def run(self, interval_seconds: float, tick_seconds: float, stop: threading.Event) -> None:
        """Refresh and apply, each at its own pace and phase, until `stop`."""
        timers = (
            threading.Thread(target=_every, args=(interval_seconds, self.refresh, stop)),
            threading.Thread(target=_every, args=(tick_seconds, self.apply, stop)),
        )
        for timer in timers:
            timer.daemon = True
            timer.start()


class Discoveries:
    """The `<service_discovery>` blocks of one output: the targets of all of them together.

    Each keeps its own list, and one that starts without a target stops the whole forwarder.
    """

    def __init__(self, discoveries: Sequence[ServiceDiscovery]) -> None:
        self._discoveries = tuple(discoveries)

    @property
    def targets(self) -> tuple[Target, ...]:
        """The targets to send to; one that two blocks name is there twice, as in Fluentd."""
        return tuple(target for each in self._discoveries for target in each.targets)

    def start(self) -> None:
        """The first look-ups. Raises `NoTargetsAtStartError` when one of them finds none."""
        for each in self._discoveries:
            each.start()

    def run(self, interval_seconds: float, tick_seconds: float, stop: threading.Event) -> None:
        """Refresh and apply all of them until `stop`."""
        for each in self._discoveries:
            each.run(interval_seconds, tick_seconds, stop)


def _every(seconds: float, action: Callable[[], None], stop: threading.Event) -> None:
    # A random phase: forwarders were not all started in the same second.
    wait = random.uniform(0, seconds)
    while not stop.wait(wait):
        action()
        wait = seconds
