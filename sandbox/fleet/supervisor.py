"""Keeps one aggregator for each running instance of the group, and ends it with its instance.

The emulated EC2 is asked twice a second. An instance that runs gets an aggregator after its
boot time, which is random between two bounds. An instance that EC2 calls shutting down or
terminated ends its aggregator: by SIGKILL, and the buffer's files go with the disk. A question that
fails, or an instance that is missing from the answer, changes nothing. An aggregator that ends by
itself is started again on its buffer, as systemd would.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping

from botocore.exceptions import BotoCoreError, ClientError

from sandbox.fleet.fluentd.destination import DestinationMode
from sandbox.fleet.host import AggregatorHost
from sandbox.fleet.instances import Instance

POLL_SECONDS = 0.5

logger = logging.getLogger(__name__)


class UnknownInstanceError(Exception):
    """No aggregator ever ran on that instance."""


class Supervisor:
    """The aggregators of one group."""

    def __init__(
        self,
        instances: Callable[[], list[Instance]],
        new_host: Callable[[Instance, DestinationMode], AggregatorHost],
        boot_seconds: tuple[float, float],
    ) -> None:
        self._instances = instances
        self._new_host = new_host
        self.boot_seconds = boot_seconds
        self._lock = threading.RLock()
        self._hosts: dict[str, AggregatorHost] = {}
        self._gone: set[str] = set()
        self._boot_at: dict[str, float] = {}
        self._destination: tuple[DestinationMode, float] = (DestinationMode.OK, 0.0)

    def converge(self) -> None:
        """Ask EC2 once, and make the processes agree with its answer; twice a second."""
        try:
            instances = self._instances()
        except (BotoCoreError, ClientError) as error:
            logger.warning("EC2 cannot be asked, nothing changes: %s", error)
            return
        with self._lock:
            # First those that ended: a new instance may have the address of one that is gone.
            for instance in sorted(instances, key=lambda instance: not instance.is_gone):
                if instance.is_gone:
                    self._end(instance)
                elif instance.is_running:
                    self._boot(instance)

    def host(self, instance_id: str) -> AggregatorHost:
        """The aggregator of an instance, dead or alive."""
        with self._lock:
            if instance_id not in self._hosts:
                raise UnknownInstanceError(instance_id)
            return self._hosts[instance_id]

    def hosts(self) -> Mapping[str, AggregatorHost]:
        """Every aggregator that ever ran, by instance."""
        with self._lock:
            return dict(self._hosts)

    def alive(self) -> Mapping[str, AggregatorHost]:
        with self._lock:
            return self._alive()

    def destination(
        self, mode: DestinationMode, instance_id: str | None, delay_seconds: float = 0.0
    ) -> None:
        """Let the writes of one instance, or of all that are and will be, succeed or fail."""
        with self._lock:
            if instance_id is not None:
                self.host(instance_id).destination(mode, delay_seconds)
                return
            self._destination = (mode, delay_seconds)
            for host in self._alive().values():
                host.destination(mode, delay_seconds)

    def _alive(self) -> dict[str, AggregatorHost]:
        return {name: host for name, host in self._hosts.items() if name not in self._gone}

    def _boot(self, instance: Instance) -> None:
        name = instance.instance_id
        if name not in self._boot_at:
            self._boot_at[name] = time.monotonic() + random.uniform(*self.boot_seconds)
        if name in self._gone or time.monotonic() < self._boot_at[name]:
            return
        if name not in self._hosts:
            self._hosts[name] = self._new_host(instance, self._destination[0])
            self._hosts[name].start()
            logger.info("%s booted at %s", name, instance.address)
        elif not self._hosts[name].is_running:
            logger.error("the aggregator of %s ended by itself: started again", name)
            self._hosts[name].start()

    def _end(self, instance: Instance) -> None:
        name = instance.instance_id
        if name in self._gone:
            return
        self._gone.add(name)
        if name in self._hosts:
            self._hosts[name].terminate()
        logger.info("%s is %s", name, instance.state)
