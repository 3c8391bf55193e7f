"""Chaos begins and ends as a whole, and the same seed throws the same dice."""

import json
from pathlib import Path
from typing import Any

import pytest

from sandbox.chaos.control import Chaos
from sandbox.chaos.plan import Plan, rules
from sandbox.chaos.proxy import FaultProxy
from sandbox.host.processes import Processes

ADDRESSES = {"ministack": "http://127.0.0.1:1", "emulator": "http://127.0.0.1:2"}


@pytest.fixture
def injected(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[dict[str, Any]]]:
    """The rules of each proxy, without a proxy."""
    rules: dict[str, list[dict[str, Any]]] = {}

    def start(_processes: Processes, name: str, upstream: str, seed: str) -> FaultProxy:
        assert seed == f"5-{name}"
        assert upstream == ADDRESSES[name]
        return FaultProxy(f"http://proxy/{name}")

    monkeypatch.setattr(FaultProxy, "start", start)
    monkeypatch.setattr(
        FaultProxy, "inject", lambda proxy, given: rules.__setitem__(proxy.address, list(given))
    )
    return rules


def wired(folder: Path) -> Chaos:
    chaos = Chaos(Plan(seed=5), folder / "chaos")
    chaos.told = chaos.before(Processes(folder / "logs"), ADDRESSES)  # type: ignore[attr-defined]
    return chaos.watch(folder / "tmp")


def test_everything_goes_wrong_from_the_beginning_to_the_pause(
    tmp_path: Path, injected: dict[str, list[dict[str, Any]]]
) -> None:
    chaos = wired(tmp_path)
    settings = tmp_path / "chaos" / "duplicates.json"
    with chaos:
        chaos.begin()
        assert list(injected.values()) == [rules(Plan().faults)] * 2
        assert chaos.courier.probability == Plan().duplicate_events
        assert json.loads(settings.read_text())["probability"] == Plan().duplicate_messages
        chaos.pause()
        assert list(injected.values()) == [[], []]
        assert chaos.courier.probability == 0
        assert json.loads(settings.read_text())["probability"] == 0


def test_a_courier_repeats_its_share_of_the_events_and_loses_none() -> None:
    courier = Chaos(Plan(seed=5), None).courier  # type: ignore[arg-type]
    courier.probability = 0.4
    delivered = [list(courier({"id": number})) for number in range(1000)]
    assert all(1 <= len(copies) <= 2 for copies in delivered)
    assert courier.repeated == sum(len(copies) == 2 for copies in delivered)
    assert courier.repeated == pytest.approx(400, abs=50)
