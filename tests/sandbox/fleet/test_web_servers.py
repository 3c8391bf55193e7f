"""Instances get work while they are in service, and none a second after they began to leave."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from sandbox.fleet.web_servers import WebServers
from tests.sandbox.fleet.kit import Clock


@dataclass
class FakeHost:
    rate: float | None = None
    sent: int = 0
    listens: bool = True

    def set_source_rate(self, lines_per_second: float) -> None:
        if not self.listens:
            raise ConnectionRefusedError
        self.rate = lines_per_second

    def lines_sent(self) -> int:
        return self.sent


@dataclass
class Group:
    clock: Clock
    states: dict[str, str] = field(default_factory=dict)
    hosts: dict[str, Any] = field(default_factory=lambda: {"i-1": FakeHost(), "i-2": FakeHost()})
    gone: set[str] = field(default_factory=set)
    failure: Exception | None = None

    def lifecycle_states(self) -> dict[str, str]:
        if self.failure is not None:
            raise self.failure
        return self.states

    def alive(self) -> dict[str, Any]:
        return {name: host for name, host in self.hosts.items() if name not in self.gone}

    def servers(self) -> WebServers:
        servers = WebServers(self.lifecycle_states, lambda: self.hosts, self.alive, self.clock)
        servers.set_rate(50)
        return servers

    def rates(self) -> list[float | None]:
        return [host.rate for host in self.hosts.values()]


@pytest.fixture
def group(clock: Clock) -> Group:
    return Group(clock)


def test_those_in_service_get_work_and_those_that_join_do_not(group: Group) -> None:
    group.states = {"i-1": "InService", "i-2": "Pending:Wait"}
    group.servers().converge()
    assert group.rates() == [50, 0]


def test_work_ends_a_second_after_the_instance_began_to_leave(group: Group) -> None:
    servers = group.servers()
    group.states = {"i-1": "InService", "i-2": "Terminating:Wait"}
    servers.converge()
    assert group.rates() == [50, 50]
    group.clock.now += 1.0
    servers.converge()
    assert group.rates() == [50, 0]


def test_the_load_is_over_only_when_every_instance_that_lives_knows(group: Group) -> None:
    servers = group.servers()
    group.states = {"i-1": "InService", "i-2": "InService"}
    servers.converge()
    group.hosts["i-2"].listens = False
    servers.drain()
    assert not servers.is_finished()
    servers.converge()
    assert not servers.is_finished()
    group.hosts["i-2"].listens = True
    servers.converge()
    assert servers.is_finished()
    assert group.rates() == [0, 0]


def test_the_dead_are_not_waited_for_and_their_lines_count(group: Group) -> None:
    servers = group.servers()
    group.hosts["i-2"].sent = 7
    group.gone = {"i-2"}
    servers.drain()
    servers.converge()
    assert servers.is_finished()
    assert servers.sent() == {"i-1": 0, "i-2": 7}
