"""HTTP between the processes of this machine: a small server, and a client for all of them.

Routes are plain functions from the request's JSON body to the answer: a string is sent as text,
anything else as JSON. Requests are served on threads of their own, so that one that hangs (on
purpose: a hung exporter) does not hang the rest.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

Route = Callable[[Any], Any]
Routes = Mapping[tuple[str, str], Route]

REQUEST_TIMEOUT_SECONDS = 10.0
STOP_POLL_SECONDS = 0.1
# A proxy from the environment must never see what is meant for loopback.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class HttpService:
    """Serves routes on one address until it is stopped."""

    def __init__(self, address: str, port: int, routes: Routes) -> None:
        self._server = _Server((address, port), routes)
        self.port = self._server.server_address[1]
        self._thread = Thread(
            target=self._server.serve_forever, args=(STOP_POLL_SECONDS,), daemon=True
        )

    def start(self) -> "HttpService":
        """Serve from now on."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close the listener: connections are refused from now on."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def request(
    method: str, url: str, body: object = None, timeout: float = REQUEST_TIMEOUT_SECONDS
) -> Any:  # noqa: ANN401 - JSON
    """Ask a service: what it answers, read if it is JSON. Errors are `OSError`s (urllib's are)."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    asked = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - http only
    with _OPENER.open(asked, timeout=timeout) as answer:
        text = answer.read().decode()
        is_json = answer.headers.get_content_type() == "application/json"
    return json.loads(text) if is_json else text


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], routes: Routes) -> None:
        self.routes = routes
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def log_message(self, *_arguments: object) -> None:
        """A scrape a second is nothing to log."""

    def _answer(self) -> None:
        route = self.server.routes.get((self.command, self.path.partition("?")[0]))
        if route is None:
            self._send(HTTPStatus.NOT_FOUND, f"no {self.command} {self.path}")
            return
        try:
            answer = route(self._body())
        except (ValueError, KeyError, TypeError) as error:
            self._send(HTTPStatus.BAD_REQUEST, f"{type(error).__name__}: {error}")
        else:
            self._send(HTTPStatus.OK, answer)

    def _body(self) -> Any:  # noqa: ANN401 - JSON
        length = int(self.headers.get("Content-Length") or 0)
        return json.loads(self.rfile.read(length)) if length else None

    def _send(self, status: HTTPStatus, answer: object) -> None:
        kind, content = "application/json", json.dumps(answer)
        if isinstance(answer, str):
            kind, content = "text/plain; charset=utf-8", answer
        encoded = content.encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(encoded)))
            self.end_headers()
            self.wfile.write(encoded)
        except (BrokenPipeError, ConnectionResetError):
            # The client gave up waiting; Prometheus does that to a hung exporter.
            self.close_connection = True
