"""Child processes of the fleet: started with a log file, ended by their own id."""

import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

STOP_SECONDS = 10.0


class ProcessFailedError(Exception):
    """A process ended, or did not get ready, though it should have."""


@dataclass(slots=True)
class Process:
    """One running child."""

    popen: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(cls, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> "Process":
        """Start a command; what it prints is appended to its log."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                # A Ctrl-C is for the parent, which ends its children in order.
                start_new_session=True,
            )
        return cls(popen, log)

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self.popen.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        if self.is_running:
            os.kill(self.popen.pid, number)

    def stop(self) -> None:
        """End it: SIGTERM, and SIGKILL if that is not enough."""
        self.signal(signal.SIGTERM)
        try:
            self.popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it at once, as the power supply of an instance does."""
        self.signal(signal.SIGKILL)
        self.popen.wait()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody uses now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
