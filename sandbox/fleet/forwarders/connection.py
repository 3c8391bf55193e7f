"""A forwarder's kept-alive connections, one for each aggregator that it ever sent to."""

import socket

import msgpack

from sandbox.fleet.fluentd.protocol import ProtocolError, unpack_acknowledgement
from sandbox.fleet.forwarders.discovery import Target

CONNECT_TIMEOUT_SECONDS = 2.0


class NotAcknowledgedError(Exception):
    """The chunk may or may not have arrived: it has to be sent again."""


class Connections:
    """Sends messages and waits for their acknowledgements.

    Connections stay open when their target is no longer used, as Fluentd's do: an open connection
    proves nothing about whether data flows.
    """

    def __init__(self, acknowledgement_timeout_seconds: float) -> None:
        self._timeout_seconds = acknowledgement_timeout_seconds
        self._open: dict[Target, socket.socket] = {}

    def send(self, target: Target, message: bytes, chunk_id: str) -> None:
        """Return once the target acknowledged the chunk; else drop the connection and raise."""
        try:
            connection = self._connection(target)
            connection.sendall(message)
            _await_acknowledgement(connection, chunk_id)
        except (OSError, ProtocolError) as error:
            self._drop(target)
            raise NotAcknowledgedError(f"{target.address}: {error}") from error

    def close(self) -> None:
        for target in list(self._open):
            self._drop(target)

    def _connection(self, target: Target) -> socket.socket:
        if target not in self._open:
            address = (target.address, target.port)
            connection = socket.create_connection(address, CONNECT_TIMEOUT_SECONDS)
            connection.settimeout(self._timeout_seconds)
            self._open[target] = connection
        return self._open[target]

    def _drop(self, target: Target) -> None:
        connection = self._open.pop(target, None)
        if connection is not None:
            connection.close()


def _await_acknowledgement(connection: socket.socket, chunk_id: str) -> None:
    """Read one message in MessagePack, however the network cuts it: it must name the chunk."""
    unpacker = msgpack.Unpacker()
    answer = b""
    while received := connection.recv(4096):
        answer += received
        unpacker.feed(received)
        if any(True for _ in unpacker):
            acknowledged = unpack_acknowledgement(answer)
            if acknowledged != chunk_id:
                raise ProtocolError(f"{acknowledged} was acknowledged instead of {chunk_id}")
            return
    raise ProtocolError("the connection was closed before an acknowledgement")
