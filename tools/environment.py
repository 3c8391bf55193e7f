"""Make a virtual environment hold exactly what a hashed requirements file says, and no sooner.

    python3 tools/environment.py .venv requirements-dev.txt [--this-python]

Runs before anything is installed, so it uses the standard library only. A stamp inside the
environment names the requirements and the Python it was made for: nothing to do costs nothing.
An environment made with another Python stays, unless this one is asked for.
"""

import hashlib
import platform
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

OLDEST_PYTHON = (3, 11)
STAMP = ".requirements.sha256"
PIPS = 2


@dataclass(frozen=True)
class Stamp:
    """What an environment is made of."""

    requirements: str
    python: str

    @classmethod
    def of(cls, requirements: Path) -> "Stamp":
        """Describe what would be made now."""
        digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
        return cls(digest, f"{sys.base_prefix} {platform.python_version()}")


def main(arguments: list[str]) -> int:
    """Bring the environment up to date; say so only when there is something to do."""
    if sys.version_info < OLDEST_PYTHON:
        wanted, found = (".".join(map(str, v[:2])) for v in (OLDEST_PYTHON, sys.version_info))
        print(f"Python {wanted} or later is needed, this is {found}: make PYTHON=/path/to/python3")
        return 1
    environment, requirements = map(Path, arguments[:2])
    if environment.is_symlink():
        print(f"{environment} is a link to another checkout's environment: remove the link.")
        return 1
    stamp = Stamp.of(requirements)
    if is_ready(environment, stamp, any_python="--this-python" not in arguments):
        return 0
    print(f"Installing {requirements} into {environment} ...", flush=True)
    started = time.monotonic()
    if not install(environment, requirements):
        print(f"Could not install {requirements}; pip's own words are above.", file=sys.stderr)
        return 1
    (environment / STAMP).write_text(f"{stamp.requirements}\n{stamp.python}\n")
    print(f"Installed in {time.monotonic() - started:.0f} s.")
    return 0


def is_ready(environment: Path, wanted: Stamp, *, any_python: bool) -> bool:
    """Tell whether the environment is what it should be, and its Python still there."""
    stamp = environment / STAMP
    if not stamp.exists() or not (environment / "bin" / "python").exists():
        return False
    requirements, _, python = stamp.read_text().strip().partition("\n")
    return requirements == wanted.requirements and (any_python or python == wanted.python)


def install(environment: Path, requirements: Path) -> bool:
    """Start from an empty environment, so that nothing unpinned can linger in it."""
    create = [sys.executable, "-m", "venv", "--clear", str(environment)]
    if subprocess.run(create, check=False).returncode != 0:
        return False
    fill = [str(environment / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    # Twice quiet: errors only. Complete and hashed, so there is nothing left to resolve.
    # Python compiles what is imported; compiling all of it here would take half a minute more.
    fill += ["install", "-qq", "--no-compile", "--no-deps", "--require-hashes", "-r"]
    # pip unpacks on one core; nothing resolves, so that one pip need not know of the other.
    pips = []
    for number, part in enumerate(dealt_out(requirements.read_text(), PIPS)):
        path = environment / f"requirements-{number}.txt"
        path.write_text(part)
        pips.append(subprocess.Popen([*fill, str(path)]))
    statuses = [pip.wait() for pip in pips]
    return not any(statuses)


def dealt_out(requirements: str, parts: int) -> list[str]:
    """Deal the requirements, each with the lines that belong to it, out to so many files."""
    _, *each = re.split(r"^(?=[A-Za-z0-9])", requirements, flags=re.MULTILINE)
    return [part for number in range(parts) if (part := "".join(each[number::parts]))]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
