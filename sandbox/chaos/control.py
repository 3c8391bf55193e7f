"""All random faults of one cloud: begun, paused and counted together."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Self

from sandbox.chaos.killer import Killer
from sandbox.chaos.plan import Plan, rules
from sandbox.chaos.proxy import Counted, FaultProxy
from sandbox.host.parts import Parts
from sandbox.host.processes import Processes

Event = dict[str, Any]


@dataclass
class Courier:
    """Delivers events at least once, as EventBridge promises, and often twice."""

    dice: Random
    probability: float = 0.0
    repeated: int = 0

    def __call__(self, event: Event) -> Iterable[Event]:
        """The event as often as it is delivered."""
        if self.dice.random() >= self.probability:
            return [event]
        self.repeated += 1
        return [event, event]


@dataclass
class Chaos(Parts):
    """The random faults of a plan; none until it begins.

    The cloud calls `before` while it starts; entering the block starts the killer.
    """

    plan: Plan
    directory: Path
    """Where MiniStack notes what runs; a folder of this cloud."""
    courier: Courier = field(init=False)
    _proxies: list[FaultProxy] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Give each part its own random numbers: what one draws does not change another."""
        self.courier = Courier(self._dice("courier"))

    def before(self, processes: Processes, addresses: Mapping[str, str]) -> dict[str, str]:
        """Put a proxy before each emulator; the addresses for the functions, by name."""
        self.directory.mkdir(parents=True, exist_ok=True)
        proxied = {}
        for name, address in addresses.items():
            proxy = FaultProxy.start(processes, name, address, f"{self.plan.seed}-{name}")
            self._proxies.append(proxy)
            proxied[name] = proxy.address
        return proxied

    def watch(self, workers: Path) -> Self:
        """Kill functions that were started from this folder, once it begins."""
        self._killer = Killer(
            self.directory / "running", workers, self._dice("killer"), self.plan.killed_runs
        )
        return self

    def _start(self, starting: ExitStack) -> None:
        starting.enter_context(self._killer)

    def begin(self) -> None:
        for proxy in self._proxies:
            proxy.inject(rules(self.plan.faults))
        self.courier.probability = self.plan.duplicate_events
        self._duplicate_messages(self.plan.duplicate_messages)
        self._killer.begin()

    def pause(self) -> None:
        self._killer.pause()
        self._duplicate_messages(0.0)
        self.courier.probability = 0.0
        for proxy in self._proxies:
            proxy.inject([])

    @property
    def killed(self) -> Counter[str]:
        return Counter(self._killer.killed)

    @property
    def duplicated(self) -> Counter[str]:
        """How many check messages came twice, by queue."""
        log = self.directory / "duplicated"
        return Counter(log.read_text().split() if log.exists() else ())

    def counted(self) -> Counted:
        every = [proxy.counted() for proxy in self._proxies]
        return Counted(
            sum((one.calls for one in every), Counter()),
            sum((one.faults for one in every), Counter()),
        )

    def _dice(self, name: str) -> Random:
        return Random(f"{self.plan.seed}-{name}")

    def _duplicate_messages(self, probability: float) -> None:
        settings = {"probability": probability, "seed": f"{self.plan.seed}-messages"}
        (self.directory / "duplicates.json").write_text(json.dumps(settings))
