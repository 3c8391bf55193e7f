"""The load of a fleet without forwarders: each instance writes its own log lines.

The instances are web servers behind a load balancer, which gives work to those in service, and
takes it away a moment after they have begun to leave.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping

from botocore.exceptions import BotoCoreError, ClientError

from sandbox.fleet.host import AggregatorHost

DEREGISTRATION_SECONDS = 1.0
POLL_SECONDS = 0.3
IN_SERVICE, LEAVING = "InService", "Terminating"

logger = logging.getLogger(__name__)


class WebServers:
    """What the instances of a group write into their logs."""

    def __init__(
        self,
        lifecycle_states: Callable[[], Mapping[str, str]],
        hosts: Callable[[], Mapping[str, AggregatorHost]],
        alive: Callable[[], Mapping[str, AggregatorHost]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lifecycle_states = lifecycle_states
        self._hosts = hosts
        self._alive = alive
        self._clock = clock
        self._lock = threading.Lock()
        self._lines_per_second = 0.0
        self._is_over = False
        self._leaving_since: dict[str, float] = {}
        self._silent: set[str] = set()

    def set_rate(self, lines_per_second: float) -> None:
        with self._lock:
            self._lines_per_second = lines_per_second

    def drain(self) -> None:
        with self._lock:
            self._is_over = True
            self._silent.clear()

    def is_finished(self) -> bool:
        with self._lock:
            return self._is_over and set(self._alive()) <= self._silent

    def sent(self) -> dict[str, int]:
        return {name: host.lines_sent() for name, host in self._hosts().items()}

    def converge(self) -> None:
        """Poll the group once, and give work or take it away; a few times a second."""
        try:
            states = self._lifecycle_states()
        except (BotoCoreError, ClientError) as error:
            logger.warning("Auto Scaling cannot be asked, the load stays as it is: %s", error)
            return
        with self._lock:
            for name, host in self._alive().items():
                self._apply_rate(name, host, self._rate(name, states.get(name, "")))

    def _rate(self, name: str, state: str) -> float:
        if self._is_over:
            return 0.0
        if state == IN_SERVICE:
            return self._lines_per_second
        if not state.startswith(LEAVING):
            return 0.0
        since = self._leaving_since.setdefault(name, self._clock())
        return self._lines_per_second if self._clock() < since + DEREGISTRATION_SECONDS else 0.0

    def _apply_rate(self, name: str, host: AggregatorHost, rate: float) -> None:
        try:
            host.set_source_rate(rate)
        except OSError as error:
            # It boots, or has just ended: the next poll sets it again.
            logger.info("%s did not take its load: %s", name, error)
            return
        if self._is_over:
            self._silent.add(name)
