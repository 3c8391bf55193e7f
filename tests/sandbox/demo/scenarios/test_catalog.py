"""The scenarios notice when what they are about does not happen.

They play on a stand-in for the stage, whose group goes one step further with every look.
"""

from __future__ import annotations

import io
from collections import Counter
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from sandbox.chaos.plan import Plan
from sandbox.demo import recording
from sandbox.demo.model import InstanceSample, Sample
from sandbox.demo.observer import StageNames
from sandbox.demo.recording import Clock, Observation, Recorder
from sandbox.demo.scenarios import acts, catalog, chaos, flush, sharded
from sandbox.demo.scenarios.acts import deliver_everything
from sandbox.demo.scenarios.catalog import SCENARIOS
from sandbox.demo.view.view import View
from sandbox.host import waiting
from sandbox.host.waiting import CheckFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DRAIN_LOOKS = 15
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
        fullest = 9 if self.overflows else 8
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
            self.dead_letters = int(self.gives_up and member.draining > 2 * DRAIN_LOOKS)
        elif member.draining > DRAIN_LOOKS and self._may_go(name):
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


@pytest.fixture(autouse=True)
def haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "_INTERVAL_SECONDS", 0.02)
    monkeypatch.setattr(waiting, "_INTERVAL_SECONDS", 0.02)
    for name, seconds in {
        "_LOAD_SECONDS": 0.1,
        "_LAUNCH_SECONDS": 2.0,
        "_LEAVE_SECONDS": 2.0,
        "_RELEASE_SECONDS": 2.0,
        "KEPT_SECONDS": 0.8,
        "_DELIVERY_SECONDS": 1.0,
    }.items():
        monkeypatch.setattr(acts, name, seconds)
    monkeypatch.setattr(flush, "_UPLOAD_SECONDS", 2.0)
    for name in ("_SETTLE_SECONDS", "_PAGED_SECONDS"):
        monkeypatch.setattr(chaos, name, 2.0)
    monkeypatch.setattr(chaos, "_something_is_missing", lambda _stage: False)
    monkeypatch.setattr(chaos, "_LOAD_SECONDS", 0.1)
    monkeypatch.setattr(chaos, "_CRASH_SECONDS", (0.0, 0.1))
    monkeypatch.setattr(catalog, "RECONCILE_SECONDS", 0.1)
    # Two shards of the stand-in are enough.
    for name, number in {
        "SIZE": 12,
        "STAYING": 10,
        "SHARDS": 2,
        "_JOIN_SECONDS": 1.0,
        "_LEARN_SECONDS": 1.0,
        "_STEADY_SECONDS": 0.3,
        "_POLL_SECONDS": 0.1,
    }.items():
        monkeypatch.setattr(sharded, name, number)


def play(name: str, stand_in: StandIn, tmp_path: Path) -> list[str]:
    """The statements of a scenario, played from beginning to end."""
    stage: Any = stand_in
    scenario = SCENARIOS[name]
    stand_in.flushes = scenario.setting.flush
    stand_in.has_discovery = scenario.setting.cloud_map
    with Recorder(
        Clock(),
        tmp_path / "timeline.jsonl",
        View("", Console(file=io.StringIO()), lambda: 0.0, live=False),
    ) as recorder:
        stand_in.recorder = recorder
        recorder.watch(stand_in)
        scenario.begin(stage)
        scenario.play(stage)
        deliver_everything(stage)
    return stand_in.statements


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_that_goes_well_says_what_it_proved(name: str, tmp_path: Path) -> None:
    assert play(name, StandIn(), tmp_path)


@pytest.mark.parametrize("name", ["destination-down", "flush-in-backoff"])
def test_a_release_while_s3_refuses_writes_fails_the_scenario(name: str, tmp_path: Path) -> None:
    stand_in = StandIn()
    stand_in.releases_while_refused = True

    with pytest.raises(CheckFailed, match="kept while S3 refuses writes"):
        play(name, stand_in, tmp_path)


@pytest.mark.parametrize(
    ("name", "queue"), [("exporter-dies", "demo-buffer-dlq"), ("set-aside", "demo-flush-dlq")]
)
def test_a_pipeline_that_never_gives_up_fails_the_scenario(
    name: str, queue: str, tmp_path: Path
) -> None:
    stand_in = StandIn()
    stand_in.gives_up = False

    with pytest.raises(CheckFailed, match=f"the check message of i-1 in {queue}"):
        play(name, stand_in, tmp_path)


def test_a_release_without_a_flush_fails_the_scenario(tmp_path: Path) -> None:
    stand_in = StandIn()
    stand_in.tells_at_all = False

    with pytest.raises(CheckFailed, match="i-1 was released without a flush command"):
        play("agents-to-s3", stand_in, tmp_path)


