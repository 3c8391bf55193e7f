"""Where the Fluentd of a state sends its chunks: it counts the records that it took."""

import json
import threading
import time
from typing import Self

from werkzeug.wrappers import Request, Response

from sandbox.conformance.configuration import DESTINATION_PORT
from sandbox.host.http import HttpService

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
        self._service = HttpService(address, DESTINATION_PORT, Request.application(self._answer))

    def __enter__(self) -> Self:
        self._service.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._service.stop()

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

    def _answer(self, request: Request) -> Response:
        return Response(status=self.take(request.get_data()))
