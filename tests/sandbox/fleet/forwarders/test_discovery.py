"""Discovery is `sd_srv`'s, quirks included; DNS is Route 53's in front of Cloud Map."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

import boto3
import pytest
from dnslib import QTYPE, RCODE, DNSRecord
from moto import mock_aws

from sandbox.fleet.forwarders.discovery import (
    Discoveries,
    DnsClient,
    LookupFailedError,
    NoTargetsAtStartError,
    ServiceDiscovery,
    Target,
)
from sandbox.fleet.forwarders.dns import (
    CloudMapUnavailableError,
    DnsService,
    Namespace,
    Propagation,
    Registered,
    ServiceZone,
    registered_instances,
)
from tests.sandbox.fleet.kit import Clock

SERVICE = "_fluentd._tcp.logs.internal"
ONE = Target("127.1.0.1", 24224, "one")
TWO = Target("127.1.0.2", 24224, "two")


@dataclass
class LookUp:
    """Gives the answers of a list in turn; an exception in it is raised."""

    answers: list[list[Target] | Exception] = field(default_factory=list)

    def __call__(self) -> list[Target]:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def started(*answers: list[Target] | Exception) -> ServiceDiscovery:
    discovery = ServiceDiscovery(LookUp(list(answers)))
    discovery.start()
    return discovery


def test_a_removed_target_is_used_until_refresh_and_tick_have_both_passed() -> None:
    discovery = started([ONE, TWO], [TWO])
    discovery.refresh()
    assert discovery.targets == (ONE, TWO)
    discovery.apply()
    assert set(discovery.targets) == {TWO}


@pytest.mark.parametrize("answer", [[], LookupFailedError("NXDOMAIN")], ids=["empty", "error"])
def test_an_empty_answer_or_an_error_leaves_the_old_targets(
    answer: list[Target] | Exception,
) -> None:
    discovery = started([ONE], answer)
    discovery.refresh()
    discovery.apply()
    assert discovery.targets == (ONE,)


def test_without_a_target_at_start_there_is_no_start() -> None:
    with pytest.raises(NoTargetsAtStartError):
        started([])


# DNS over the wire


@dataclass
class Dns:
    """A zone on a real socket, with instances that tests set."""

    instances: list[Registered] = field(default_factory=list)
    failure: Exception | None = None
    asked: int = 0
    clock: Clock = field(default_factory=Clock)

    def look_up(self) -> list[Registered]:
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        return self.instances


def registered(count: int) -> list[Registered]:
    return [
        Registered(f"i-{number:017x}", f"127.1.0.{number}", 24224) for number in range(1, count + 1)
    ]


@pytest.fixture
def dns() -> Dns:
    return Dns()


@pytest.fixture
def client(dns: Dns) -> Iterator[DnsClient]:
    service = DnsService(ServiceZone(SERVICE, 10, dns.look_up, dns.clock)).start()
    yield DnsClient(service.address, service.port)
    service.stop()


def test_an_answer_names_at_most_eight_instances_and_not_always_the_same(
    dns: Dns, client: DnsClient
) -> None:
    dns.instances = registered(30)
    answers = []
    for _ in range(5):
        answers.append(frozenset(client.targets(SERVICE)))
        dns.clock.now += 11
    assert {len(answer) for answer in answers} == {8}
    assert len(set(answers)) > 1


def test_an_answer_is_kept_for_its_time_to_live(dns: Dns, client: DnsClient) -> None:
    dns.instances = registered(2)
    client.targets(SERVICE)
    dns.instances = registered(1)
    dns.clock.now += 9.9
    assert len(client.targets(SERVICE)) == 2
    dns.clock.now += 0.1
    assert len(client.targets(SERVICE)) == 1
    assert dns.asked == 2


def test_without_instances_the_name_does_not_exist(client: DnsClient) -> None:
    with pytest.raises(LookupFailedError, match="NXDOMAIN"):
        client.targets(SERVICE)


def test_cloud_map_in_trouble_is_servfail_and_not_an_empty_answer(
    dns: Dns, client: DnsClient
) -> None:
    dns.failure = CloudMapUnavailableError("throttled")
    with pytest.raises(LookupFailedError, match="SERVFAIL"):
        client.targets(SERVICE)


def test_each_change_is_shown_within_the_time_of_propagation_and_not_all_at_once(dns: Dns) -> None:
    dns.instances = registered(20)
    propagation = Propagation(dns.look_up, 60.0, Random(1), dns.clock)
    propagation.poll()
    dns.instances = []
    shown = []
    for _ in range(60):
        propagation.poll()
        shown.append(len(propagation.shown()))
        dns.clock.now += 1

    assert shown[0] >= 19
    assert shown == sorted(shown, reverse=True)
    assert len(set(shown)) > 10
    assert shown[-1] == 0


def test_nothing_is_shown_while_cloud_map_cannot_be_asked(dns: Dns) -> None:
    propagation = Propagation(dns.look_up, 60.0, Random(1), dns.clock)
    propagation.poll()
    dns.failure = CloudMapUnavailableError("throttled")
    propagation.poll()

    with pytest.raises(CloudMapUnavailableError):
        propagation.shown()


def test_one_target_without_an_address_spoils_the_whole_refresh() -> None:
    class Forgetful(ServiceZone):
        def resolve(self, request: DNSRecord, _handler: object = None) -> DNSRecord:
            reply = super().resolve(request)
            if request.q.qtype == QTYPE.A and "i-00000000000000002" in str(request.q.qname):
                reply = request.reply()
                reply.header.rcode = RCODE.NXDOMAIN
            return reply

    service = DnsService(Forgetful(SERVICE, 0, lambda: registered(3))).start()
    with pytest.raises(LookupFailedError, match="i-00000000000000002"):
        DnsClient(service.address, service.port).targets(SERVICE)
    service.stop()


@pytest.fixture
def cloud_map(aws_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    with mock_aws():
        yield boto3.client("servicediscovery")


def test_a_service_that_cloud_map_does_not_know_is_not_an_empty_one(cloud_map: Any) -> None:
    with pytest.raises(CloudMapUnavailableError):
        registered_instances(cloud_map, "srv-unknown")


class TestShards:
    def test_a_forwarder_does_not_start_while_one_of_them_is_empty(self) -> None:
        discoveries = Discoveries(
            [ServiceDiscovery(lambda: [Target("127.0.0.1", 1, "a")]), ServiceDiscovery(list)]
        )
        with pytest.raises(NoTargetsAtStartError):
            discoveries.start()

    def test_one_dns_server_answers_for_every_shard(self) -> None:
        def holding(shard: int) -> list[Registered]:
            return [Registered(f"i-{shard}", f"127.0.0.{shard + 1}", 24224)]

        zones = [
            ServiceZone(f"_fluentd{shard}._tcp.logs.internal", 10, partial(holding, shard))
            for shard in range(2)
        ]
        service = DnsService(Namespace(zones)).start()
        try:
            client = DnsClient(service.address, service.port)
            for shard in range(2):
                [target] = client.targets(f"_fluentd{shard}._tcp.logs.internal")
                assert (target.address, target.port) == (f"127.0.0.{shard + 1}", 24224)
            with pytest.raises(LookupFailedError):
                client.targets("_fluentd2._tcp.logs.internal")
        finally:
            service.stop()