def test_a_pipeline_that_signals_only_once_fails_the_scenario(tmp_path: Path) -> None:
    stand_in = StandIn()
    stand_in.tells_again = False

    with pytest.raises(CheckFailed, match="0 after"):
        play("flush-in-backoff", stand_in, tmp_path)


def test_an_operator_who_is_not_told_fails_the_scenario(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acts, "_NOTIFY_SECONDS", 0.3)
    stand_in = StandIn()
    stand_in.notifies = False

    with pytest.raises(CheckFailed, match="SNS to notify the operator"):
        play("exporter-dies", stand_in, tmp_path)


def test_a_redrive_that_releases_nobody_fails_the_scenario(tmp_path: Path) -> None:
    stand_in = StandIn()
    stand_in.redrive_helps = False

    with pytest.raises(CheckFailed, match="the release of i-1"):
        play("exporter-dies", stand_in, tmp_path)


def test_lines_that_never_come_to_s3_fail_every_scenario(tmp_path: Path) -> None:
    stand_in = StandIn()
    stand_in.lost = 1

    with pytest.raises(CheckFailed, match="every line to be found in S3"):
        play("scale-in", stand_in, tmp_path)


def test_chaos_lasts_for_as_many_rounds_as_there_is_time_and_then_ends(tmp_path: Path) -> None:
    stand_in = StandIn()
    stand_in.chaos.plan = Plan(seconds=1.5)

    [statement] = play("chaos", stand_in, tmp_path)

    assert stand_in.done["rounds"] >= 2
    assert stand_in.done["Prometheus crashes"] >= stand_in.done["rounds"]
    assert stand_in.chaos.switched == ["on", "off"]
    assert f"In {stand_in.done['rounds']} rounds" in statement


def test_a_short_chaos_goes_on_until_every_kind_of_fault_has_come_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([True, True, False])
    monkeypatch.setattr(chaos, "_something_is_missing", lambda _stage: next(answers))
    stand_in = StandIn()

    play("chaos", stand_in, tmp_path)

    assert stand_in.done["rounds"] == 3


def test_what_the_pipeline_gave_up_on_in_chaos_is_redriven_on_a_quiet_day(tmp_path: Path) -> None:
    stand_in = StandIn()
    stand_in.dead = "i-1"

    play("chaos", stand_in, tmp_path)

    assert stand_in.chaos.switched == ["on", "off", "on", "off"]
    assert stand_in.done["pages"] == 1


def test_a_dead_letter_without_its_alarm_fails_the_chaos(tmp_path: Path) -> None:
    stand_in = StandIn()
    stand_in.dead = "i-1"
    stand_in.names.dead_letter_alarms = {"demo-buffer-dlq": "another"}

    with pytest.raises(CheckFailed, match="to be in alarm"):
        play("chaos", stand_in, tmp_path)


def test_a_reconciler_that_starts_no_drain_fails_the_scenario(tmp_path: Path) -> None:
    stand_in = StandIn()
    stand_in.reconciles = False

    with pytest.raises(CheckFailed, match="the release of"):
        play("lost-event", stand_in, tmp_path)


def test_a_forwarder_that_flaps_fails_the_scenario(tmp_path: Path) -> None:
    stand_in = StandIn()
    stand_in.flaps = True

    with pytest.raises(CheckFailed, match=r"forwarder-02 flaps: .* does not know \['i-1'\]"):
        play("twenty-aggregators", stand_in, tmp_path)


def test_more_than_eight_in_a_shard_fail_the_scenario(tmp_path: Path) -> None:
    stand_in = StandIn()
    stand_in.overflows = True

    with pytest.raises(CheckFailed, match=r"The shards hold \[9, 3\]"):
        play("twenty-aggregators", stand_in, tmp_path)


def test_a_shard_that_overflows_later_fails_the_scenario(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in = StandIn()
    monkeypatch.setattr(stand_in, "shard_sizes", lambda: [9 if stand_in.is_watched() else 8, 4])

    with pytest.raises(CheckFailed, match="A shard held 9 aggregators"):
        play("twenty-aggregators", stand_in, tmp_path)


def test_an_aggregator_that_a_forwarder_never_learns_of_fails_the_scenario(tmp_path: Path) -> None:
    stand_in = StandIn()
    stand_in.forgets = "i-7"

    with pytest.raises(CheckFailed, match=r"the forwarders know \[12, 11\]"):
        play("twenty-aggregators", stand_in, tmp_path)


def test_an_aggregator_that_takes_no_line_fails_the_scenario(tmp_path: Path) -> None:
    stand_in = StandIn()
    stand_in.silent = "i-3"

    with pytest.raises(CheckFailed, match="without a line: i-3"):
        play("twenty-aggregators", stand_in, tmp_path)
