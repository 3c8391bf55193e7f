"""A stand-in for the stage of a scenario, whose group goes one step further with every sample."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

from sandbox.chaos.plan import Plan
from sandbox.demo.model import InstanceSample, Sample
from sandbox.demo.observer import StageNames
from sandbox.demo.recording import Observation, Recorder

DRAIN_SAMPLES = 15
LINES = 100


class QuietChaos:
    """Chaos that is switched on and off, and does nothing."""

    def __init__(self) -> None:
        self.plan = Plan()
        self.switched: list[str] = []

    def begin(self) -> None:
        self.switched.append("on")

    def pause(self) -> None:
        self.switched.append("off")


class Member:
    """One instance of the stand-in's group."""

    def __init__(self) -> None:
        self.state = "Pending:Wait"
        self.age = 0
        self.draining = 0


class StandIn:
    """The part of the stage that scenarios use, and an observer of it."""

    def __init__(self) -> None:
        stages = ("operation", "flush", "buffer")
        self.names = SimpleNamespace(
            stages={
                one: StageNames(f"demo-{one}", f"demo-{one}-dlq", f"{one}-dlq") for one in stages
            },
            dead_letter_alarms={f"demo-{one}-dlq": f"{one}-dlq" for one in stages},
        )
        self.chaos = QuietChaos()
        self.done: Counter[str] = Counter()
        self.has_discovery = True
        self.flushes = False
        self.timekey_seconds = 2
        self.recorder: Recorder
        self.members: dict[str, Member] = {}
        self.born = 0
        self.desired = 0
        self.refuses = False
        self.dead: str | None = None
        self.rejected: str | None = None
        self.rescued: str | None = None
        self.flushed = False
        self.requests: dict[str, int] = {}
        self.other_desired = 0
        self.dead_letters = 0
        self.statements: list[str] = []
        # Ways to misbehave.
        self.releases_while_refused = False
        self.gives_up = True
        self.notifies = True
        self.tells_again = True
        self.tells_at_all = True
        self.redrive_helps = True
        self.lost = 0
        self.deaf = False
        self.reconciles = True
        self.flaps = False
        self.overflows = False
        self.overflows_later = False
        self.forgets = ""
        self.silent = ""

    # What scenarios call

    def set_desired_capacity(self, capacity: int) -> None:
        self.desired = capacity
        self._resize(capacity + self.other_desired)

    def set_other_capacity(self, capacity: int) -> None:
        self.other_desired = capacity
        self._resize(capacity + self.desired)

    def _resize(self, capacity: int) -> None:
        while len(self.members) < capacity:
            self.born += 1
            self.members[f"i-{self.born}"] = Member()
        staying = list(self.members)[-capacity:] if capacity else []
        for name in set(self.members) - set(staying):
            self.members[name].state = "Terminating:Wait"

    def apply_groups(self, *groups: str) -> None:
        pass

    def start_load(self) -> None:
        pass

    def end_load(self) -> None:
        pass

    def flush(self) -> None:
        self.flushed = True

    def all_receive(self, names: list[str]) -> bool:
        return True

    def chunks_taken(self, name: str, since: float) -> int:
        return 0 if name == self.silent else 5

    def targets(self) -> dict[str, frozenset[str]]:
        known = frozenset(n for n, one in self.members.items() if one.state == "InService")
        lost = {min(known, default="")} if self.flaps and self.is_watched() else set()
        return {"forwarder-01": known, "forwarder-02": known - lost - {self.forgets}}

    def is_watched(self) -> bool:
        return "flap" in self.recorder.phases[-1].name

    def shard_sizes(self) -> list[int]:
        size = sum(one.state == "InService" for one in self.members.values())
        overflows = self.overflows or (self.overflows_later and self.is_watched())
        fullest = 9 if overflows else 8
        return [min(size, fullest), max(0, size - fullest)]

    def proven(self, statement: str) -> None:
        self.statements.append(statement)

    @contextmanager
    def s3_refuses_writes(self, name: str | None = None) -> Iterator[None]:
        self.refuses = name is None
        yield
        self.refuses = False

    @contextmanager
    def exporter_is_dead(self, name: str) -> Iterator[None]:
        self.dead = name
        yield
        self.dead = None

    @contextmanager
    def events_are_lost(self) -> Iterator[None]:
        self.deaf = True
        yield

    def reconcile(self) -> None:
        self.deaf = not self.reconciles

    def was_notified(self, alarm: str) -> bool:
        return self.notifies and self.dead_letters > 0

    @contextmanager
    def s3_rejects_writes(self, name: str) -> Iterator[None]:
        self.rejected = name
        yield

    def rescue(self, name: str) -> None:
        self.rescued = name

    def flush_requests(self, name: str) -> int:
        return self.requests.get(name, 0) if self.tells_at_all else 0

    def retry_in_seconds(self, name: str) -> float:
        return 20.0

    def slice_age_seconds(self) -> float:
        return 4.0

    def crash_prometheus(self) -> None:
        self.done["Prometheus crashes"] += 1

    def messages(self) -> int:
        return 0

    def redrive_everything(self) -> int:
        self.dead = None
        return self.redrive("buffer")

    def redrive(self, stage: str) -> int:
        moved, self.dead_letters = self.dead_letters, 0
        if not self.redrive_helps:
            self.members["i-1"].draining = -1_000_000
        return moved

    # What the recorder sees

    def observe(self, at: float, phase: str) -> Observation:
        for name, member in list(self.members.items()):
            self._step(name, member)
        stage = "flush" if self.flushes else "buffer"
        alarms = (f"{stage}-dlq",) if self.dead_letters else ()
        delivered = LINES - 10 if self.flushes and len(self.members) > 1 else LINES
        sample = Sample(
            at,
            phase,
            self.desired,
            tuple(self._seen(name, member) for name, member in self.members.items()),
            LINES,
            delivered - self.lost,
            {f"demo-{stage}-dlq": self.dead_letters},
            alarms,
            len(alarms),
        )
        return Observation(sample, (), ())

    def _step(self, name: str, member: Member) -> None:
        member.age += 1
        if member.state == "Pending:Wait" and member.age > 2:
            member.state = "InService"
        if member.state != "Terminating:Wait" or self.deaf:
            return
        member.draining += 1
        if self.flushes and (self.tells_again or not self.requests.get(name)):
            self.requests[name] = self.requests.get(name, 0) + 1
        if name in {self.dead, self.rejected} and name != self.rescued:
            self.dead_letters = int(self.gives_up and member.draining > 2 * DRAIN_SAMPLES)
        elif member.draining > DRAIN_SAMPLES and self._may_go(name):
            del self.members[name]

    def _may_go(self, name: str) -> bool:
        if self.refuses:
            return self.releases_while_refused
        return not self.dead_letters

    def _seen(self, name: str, member: Member) -> InstanceSample:
        leaving = member.state == "Terminating:Wait"
        held = 500 if leaving or (self.desired > 1 and not self.flushed) else 0
        registered = self.has_discovery and (member.state == "InService" or self.deaf)
        return InstanceSample(
            name, member.state, registered, held, self._verdict(name) if leaving else None
        )

    def _verdict(self, name: str) -> str:
        if name == self.dead:
            return "UNKNOWN"
        if name == self.rejected:
            return "SET_ASIDE"
        return "REMAINING" if self.flushes else "DRAINING"
