"""The AWS CLI without its start: most of a second for each of the runbooks' hundreds of commands.

A server that has the CLI loaded forks for every command. The child is given the command's own
arguments, environment, folder and open files, and runs the CLI's `main` as `aws` does. Run as a
script, this file is the command: it hands all that over and ends with the CLI's exit status.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Self

SOCKET_VARIABLE = "AWS_CLI_SOCKET"
SECONDS = 90.0
_STANDARD_FILES = (0, 1, 2)
_LENGTH_BYTES = 4
# What the runbooks talk to; reading a model takes longer than the whole rest of a command.
_SERVICES = (
    "autoscaling",
    "cloudwatch",
    "ec2",
    "events",
    "iam",
    "lambda",
    "logs",
    "route53",
    "s3",
    "servicediscovery",
    "sqs",
    "ssm",
)


class AwsCli:
    """Context manager around the server; `environment` is what its commands need to find it."""

    def __init__(self) -> None:
        # The name of a socket may have some 100 characters: fewer than many a test's folder.
        self._folder = tempfile.TemporaryDirectory(prefix="aws-cli-")
        self._socket = str(Path(self._folder.name) / "socket")
        self._server: subprocess.Popen[str] | None = None

    @property
    def environment(self) -> dict[str, str]:
        return {SOCKET_VARIABLE: self._socket}

    def __enter__(self) -> Self:
        self._server = subprocess.Popen(
            [sys.executable, str(Path(__file__)), "--serve", self._socket],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._server.stdout is not None
        assert self._server.stdout.readline() == "ready\n", "the CLI's server did not start"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.terminate()
        self._server.communicate(timeout=SECONDS)
        self._folder.cleanup()


def serve(path: str) -> None:
    """Answer commands until the end of the process."""
    from awscli.clidriver import create_clidriver  # noqa: PLC0415 (the command must not load it)

    driver = create_clidriver()
    loader = driver.session.get_component("data_loader")
    for service in _SERVICES:
        loader.load_service_model(service, "service-2")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _answer(connection, driver)
            connection.close()


def _answer(connection: socket.socket, driver: Any) -> None:
    """Be the command: in its folder, with its environment and files. Never returns."""
    status = 255
    try:
        length, files, _, _ = socket.recv_fds(connection, _LENGTH_BYTES, len(_STANDARD_FILES))
        with connection.makefile("rb") as request:
            command = json.loads(request.read(int.from_bytes(length)))
        for standard, given in zip(_STANDARD_FILES, files, strict=True):
            os.dup2(given, standard)
            os.close(given)
        os.chdir(command["folder"])
        os.environ.clear()
        os.environ.update(command["environment"])
        status = driver.main(command["arguments"])
    except SystemExit as ending:  # of `aws --version`, or an option that argparse refuses
        status = ending.code if isinstance(ending.code, int) else 255
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        connection.sendall(bytes([status & 0xFF]))
        os._exit(0)


def command(arguments: list[str]) -> int:
    """Have the server run a command; returns its exit status."""
    request = json.dumps(
        {"arguments": arguments, "environment": dict(os.environ), "folder": str(Path.cwd())}
    ).encode()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(os.environ[SOCKET_VARIABLE])
        length = len(request).to_bytes(_LENGTH_BYTES)
        socket.send_fds(connection, [length], list(_STANDARD_FILES))
        connection.sendall(request)
        answer = connection.recv(1)
    return answer[0] if answer else 255


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2])
    sys.exit(command(sys.argv[1:]))
