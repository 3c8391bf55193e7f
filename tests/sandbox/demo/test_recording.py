"""The recorder keeps what it saw, waits on fresh sights only, and never pretends to see."""

import io
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from sandbox.demo import recording
from sandbox.demo.model import InstanceSample, JournalEntry, Notification, Sample
from sandbox.demo.recording import Clock, Observation, Recorder
from sandbox.demo.view.view import View
from sandbox.host.waiting import CheckFailed


@pytest.fixture(autouse=True)
def fast_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "_INTERVAL_SECONDS", 0.02)


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    with Recorder(
        Clock(),
        tmp_path / "timeline.jsonl",
        View("", Console(file=io.StringIO()), lambda: 0.0, live=False),
    ) as recorder:
        yield recorder


class Counting:
    """Sees a group whose desired capacity grows with every look."""

    def __init__(self) -> None:
        self.looks = itertools.count()

    def observe(self, at: float, phase: str) -> Observation:
        number = next(self.looks)
        instances = (InstanceSample("i-1", "InService", True, number),)
        sample = Sample(at, phase, number, instances, 0, 0, {"a-dlq": 0}, (), 0)
        if number:
            return Observation(sample, (), ())
        return Observation(
            sample,
            (JournalEntry(at, "i-1", "launched"),),
            (Notification(at, "an-alarm", "ALARM", "why"),),
        )


class Blind:
    def observe(self, at: float, phase: str) -> Observation:
        raise ConnectionError("no answer")


def kinds(path: Path) -> list[str]:
    return [json.loads(line)["kind"] for line in path.read_text().splitlines()]


def test_everything_seen_is_kept_in_memory_and_in_the_file(
    recorder: Recorder, tmp_path: Path
) -> None:
    recorder.phase("Load")
    recorder.watch(Counting())
    recorder.wait_for("three looks", lambda sample: sample.desired_capacity >= 3, 60)
    assert [entry.event for entry in recorder.journal] == ["launched"]
    assert [notification.alarm for notification in recorder.notifications] == ["an-alarm"]
    assert recorder.samples[0].phase == "Load"
    assert {"phase", "sample", "journal", "notification"} <= set(kinds(tmp_path / "timeline.jsonl"))


def test_a_wait_does_not_take_an_old_sight_for_a_new_one(recorder: Recorder) -> None:
    recorder.watch(Counting())
    seen = recorder.wait_for("two looks", lambda sample: sample.desired_capacity >= 2, 60)
    again = recorder.wait_for("any look", lambda sample: True, 60)
    assert again.at > seen.at


def test_a_local_cloud_that_cannot_be_seen_ends_the_wait(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "_UNANSWERED_SECONDS", 0.2)
    recorder.watch(Blind())
    with pytest.raises(CheckFailed, match=r"did not answer .*no answer"):
        recorder.wait_for("anything", lambda sample: True, 60)
    assert "error" in kinds(tmp_path / "timeline.jsonl")


def test_what_must_hold_all_the_time_fails_at_the_first_exception(recorder: Recorder) -> None:
    recorder.watch(Counting())
    recorder.while_holding("it is there", lambda sample: bool(sample.instances), 0.1)
    with pytest.raises(CheckFailed, match="It did not hold that it stays small"):
        recorder.while_holding("it stays small", lambda sample: sample.desired_capacity < 10, 60)


def test_a_disruption_is_recorded_with_its_end_even_if_the_scenario_fails(
    recorder: Recorder,
) -> None:
    with pytest.raises(CheckFailed), recorder.disruption("S3 refuses writes"):
        raise CheckFailed("something")
    (disruption,) = recorder.disruptions
    assert disruption.until is not None
    assert disruption.until >= disruption.at
