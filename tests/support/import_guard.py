"""Imports modules while everything that reaches outside is forbidden.

``python -m tests.support.import_guard MODULE...`` prints the settings that the imports read, as
JSON, and fails if they connect to something, build a client or start a thread.
"""

import importlib
import json
import os
import socket
import sys
import threading
from typing import Any, NoReturn
from unittest.mock import patch

import boto3
import botocore.session


class ReachedOutside(BaseException):
    """No `except Exception` hides it."""


def forbidden(*arguments: Any, **_more: Any) -> NoReturn:
    raise ReachedOutside(f"an import reached outside: {arguments}")


def guarded(modules: list[str]) -> list[str]:
    """Import the modules; return the names of the environment variables that they read."""
    read: set[str] = set()
    environment = type(os.environ)
    look_up = environment.__getitem__

    def remember(self: Any, name: str) -> str:
        read.add(name)
        return look_up(self, name)

    with (
        patch.object(socket.socket, "connect", forbidden),
        patch.object(socket, "getaddrinfo", forbidden),
        patch.object(boto3, "client", forbidden),
        patch.object(boto3.Session, "__init__", forbidden),
        patch.object(botocore.session.Session, "create_client", forbidden),
        patch.object(threading.Thread, "start", forbidden),
        patch.object(environment, "__getitem__", remember),
    ):
        for module in modules:
            importlib.import_module(module)
    return sorted(read)


if __name__ == "__main__":
    print(json.dumps(guarded(sys.argv[1:])))  # noqa: T201 (its parent reads it)
