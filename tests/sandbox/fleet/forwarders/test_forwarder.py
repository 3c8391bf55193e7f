"""A forwarder sends at least once, in turn, and forgets nothing that was not acknowledged."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from sandbox.fleet.fluentd.protocol import Batch, MessageReader, format_lines
from sandbox.fleet.fluentd.receiver import Receiver
from sandbox.fleet.forwarders.connection import Connections, NotAcknowledgedError
from sandbox.fleet.forwarders.discovery import ServiceDiscovery, Target
from sandbox.fleet.forwarders.forwarder import CHUNK_LINES, RECOVER_SECONDS, Forwarder
from sandbox.fleet.lines import parse_lines
from tests.sandbox.fleet.kit import Clock, entries

ONE = Target("127.1.0.1", 24224, "one")
TWO = Target("127.1.0.2", 24224, "two")


@dataclass
class FakeConnections(Connections):
    """Takes messages, or loses the acknowledgements of targets that are said to fail."""

    failing: set[Target] = field(default_factory=set)
    delivered: list[tuple[Target, bytes]] = field(default_factory=list)

    def send(self, target: Target, message: bytes, chunk_id: str) -> None:
        self.delivered.append((target, message))
        if target in self.failing:
            raise NotAcknowledgedError("no acknowledgement")

    def numbers(self) -> list[int]:
        """The line numbers of everything that arrived, in order, repetitions included."""
        found = []
        for _target, message in self.delivered:
            [batch] = MessageReader().feed(message)
            content = b"".join(format_lines(batch.entries))
            found += [line[1] for line in parse_lines(content) if line is not None]
        return found


@pytest.fixture
def connections() -> FakeConnections:
    return FakeConnections()


@pytest.fixture
def forwarder(connections: FakeConnections, clock: Clock) -> Forwarder:
    discovery = ServiceDiscovery(lambda: [ONE, TWO])
    discovery.start()
    return Forwarder("forwarder-01", discovery, connections, clock)


def test_lines_are_numbered_from_one_without_gaps(
    forwarder: Forwarder, connections: FakeConnections
) -> None:
    forwarder.make(CHUNK_LINES + 10)
    forwarder.make(5)
    forwarder.send()
    assert connections.numbers() == list(range(1, CHUNK_LINES + 16))
    report = forwarder.report()
    assert (report.sent, report.acknowledged, report.pending) == (CHUNK_LINES + 15,) * 2 + (0,)


def test_a_chunk_without_acknowledgement_goes_to_another_target_unchanged(
    forwarder: Forwarder, connections: FakeConnections
) -> None:
    connections.failing = {ONE, TWO}
    forwarder.make(3)
    forwarder.send()
    report = forwarder.report()
    assert (report.pending, report.repeated_chunks) == (3, 2)
    (first, message), (second, repeated) = connections.delivered
    assert {first, second} == {ONE, TWO}
    assert message == repeated


def test_a_target_that_failed_is_left_alone_for_a_while(
    forwarder: Forwarder, connections: FakeConnections, clock: Clock
) -> None:
    connections.failing = {ONE}
    for _ in range(4):
        forwarder.make(1)
        forwarder.send()
    assert [target for target, _ in connections.delivered].count(ONE) == 1
    connections.failing = set()
    clock.now += RECOVER_SECONDS
    for _ in range(2):
        forwarder.make(1)
        forwarder.send()
    assert [target for target, _ in connections.delivered].count(ONE) == 2


def test_nothing_is_forgotten_and_order_is_kept_while_no_target_acknowledges(
    forwarder: Forwarder, connections: FakeConnections, clock: Clock
) -> None:
    connections.failing = {ONE, TWO}
    for _ in range(5):
        forwarder.make(2)
        forwarder.send()
        clock.now += RECOVER_SECONDS
    connections.failing = set()
    connections.delivered.clear()
    forwarder.send()
    assert connections.numbers() == list(range(1, 11))


# Over the wire


@pytest.fixture
def received() -> list[Batch]:
    return []


@pytest.fixture
def receiver(received: list[Batch]) -> Iterator[Receiver]:
    receiver = Receiver("127.0.0.1", 0, received.append).start()
    yield receiver
    receiver.stop()


def test_a_connection_is_kept_alive_and_used_again(
    receiver: Receiver, received: list[Batch]
) -> None:
    target = Target("127.0.0.1", receiver.port, "one")
    connections = Connections(acknowledgement_timeout_seconds=60)
    discovery = ServiceDiscovery(lambda: [target])
    discovery.start()
    forwarder = Forwarder("forwarder-01", discovery, connections)
    for _ in range(3):
        forwarder.make(2)
        forwarder.send()
    assert [batch.records for batch in received] == [2, 2, 2]
    assert forwarder.report().pending == 0
    assert len(connections._open) == 1
    connections.close()


def test_an_aggregator_that_refuses_or_closes_means_not_acknowledged(receiver: Receiver) -> None:
    target = Target("127.0.0.1", receiver.port, "one")
    connections = Connections(acknowledgement_timeout_seconds=60)
    with pytest.raises(NotAcknowledgedError):
        connections.send(target, b"\xc1 not MessagePack", "chunk")
    receiver.stop()
    with pytest.raises(NotAcknowledgedError):
        connections.send(target, entries(1), "chunk")
