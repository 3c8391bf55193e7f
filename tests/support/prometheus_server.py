"""A Prometheus on loopback that misbehaves as a test says."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.sigv4 import Received

Answer = Callable[["Exchange"], None]


class Exchange(BaseHTTPRequestHandler):
    server: "_Server"

    def do_POST(self) -> None:
        """Remember the request, then answer as the test says."""
        length = int(self.headers.get("Content-Length", "0"))
        body = self.rfile.read(length)
        headers = dict(self.headers.items())
        self.server.received.append(Received(self.command, self.path, headers, body))
        self.server.answer(self)

    do_GET = do_POST  # noqa: N815 (its base calls it so)

    def reply(
        self, status: int, body: bytes, kind: str = "application/json", **headers: str
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 (its base's name)
        """Print nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.received: list[Received] = []
        self.answer: Answer = matrix([])
        self.released = threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is what some tests are about."""


@dataclass
class PrometheusServer:
    _server: _Server = field(default_factory=_Server)
    scheme: str = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self._server.server_address[1]}"

    def serve_https(self, certificate: Path) -> None:
        """Speak TLS from now on, with a certificate and its key in one file."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.scheme = "https"

    @property
    def received(self) -> list[Received]:
        return self._server.received

    def queries(self) -> list[str]:
        targets = [urlsplit(request.target) for request in self.received]
        return [parse_qs(target.query)["query"][0] for target in targets]

    def answers(self, answer: Answer) -> None:
        self._server.answer = answer

    def never(self, _exchange: Exchange) -> None:
        self._server.released.wait(30)


def text(status: int, body: str, kind: str = "application/json", **headers: str) -> Answer:
    return lambda exchange: exchange.reply(status, body.encode(), kind, **headers)


def document(content: object) -> Answer:
    return text(200, json.dumps(content))


def matrix(series: list[Any]) -> Answer:
    data = {"resultType": "matrix", "result": series}
    return document({"status": "success", "data": data})


@contextmanager
def prometheus_server() -> Iterator[PrometheusServer]:
    """Listen on a free port of loopback; everything is over at the end."""
    prometheus = PrometheusServer()
    server = prometheus._server
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield prometheus
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
