"""What an aggregator accepts, and when it acknowledges."""

import socket
from collections.abc import Callable, Iterator

import msgpack
import pytest

from sandbox.fleet.fluentd.protocol import (
    Batch,
    MessageReader,
    pack_message,
    unpack_acknowledgement,
)
from sandbox.fleet.fluentd.receiver import Receiver
from tests.sandbox.fleet.kit import BufferKit, entries


class Peer:
    """A forwarder's side of a connection to a receiver."""

    def __init__(self, emit: Callable[[Batch], None]) -> None:
        self.receiver = Receiver("127.0.0.1", 0, emit).start()
        self.connection = socket.create_connection(("127.0.0.1", self.receiver.port), 10)

    def exchange(self, message: bytes) -> bytes:
        self.connection.sendall(message)
        return self.connection.recv(4096)

    def close(self) -> None:
        self.connection.close()
        self.receiver.stop()


@pytest.fixture
def connect() -> Iterator[Callable[[Callable[[Batch], None]], Peer]]:
    peers: list[Peer] = []

    def open_peer(emit: Callable[[Batch], None]) -> Peer:
        peers.append(Peer(emit))
        return peers[-1]

    yield open_peer
    for peer in peers:
        peer.close()


def test_an_acknowledgement_means_that_the_lines_are_in_a_chunk_file(
    kit: BufferKit, connect: Callable[[Callable[[Batch], None]], Peer]
) -> None:
    buffer = kit.open()
    peer = connect(lambda batch: buffer.append(batch.entries, batch.records))
    answer = peer.exchange(pack_message("tag", entries(50), 50, "chunk-1"))
    [path] = kit.files()
    assert unpack_acknowledgement(answer) == "chunk-1"
    assert path.read_bytes() == entries(50)


def test_lines_that_could_not_be_written_are_not_acknowledged(
    connect: Callable[[Callable[[Batch], None]], Peer],
) -> None:
    def full_disk(batch: Batch) -> None:
        raise OSError(28, "No space left on device")

    answer = connect(full_disk).exchange(pack_message("tag", entries(50), 50, "chunk-1"))
    assert answer == b""


@pytest.mark.parametrize(
    "message",
    [
        b"\xc1 not MessagePack",
        msgpack.packb(["tag"]),
        msgpack.packb(["tag", entries(2)[:-3], {"chunk": "c"}]),
        msgpack.packb(["tag", entries(2), {"chunk": "c", "compressed": "gzip"}]),
    ],
    ids=["garbage", "no entries", "entries cut off", "compressed"],
)
def test_what_is_not_understood_is_neither_kept_nor_acknowledged(
    message: bytes, connect: Callable[[Callable[[Batch], None]], Peer]
) -> None:
    kept: list[Batch] = []
    assert connect(kept.append).exchange(message) == b""
    assert kept == []


def test_messages_are_put_together_however_the_network_cuts_them() -> None:
    reader = MessageReader()
    stream = b"".join(pack_message("tag", entries(3), 3, name) for name in ("a", "b"))
    batches = [batch for byte in stream for batch in reader.feed(bytes([byte]))]
    assert [(batch.chunk_id, batch.records) for batch in batches] == [("a", 3), ("b", 3)]
    assert {batch.entries for batch in batches} == {entries(3)}
