"""Make a virtual environment hold exactly what a hashed requirements file says, and no sooner.

    python3 tools/environment.py .venv requirements-dev.txt

Runs before anything is installed, so it uses the standard library only. A stamp inside the
environment names the requirements and the Python it was made for: nothing to do costs nothing.
"""

import hashlib
import subprocess
import sys
import time
from pathlib import Path

OLDEST_PYTHON = (3, 11)


def main(arguments: list[str]) -> int:
    """Bring the environment up to date; say so only when there is something to do."""
    if sys.version_info < OLDEST_PYTHON:
        wanted, found = (".".join(map(str, v[:2])) for v in (OLDEST_PYTHON, sys.version_info))
        print(f"Python {wanted} or later is needed, this is {found}: make PYTHON=/path/to/python3")
        return 1
    environment, requirements = map(Path, arguments)
    stamp = environment / ".requirements.sha256"
    wanted_stamp = fingerprint(requirements)
    if stamp.exists() and stamp.read_text() == wanted_stamp:
        return 0
    print(f"Installing {requirements} into {environment} ...", flush=True)
    started = time.monotonic()
    if not install(environment, requirements):
        print(f"Could not install {requirements}; pip's own words are above.", file=sys.stderr)
        return 1
    stamp.write_text(wanted_stamp)
    print(f"Installed in {time.monotonic() - started:.0f} s.")
    return 0


def fingerprint(requirements: Path) -> str:
    """Name what the environment is made of: another file or another Python makes it anew."""
    digest = hashlib.sha256(requirements.read_bytes())
    digest.update(f"{sys.version} {sys.prefix}".encode())
    return digest.hexdigest()


def install(environment: Path, requirements: Path) -> bool:
    """Start from an empty environment, so that nothing unpinned can linger in it."""
    create = [sys.executable, "-m", "venv", "--clear", str(environment)]
    fill = [str(environment / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    # Twice quiet: errors only. Complete and hashed, so there is nothing left to resolve.
    fill += ["install", "-qq", "--no-deps", "--require-hashes", "-r", str(requirements)]
    return all(subprocess.run(command, check=False).returncode == 0 for command in (create, fill))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
