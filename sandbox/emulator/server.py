"""The emulator as a process of its own: moto's server, the extension and the control API."""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import BaseWSGIServer, make_server

from sandbox.emulator.control import ControlAPI
from sandbox.emulator.iam.gatekeeper import Gatekeeper
from sandbox.emulator.iam.roles import Roles
from sandbox.emulator.install import Gate, installed, let_in
from sandbox.emulator.world import World
from sandbox.host.background import Background
from sandbox.host.ports import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Iterator

TICK_SECONDS = 0.2


@dataclass(frozen=True)
class ServerSettings:
    """How a server is started."""

    port: int
    account_id: str
    region: str
    root_key: str
    iam_endpoint: str | None = None
    """Where functions and their roles are; without it nobody's permissions are checked."""


class QuietRequestHandler(MotoRequestHandler):
    """One line a request would be some hundred lines a second."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


@contextmanager
def serving(settings: ServerSettings) -> Iterator[tuple[World, str]]:
    """Serve until the block ends; gives the world and the server's address."""
    # moto asks the environment whose account it is.
    os.environ["MOTO_ACCOUNT_ID"] = settings.account_id
    world = World(time.time)
    with installed(world, _gate(settings)):
        application = ControlAPI(world, DomainDispatcherApplication(create_backend_app))
        server = make_server(
            LOOPBACK,
            settings.port,
            application,
            threaded=True,
            request_handler=QuietRequestHandler,
        )
        with _running(server), Background("emulator-clock", world.tick, TICK_SECONDS):
            yield world, f"http://{LOOPBACK}:{server.server_port}"


@contextmanager
def _running(server: BaseWSGIServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, name="emulator", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _gate(settings: ServerSettings) -> Gate:
    if settings.iam_endpoint is None:
        return let_in
    session = boto3.Session(settings.root_key, settings.root_key, region_name=settings.region)
    config = Config(connect_timeout=2, read_timeout=10)
    roles = Roles(
        session.client("lambda", endpoint_url=settings.iam_endpoint, config=config),
        session.client("iam", endpoint_url=settings.iam_endpoint, config=config),
    )
    return Gatekeeper(roles, settings.root_key)
