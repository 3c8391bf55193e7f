"""Clouds on one machine get places of their own."""

import random
from pathlib import Path

import pytest

from sandbox.host import ports


def test_a_held_subnet_is_loopback_and_away_from_resolvers() -> None:
    with ports.held_subnet() as subnet:
        assert subnet.is_loopback
        assert subnet.prefixlen == 24
        assert str(subnet).split(".")[1] != "0"


def test_two_clouds_never_hold_the_same_subnet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "SECOND_BYTES", range(200, 201))
    monkeypatch.setattr(ports, "THIRD_BYTES", range(2))
    with ports.held_subnet() as first, ports.held_subnet() as second:
        assert first != second
        with pytest.raises(ports.NoFreePlaceError), ports.held_subnet():
            pass


def test_a_subnet_is_free_again_when_its_cloud_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "SECOND_BYTES", range(201, 202))
    monkeypatch.setattr(ports, "THIRD_BYTES", range(1))
    random.seed(1)
    for _ in range(2):
        with ports.held_subnet() as subnet:
            assert str(subnet) == "127.201.0.0/24"


def test_a_free_port_is_none_that_connections_are_given() -> None:
    given = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    assert ports.free_port() < int(given[0])
