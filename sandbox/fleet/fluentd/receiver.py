"""Fluentd's `in_forward`: takes messages from forwarders and acknowledges what is on disk."""

import logging
import socket
import socketserver
from collections.abc import Callable
from threading import Thread

from sandbox.fleet.fluentd.protocol import Batch, MessageReader, ProtocolError, pack_acknowledgement

RECEIVE_BYTES = 256 * 1024
STOP_POLL_SECONDS = 0.1

logger = logging.getLogger(__name__)


class Receiver:
    """Listens for forwarders; every batch goes to `emit` before it is acknowledged.

    Several workers share a port: each connection reaches one of them.
    """

    def __init__(
        self, address: str, port: int, emit: Callable[[Batch], None], *, shared: bool = False
    ) -> None:
        self._server = _Server((address, port), emit, shared=shared)
        self.port = self._server.server_address[1]
        self._thread = Thread(
            target=self._server.serve_forever, args=(STOP_POLL_SECONDS,), daemon=True
        )

    def start(self) -> "Receiver":
        self._thread.start()
        return self

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self, address: tuple[str, int], emit: Callable[[Batch], None], *, shared: bool
    ) -> None:
        self.emit = emit
        self.allow_reuse_port = shared
        super().__init__(address, _Handler)


class _Handler(socketserver.BaseRequestHandler):
    """One connection. It ends at the peer's end of file, or at the first thing that is wrong.

    A forwarder whose connection ends without an acknowledgement sends again: closing is always
    safe, acknowledging is not.
    """

    server: _Server

    def handle(self) -> None:
        try:
            receive(self.request, self.server.emit)
        except ProtocolError:
            logger.exception("%s is disconnected", self.client_address)
        except OSError:
            logger.exception("nothing acknowledged to %s", self.client_address)


def receive(connection: socket.socket, emit: Callable[[Batch], None]) -> None:
    """Take every batch of a connection, acknowledging each that asks for it once `emit` is done."""
    reader = MessageReader()
    while received := connection.recv(RECEIVE_BYTES):
        for batch in reader.feed(received):
            emit(batch)
            if batch.chunk_id is not None:
                connection.sendall(pack_acknowledgement(batch.chunk_id))
