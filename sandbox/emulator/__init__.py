"""The emulated part of AWS that no other emulator is strict enough about.

moto plays EC2, Route 53, Auto Scaling, Cloud Map and SSM; this package adds what the module
depends on: wait states and lifecycle actions, Cloud Map operations that
take time, commands that agents run. `extended_aws` runs it inside a test, `python -m
sandbox.emulator` as a server.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from moto import mock_aws

from sandbox.emulator.agents import Agent, Assignment, Report
from sandbox.emulator.faults import Faults
from sandbox.emulator.install import installed
from sandbox.emulator.world import Clock, World

__all__ = ["Agent", "Assignment", "Faults", "Report", "World", "extended_aws"]


@contextmanager
def extended_aws(clock: Clock = time.time) -> Iterator[World]:
    """`mock_aws` of moto with the extension; `clock` tells the time in epoch seconds."""
    world = World(clock)
    with installed(world), mock_aws():
        yield world
