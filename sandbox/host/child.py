"""Become a command that does not outlive its parent: `python child.py PARENT_PID COMMAND...`.

A step between `Popen` and the command, because what runs between fork and exec in a program with
threads may deadlock. Linux sends the signal when the parent is gone, even if it was killed.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask for SIGTERM at the parent's end, check that it still lives, and become the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit("the parent is gone")
    os.execvp(command[0], command)  # noqa: S606 - no shell is wanted here


main()
