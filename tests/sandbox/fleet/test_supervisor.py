"""Aggregators live and die with their instances, and with nothing else."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from botocore.exceptions import EndpointConnectionError

from sandbox.fleet.fluentd.destination import DestinationMode
from sandbox.fleet.host import AggregatorHost
from sandbox.fleet.instances import Instance
from sandbox.fleet.supervisor import Supervisor


def instance(number: int, state: str = "running", address: str = "") -> Instance:
    address = address or f"127.1.0.{number}"
    return Instance(f"i-{number}", address, state, datetime(2026, 1, 1, tzinfo=UTC))


@dataclass
class FakeHost:
    """An aggregator without a process."""

    instance: Instance
    journal: list[str]
    mode: DestinationMode
    is_running: bool = False

    def start(self) -> None:
        self.is_running = True
        self.journal.append(f"start {self.instance.instance_id}")

    def terminate(self) -> None:
        self.is_running = False
        self.journal.append(f"terminate {self.instance.instance_id}")


@dataclass
class Ec2:
    """Gives the answer that a test sets."""

    instances: list[Instance] = field(default_factory=list)
    failure: Exception | None = None
    journal: list[str] = field(default_factory=list)
    hosts: dict[str, FakeHost] = field(default_factory=dict)

    def describe(self) -> list[Instance]:
        if self.failure is not None:
            raise self.failure
        return self.instances

    def new_host(self, instance: Instance, mode: DestinationMode) -> AggregatorHost:
        host = FakeHost(instance, self.journal, mode)
        self.hosts[instance.instance_id] = host
        return host  # type: ignore[return-value]  # what the supervisor uses of it

    def supervisor(self, *boot_seconds: float) -> Supervisor:
        shortest, longest = boot_seconds or (0.0, 0.0)
        return Supervisor(self.describe, self.new_host, (shortest, longest))


@pytest.fixture
def ec2() -> Ec2:
    return Ec2()


@pytest.mark.parametrize("state", ["shutting-down", "terminated"])
def test_a_gone_instance_takes_its_aggregator_along_once(ec2: Ec2, state: str) -> None:
    supervisor = ec2.supervisor()
    ec2.instances = [instance(1)]
    supervisor.converge()
    ec2.instances = [instance(1, state)]
    supervisor.converge()
    supervisor.converge()
    assert ec2.journal == ["start i-1", "terminate i-1"]
    assert list(supervisor.alive()) == []
    assert list(supervisor.hosts()) == ["i-1"]


def test_a_failed_question_or_a_missing_instance_kills_nothing(ec2: Ec2) -> None:
    supervisor = ec2.supervisor()
    ec2.instances = [instance(1)]
    supervisor.converge()
    ec2.failure = EndpointConnectionError(endpoint_url="http://127.0.0.1:1")
    supervisor.converge()
    ec2.failure, ec2.instances = None, []
    supervisor.converge()
    assert ec2.journal == ["start i-1"]
    assert list(supervisor.alive()) == ["i-1"]


def test_the_dead_make_room_before_the_new_boot_at_their_address(ec2: Ec2) -> None:
    supervisor = ec2.supervisor()
    ec2.instances = [instance(1)]
    supervisor.converge()
    ec2.instances = [instance(2, address="127.1.0.1"), instance(1, "terminated")]
    supervisor.converge()
    assert ec2.journal == ["start i-1", "terminate i-1", "start i-2"]


def test_an_aggregator_that_ended_by_itself_is_started_again(ec2: Ec2) -> None:
    supervisor = ec2.supervisor()
    ec2.instances = [instance(1)]
    supervisor.converge()
    ec2.hosts["i-1"].is_running = False
    supervisor.converge()
    assert ec2.journal == ["start i-1", "start i-1"]


def test_an_instance_runs_nothing_until_it_has_booted(ec2: Ec2) -> None:
    supervisor = ec2.supervisor(3600.0, 7200.0)
    ec2.instances = [instance(1)]
    supervisor.converge()
    supervisor.boot_seconds = (0.0, 0.0)
    ec2.instances = [instance(1), instance(2)]
    supervisor.converge()
    assert ec2.journal == ["start i-2"]
