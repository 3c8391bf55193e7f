"""The emulator as a process of its own: moto's server, the extension and the control API."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import boto3
from botocore.config import Config
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)

from sandbox.emulator.control import ControlAPI
from sandbox.emulator.iam.gatekeeper import Gatekeeper
from sandbox.emulator.iam.roles import Roles
from sandbox.emulator.install import Gate, allow, installed
from sandbox.emulator.world import World
from sandbox.host.background import Background
from sandbox.host.http import HttpService
from sandbox.host.ports import LOOPBACK

TICK_SECONDS = 0.2


@dataclass(frozen=True)
class ServerSettings:
    """How a server is started."""

    port: int
    account_id: str
    region: str
    root_key: str
    iam_endpoint: str | None = None
    """Where functions and their roles are; without it no permissions are checked."""


@contextmanager
def serving(settings: ServerSettings) -> Iterator[tuple[World, str]]:
    """Serve until the block ends; gives the world and the server's address."""
    # moto takes the account from the environment.
    os.environ["MOTO_ACCOUNT_ID"] = settings.account_id
    world = World(time.time)
    with installed(world, _gate(settings)), ExitStack() as stack:
        application = ControlAPI(world, DomainDispatcherApplication(create_backend_app))
        service = HttpService(LOOPBACK, settings.port, application, MotoRequestHandler).start()
        stack.callback(service.stop)
        stack.enter_context(Background("emulator-clock", world.tick, TICK_SECONDS))
        yield world, f"http://{LOOPBACK}:{service.port}"


def _gate(settings: ServerSettings) -> Gate:
    if settings.iam_endpoint is None:
        return allow
    session = boto3.Session(settings.root_key, settings.root_key, region_name=settings.region)
    config = Config(connect_timeout=2, read_timeout=10)
    roles = Roles(
        session.client("lambda", endpoint_url=settings.iam_endpoint, config=config),
        session.client("iam", endpoint_url=settings.iam_endpoint, config=config),
    )
    return Gatekeeper(roles, settings.root_key)
