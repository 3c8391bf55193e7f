"""Unpacks each zip once, whatever number of functions and workers runs it.

MiniStack unpacks a function's zip anew for every worker it starts, and each of these compiles what
it imports: with two cores, most of a cold start. AWS mounts the code read-only as well, so no
function writes into what the workers share here.

Runs in MiniStack's own environment, inside its process; `entry` registers it.
"""

import hashlib
import tempfile
import threading
import types
import zipfile
from pathlib import Path
from typing import Any

from ministack.core import lambda_runtime  # type: ignore[import-not-found] # in its own environment

_one_at_a_time = threading.Lock()


class SharedZip(zipfile.ZipFile):
    """A zip that unpacks into a folder of its content, which the wanted folder then points to."""

    def extractall(self, path: Any = None, members: Any = None, pwd: Any = None) -> None:  # noqa: ANN401 - as the standard library has it
        """Put a link in the place of the empty folder `path`."""
        wanted = Path(path)
        wanted.rmdir()
        wanted.symlink_to(self._unpacked(members, pwd))

    def _unpacked(self, members: Any, pwd: Any) -> Path:  # noqa: ANN401
        assert self.filename is not None
        with _one_at_a_time:
            digest = hashlib.sha256(Path(self.filename).read_bytes()).hexdigest()
            shared = Path(tempfile.gettempdir()) / f"unpacked-{digest}"
            if not shared.exists():
                # Under its name only when it is whole: a worker that failed may try again.
                unfinished = Path(tempfile.mkdtemp(prefix="unpacking-"))
                super().extractall(unfinished, members, pwd)
                unfinished.rename(shared)
            return shared


def register() -> None:
    """Let MiniStack's workers unpack their code with it."""
    names = {name: getattr(zipfile, name) for name in zipfile.__all__}
    lambda_runtime.zipfile = types.SimpleNamespace(**{**names, "ZipFile": SharedZip})
