"""A bash that stays open, as the operator's terminal does: blocks are typed into it one by one.

Variables and functions of one block are there for the next. What a simulated machine does not have
(sudo, systemd, an hour's patience) is replaced on the PATH.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.support import aws_cli

SECONDS = 120.0
POLL_SECONDS = 0.02

STAND_INS = {
    # CLI 1 has an address of its own for SQS, whatever AWS_ENDPOINT_URL says; CLI 2 has not.
    "aws": """
[ "$1" = sqs ] && set -- --endpoint-url "$AWS_ENDPOINT_URL" "$@"
exec {python} -S {aws_cli} "$@"
""",
    "sudo": """
[ "$1" = -E ] && shift
exec "$@"
""",
    # Fails at once: a loop of `...; sleep 60` ends after its first round.
    "sleep": "exit 1",
    # Claims to have done what it was asked for; a test looks at that, and does it in its place.
    "systemctl": """
echo "$*" >> {folder}/systemctl
if [ "$1" = is-active ]; then echo active; fi
""",
}
# The parts of a value in which a blank does not end it.
_WITH_BLANKS = r'"[^"\n]*"|\$\([^)\n]*\)'


class StuckError(Exception):
    """A block did not end."""


@dataclass(frozen=True, slots=True)
class Typed:
    output: str
    errors: str


class Terminal:
    """Context manager around one bash; `aws` in it needs the environment of an `AwsCli`."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self._environment = environment
        self._count = 0
        self._bash: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        bin_folder = self.folder / "bin"
        bin_folder.mkdir(parents=True)
        for name, script in STAND_INS.items():
            filled = script.format(
                python=sys.executable, aws_cli=aws_cli.__file__, folder=self.folder
            )
            path = bin_folder / name
            path.write_text(f"#!/bin/sh\n{filled.strip()}\n")
            path.chmod(0o755)
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
            env={"PATH": f"{bin_folder}:{os.environ['PATH']}", **self._environment},
            text=True,
            start_new_session=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self._bash is not None:
            with self._bash:  # waits, and closes its input
                self._bash.kill()

    def type(self, shell: str, seconds: float = SECONDS) -> Typed:
        assert self._bash is not None
        assert self._bash.stdin is not None
        self._count += 1
        base = self.folder / f"{self._count:03}"
        block, output, errors, done = (
            base.with_suffix(suffix) for suffix in (".sh", ".out", ".err", ".done")
        )
        block.write_text(shell)
        self._bash.stdin.write(f". {block} > {output} 2> {errors} < /dev/null; touch {done}\n")
        self._bash.stdin.flush()
        deadline = time.monotonic() + seconds
        while not done.exists():
            if time.monotonic() > deadline or self._bash.poll() is not None:
                raise StuckError(f"after {seconds:.0f} s:\n{shell}\n{errors.read_text()}")
            time.sleep(POLL_SECONDS)
        return Typed(output.read_text(), errors.read_text())

    def services_commanded(self) -> list[str]:
        """What systemctl was asked for, in order."""
        told = self.folder / "systemctl"
        return told.read_text().splitlines() if told.exists() else []


def edited(shell: str, values: Mapping[str, str]) -> str:
    """Change the values of `export NAME=...` lines, as the operator does with those to edit."""
    for name, value in values.items():
        line = re.compile(rf"^export {name}=(?:{_WITH_BLANKS}|\S)+", re.MULTILINE)
        shell, changed = line.subn(f"export {name}={value}", shell)
        assert changed == 1, f"no line sets {name}"
    return shell
