"""Fluentd's forward protocol, the part that carries logs from a forwarder to an aggregator.

The simulated processes speak the protocol of the real ones (`PackedForward` and `Forward` modes,
with the `chunk` option that asks for an acknowledgement), so that either side can be replaced by a
real Fluentd. Entries stay packed from the forwarder to the chunk file, as they do in Fluentd: they
are unpacked once, when they are formatted for the destination.
"""

import base64
import json
import logging
import struct
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgpack

EVENT_TIME_EXTENSION = 0
MESSAGE_LIMIT_BYTES = 64 * 1024 * 1024

logger = logging.getLogger(__name__)


class ProtocolError(Exception):
    """The peer sent something that is not a forward message: close, and acknowledge nothing."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The entries of one message, still packed, and the chunk id to acknowledge (if asked for)."""

    tag: str
    entries: bytes
    records: int
    chunk_id: str | None


def new_chunk_id() -> str:
    """Sixteen random bytes in base64, as Fluentd's `out_forward` names a chunk."""
    return base64.b64encode(uuid.uuid4().bytes).decode()


def pack_event_time(at: float) -> msgpack.ExtType:
    """Fluentd's `EventTime`: seconds and nanoseconds in an extension type."""
    seconds = int(at)
    nanoseconds = int((at - seconds) * 1_000_000_000)
    return msgpack.ExtType(EVENT_TIME_EXTENSION, struct.pack(">II", seconds, nanoseconds))


def pack_entry(at: float, record: Mapping[str, Any]) -> bytes:
    """One entry: `[time, record]`."""
    return bytes(msgpack.packb([pack_event_time(at), record]))


def pack_message(tag: str, entries: bytes, records: int, chunk_id: str) -> bytes:
    """A `PackedForward` message that asks for an acknowledgement."""
    return bytes(msgpack.packb([tag, entries, {"size": records, "chunk": chunk_id}]))


def pack_acknowledgement(chunk_id: str) -> bytes:
    """The answer to a message: its lines are in a file."""
    return bytes(msgpack.packb({"ack": chunk_id}))


def unpack_acknowledgement(answer: bytes) -> str:
    """The chunk id that the aggregator acknowledges."""
    try:
        return str(msgpack.unpackb(answer)["ack"])
    except (ValueError, KeyError, TypeError, msgpack.UnpackException) as error:
        raise ProtocolError(f"not an acknowledgement: {answer[:80]!r}") from error


def measure_entries(entries: bytes) -> tuple[int, int]:
    """The number of whole entries, and how many bytes they take."""
    unpacker = msgpack.Unpacker(max_buffer_size=MESSAGE_LIMIT_BYTES)
    unpacker.feed(entries)
    counted = size = 0
    try:
        while size < len(entries):
            unpacker.skip()
            counted, size = counted + 1, unpacker.tell()
    except (ValueError, msgpack.UnpackException):
        logger.warning("entry %d is damaged or cut off", counted + 1)
    return counted, size


def count_entries(entries: bytes) -> int:
    """The number of entries, counted: the `size` option is only the sender's claim."""
    counted, size = measure_entries(entries)
    if size != len(entries):
        raise ProtocolError(f"entry {counted + 1} is damaged or cut off")
    return counted


def format_lines(entries: bytes) -> Iterator[bytes]:
    """The records as JSON lines (`<format> @type json`), each with its line break."""
    unpacker = msgpack.Unpacker(max_buffer_size=MESSAGE_LIMIT_BYTES)
    unpacker.feed(entries)
    for _at, record in unpacker:
        yield json.dumps(record, separators=(",", ":")).encode() + b"\n"


class MessageReader:
    """Cuts a connection's bytes into batches."""

    def __init__(self) -> None:
        self._unpacker = msgpack.Unpacker(raw=True, max_buffer_size=MESSAGE_LIMIT_BYTES)

    def feed(self, received: bytes) -> Iterator[Batch]:
        """The batches that `received` completes."""
        try:
            self._unpacker.feed(received)
            for message in self._unpacker:
                yield _batch(message)
        except (ValueError, msgpack.UnpackException) as error:
            raise ProtocolError(f"not MessagePack: {error}") from error


def _batch(message: object) -> Batch:
    match message:
        case [bytes() as tag, bytes() as entries, *options]:
            packed = entries
        case [bytes() as tag, list() as events, *options]:
            packed = b"".join(msgpack.packb(event, use_bin_type=False) for event in events)
        case _:
            raise ProtocolError(f"neither PackedForward nor Forward: {str(message)[:80]}")
    option = options[0] if options and isinstance(options[0], dict) else {}
    if option.get(b"compressed"):
        raise ProtocolError("compressed messages are not supported")
    chunk_id = option.get(b"chunk")
    return Batch(
        tag=tag.decode(),
        entries=packed,
        records=count_entries(packed),
        chunk_id=chunk_id.decode() if isinstance(chunk_id, bytes) else None,
    )
