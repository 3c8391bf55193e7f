"""HTTP between the processes of this machine: routes as a WSGI application, a server, a client.

A route is a plain function from a JSON object to the answer. The object is the request's body, or
of a GET the parameters of its query; a string is answered as text, anything else as JSON. Requests
are served on threads of their own, so that one that hangs (on purpose: a hung exporter) does not
hang the rest.
"""

import json
import logging
import urllib.request
from collections.abc import Callable, Mapping
from threading import Thread
from typing import Any, Self
from wsgiref.types import WSGIApplication

from werkzeug.exceptions import BadRequest, HTTPException, NotFound
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

Route = Callable[[Any], Any]
Routes = Mapping[tuple[str, str], Route]

REQUEST_TIMEOUT_SECONDS = 10.0
STOP_POLL_SECONDS = 0.1
# A proxy from the environment must never see what is meant for loopback.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
# One line a request would be some hundred lines a second.
logging.getLogger("werkzeug").setLevel(logging.ERROR)


class HttpService:
    """Serves an application on one address until it is stopped."""

    def __init__(
        self,
        address: str,
        port: int,
        application: WSGIApplication,
        handler: type[WSGIRequestHandler] = WSGIRequestHandler,
    ) -> None:
        self._server = make_server(
            address, port, application, threaded=True, request_handler=handler
        )
        self.port = self._server.server_port
        self._thread = Thread(
            target=self._server.serve_forever, args=(STOP_POLL_SECONDS,), daemon=True
        )

    def start(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close the listener: connections are refused from now on."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def routed(routes: Routes) -> WSGIApplication:
    """The application that answers by these routes; an error is `{"error": what was wrong}`."""

    @Request.application
    def answered(request: Request) -> Response:
        status = 200
        try:
            answer = _answer(routes, request)
        except HTTPException as error:
            answer, status = {"error": error.description}, error.code or 500
        except (ValueError, TypeError, KeyError) as error:
            answer, status = {"error": f"{type(error).__name__}: {error}"}, 400
        if isinstance(answer, str):
            return Response(answer, status, mimetype="text/plain")
        return Response(json.dumps(answer), status, mimetype="application/json")

    return answered


def _answer(routes: Routes, request: Request) -> Any:  # noqa: ANN401 - text or JSON
    route = routes.get((request.method, request.path))
    if route is None:
        raise NotFound(f"no {request.method} {request.path}")
    if request.method == "GET":
        return route(request.args.to_dict())
    body = json.loads(request.get_data() or b"{}")
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object")
    return route(body)


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
