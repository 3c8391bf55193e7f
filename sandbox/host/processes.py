"""Child processes: each in a group of its own, with a log file, stopped in reverse order.

They end with the block that started them, on Ctrl-C, SIGTERM and exceptions, and also if this
process is killed. Start them from a thread that lives as long as they should: Linux takes the
thread that started a child for its parent.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Self

CHILD = Path(__file__).with_name("child.py")
STOP_SECONDS = 10.0
POLL_SECONDS = 0.05
LINES_SHOWN = 20
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", *PROXIES)


class ProcessFailedError(Exception):
    """A process ended, or did not get ready, though it should have; says what it logged last."""


@dataclass(frozen=True)
class Process:
    """One running child."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    @property
    def is_running(self) -> bool:
        return self.popen.poll() is None

    def wait_until(self, is_ready: Callable[[], bool], *, seconds: float) -> None:
        """Return as soon as it is ready; raise if it ends first or takes longer."""
        deadline = time.monotonic() + seconds
        while not is_ready():
            if not self.is_running:
                raise self.failure(f"ended with status {self.popen.returncode}")
            if time.monotonic() > deadline:
                raise self.failure(f"was not ready after {seconds:.0f} s")
            time.sleep(POLL_SECONDS)

    def line(self, beginning: str, *, seconds: float) -> str:
        """The first line it writes that begins like this, once it has written it."""

        def found() -> list[str]:
            lines = self.log.read_text(errors="replace").splitlines(keepends=True)
            return [one for one in lines if one.startswith(beginning) and one.endswith("\n")]

        self.wait_until(lambda: bool(found()), seconds=seconds)
        return found()[0].rstrip("\n")

    def failure(self, what: str) -> ProcessFailedError:
        lines = self.log.read_text(errors="replace").splitlines()[-LINES_SHOWN:]
        shown = "\n".join(f"    {line}" for line in lines)
        return ProcessFailedError(f"{self.name} {what}; the end of {self.log}:\n{shown}")

    def stop(self) -> None:
        """Ask its whole group to end, then kill it."""
        self._signal(signal.SIGTERM)
        try:
            self.popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        finally:
            # Also for children of its own that it has left behind.
            self._signal(signal.SIGKILL)
            self.popen.wait()

    def kill(self) -> None:
        """Kill its whole group at once, with nothing tidied up."""
        self._signal(signal.SIGKILL)
        self.popen.wait()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, number)


class Processes(ExitStack):
    """Starts children; leaving the block stops them, the last one first."""

    def __init__(self, logs: Path) -> None:
        super().__init__()
        self._logs = logs
        self._started: list[Process] = []

    def __enter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        return self

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        directory: Path | None = None,
    ) -> Process:
        """Start a command; what it writes goes to `NAME.log`."""
        log = self._logs / f"{name}.log"
        with log.open("wb") as output:
            popen = subprocess.Popen(
                [sys.executable, "-I", "-S", str(CHILD), str(os.getpid()), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                cwd=directory,
                # Ctrl-C in the terminal reaches this process only, which stops them in order.
                start_new_session=True,
            )
        process = Process(name, popen, log)
        self.callback(process.stop)
        self._started.append(process)
        return process

    def running(self) -> list[Process]:
        return [process for process in self._started if process.is_running]


def clean_environment() -> dict[str, str]:
    """What a child gets of this process's environment: programs, locale, proxies.

    Nothing of AWS: the user's own account must have no part in this. A proxy, if there is one,
    leads to the registry; the cloud itself is here.
    """
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    if any(name in kept for name in PROXIES):
        direct = ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1,localhost"]))
        kept |= {"NO_PROXY": direct, "no_proxy": direct}
    return kept


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Let SIGTERM end the main program as Ctrl-C does: by an exception that cleans up."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
