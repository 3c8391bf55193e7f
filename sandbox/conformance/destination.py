"""Where the Fluentd of a state sends its chunks: it counts the records that it took."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from sandbox.conformance.configuration import DESTINATION_PORT

ACCEPT, REFUSE, REJECT = 200, 503, 400


class Destination:
    """An HTTP server that answers each write with `status`, after `delay_seconds`.

    With `slow_writes` only so many are delayed, and taken whatever the status is.
    """

    def __init__(self, address: str) -> None:
        self.delivered: set[int] = set()
        self.status = ACCEPT
        self.delay_seconds = 0.0
        self.slow_writes: float | None = None
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer((address, DESTINATION_PORT), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def take(self, body: bytes) -> int:
        """What a write is answered with; the records count if it is taken."""
        with self._lock:
            status, delay = self.status, self.delay_seconds
            if self.slow_writes is not None:
                status, delay = (ACCEPT, delay) if self.slow_writes > 0 else (status, 0.0)
                self.slow_writes -= 1
        time.sleep(delay)
        if status == ACCEPT:
            records = [json.loads(line) for line in body.splitlines() if line]
            with self._lock:
                # Fluentd's own events have no number.
                self.delivered.update(one["number"] for one in records if "number" in one)
        return status

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        destination = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(destination.take(body))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                """Print nothing."""

        return Handler
