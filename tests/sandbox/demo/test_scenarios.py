"""The scenarios notice when what they are about does not happen.

They play on a stand-in for the stage, whose group goes one step further with every look.
"""

from __future__ import annotations

import io
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.demo import recording, scenarios, waiting
from sandbox.demo.model import InstanceSample, Sample
from sandbox.demo.plain_view import PlainView
from sandbox.demo.recording import Clock, Observation, Recorder
from sandbox.demo.scenarios import SCENARIOS, bring_everything_home, scale_out_under_load
from sandbox.demo.waiting import WaitedInVain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

QUEUE = "demo-buffer-dlq"
DRAIN_LOOKS = 15


class Member:
    """One instance of the stand-in's group."""

    def __init__(self) -> None:
        self.state = "Pending:Wait"
        self.age = 0
        self.draining = 0


class StandIn:
    """The part of the stage that scenarios use, and an observer of it."""

    def __init__(self) -> None:
        self.names = SimpleNamespace(buffer_dead_letter_queue=QUEUE, buffer_alarm=QUEUE)
        self.recorder: Recorder
        self.members: dict[str, Member] = {}
        self.desired = 0
        self.refuses = False
        self.dead: str | None = None
        self.dead_letters = 0
        self.statements: list[str] = []
        # Ways to misbehave.
        self.releases_while_refused = False
        self.gives_up = True
        self.notifies = True
        self.redrive_helps = True
        self.lost = 0

    # What scenarios call

    def set_desired_capacity(self, capacity: int) -> None:
        self.desired = capacity
        while len(self.members) < capacity:
            self.members[f"i-{len(self.members) + 1}"] = Member()
        staying = list(self.members)[-capacity:] if capacity else []
        for name in set(self.members) - set(staying):
            self.members[name].state = "Terminating:Wait"

    def start_load(self) -> None:
        pass

    def end_load(self) -> None:
        pass

    def flush(self) -> None:
        pass

    def all_receive(self, names: list[str]) -> bool:
        return True

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

    def was_notified(self, alarm: str) -> bool:
        return self.notifies and self.dead_letters > 0

    def redrive_buffer_dead_letters(self) -> int:
        moved, self.dead_letters = self.dead_letters, 0
        if not self.redrive_helps:
            self.members["i-1"].draining = -1_000_000
        return moved

    # What the recorder sees

    def observe(self, at: float, phase: str) -> Observation:
        for name, member in list(self.members.items()):
            self._step(name, member)
        alarms = (QUEUE,) if self.dead_letters else ()
        sample = Sample(
            at,
            phase,
            self.desired,
            tuple(self._seen(name, member) for name, member in self.members.items()),
            100,
            100 - self.lost,
            {QUEUE: self.dead_letters},
            alarms,
            len(alarms),
        )
        return Observation(sample, (), ())

    def _step(self, name: str, member: Member) -> None:
        member.age += 1
        if member.state == "Pending:Wait" and member.age > 2:
            member.state = "InService"
        if member.state != "Terminating:Wait":
            return
        member.draining += 1
        if self.dead == name:
            self.dead_letters = int(self.gives_up and member.draining > 2 * DRAIN_LOOKS)
        elif member.draining > DRAIN_LOOKS and self._may_go(name):
            del self.members[name]

    def _may_go(self, name: str) -> bool:
        if self.refuses:
            return self.releases_while_refused
        return not self.dead_letters

    def _seen(self, name: str, member: Member) -> InstanceSample:
        leaving = member.state == "Terminating:Wait"
        verdict = ("UNKNOWN" if self.dead == name else "DRAINING") if leaving else None
        held = 500 if leaving or self.desired > 1 else 0
        return InstanceSample(name, member.state, member.state == "InService", held, verdict)


@pytest.fixture(autouse=True)
def haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "_INTERVAL_SECONDS", 0.02)
    monkeypatch.setattr(waiting, "_INTERVAL_SECONDS", 0.02)
    for name, seconds in {
        "_LOAD_SECONDS": 0.1,
        "_LAUNCH_SECONDS": 2.0,
        "_LEAVE_SECONDS": 2.0,
        "_RELEASE_SECONDS": 2.0,
        "_KEPT_SECONDS": 0.8,
        "_HOME_SECONDS": 1.0,
    }.items():
        monkeypatch.setattr(scenarios, name, seconds)


def play(name: str, stand_in: StandIn, tmp_path: Path) -> list[str]:
    """The statements of a scenario, played from beginning to end."""
    stage: Any = stand_in
    with Recorder(
        Clock(), tmp_path / "timeline.jsonl", PlainView(io.StringIO(), lambda: 0.0)
    ) as recorder:
        stand_in.recorder = recorder
        recorder.watch(stand_in)
        scale_out_under_load(stage)
        SCENARIOS[name].play(stage)
        bring_everything_home(stage)
    return stand_in.statements


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_that_goes_well_says_what_it_proved(name: str, tmp_path: Path) -> None:
    assert play(name, StandIn(), tmp_path)


def test_a_release_while_s3_refuses_writes_fails_the_scenario(tmp_path: Path) -> None:
    stand_in = StandIn()
    stand_in.releases_while_refused = True

    with pytest.raises(WaitedInVain, match="kept while S3 refuses writes"):
        play("destination-down", stand_in, tmp_path)


def test_a_pipeline_that_never_gives_up_fails_the_scenario(tmp_path: Path) -> None:
    stand_in = StandIn()
    stand_in.gives_up = False

    with pytest.raises(WaitedInVain, match="the check message of i-1 in demo-buffer-dlq"):
        play("exporter-dies", stand_in, tmp_path)


def test_an_operator_who_is_not_told_fails_the_scenario(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scenarios, "_NOTIFY_SECONDS", 0.3)
    stand_in = StandIn()
    stand_in.notifies = False

    with pytest.raises(WaitedInVain, match="SNS to notify the operator"):
        play("exporter-dies", stand_in, tmp_path)


def test_a_redrive_that_releases_nobody_fails_the_scenario(tmp_path: Path) -> None:
    stand_in = StandIn()
    stand_in.redrive_helps = False

    with pytest.raises(WaitedInVain, match="the release of i-1"):
        play("exporter-dies", stand_in, tmp_path)


def test_lines_that_never_come_to_s3_fail_every_scenario(tmp_path: Path) -> None:
    stand_in = StandIn()
    stand_in.lost = 1

    with pytest.raises(WaitedInVain, match="every line to be found in S3"):
        play("scale-in", stand_in, tmp_path)
