"""The scenarios notice when what they are about does not happen.

They play on a stand-in for the stage (stand_in.py).
"""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from sandbox.demo import recording
from sandbox.demo.recording import Clock, Recorder
from sandbox.demo.scenarios import chaos
from sandbox.demo.scenarios.acts import deliver_everything
from sandbox.demo.scenarios.catalog import SCENARIOS
from sandbox.demo.view.view import View
from sandbox.host import waiting
from sandbox.host.waiting import CheckFailed
from tests.sandbox.demo.scenarios.stand_in import StandIn

WAITS = (
    *(f"acts._{one}_SECONDS" for one in ("LAUNCH", "LEAVE", "RELEASE", "NOTIFY", "DELIVERY")),
    *("chaos._SETTLE_SECONDS", "chaos._PAGED_SECONDS", "flush._UPLOAD_SECONDS"),
    *("sharded._JOIN_SECONDS", "sharded._LEARN_SECONDS"),
)
# How long things are held, or last; two shards of the stand-in are enough.
QUICK = {
    "acts._LOAD_SECONDS": 0.1,
    "acts.KEPT_SECONDS": 0.8,
    "catalog.RECONCILE_SECONDS": 0.1,
    "chaos._LOAD_SECONDS": 0.1,
    "chaos._CRASH_SECONDS": (0.0, 0.1),
    "chaos._something_is_missing": lambda _stage: False,
    "sharded._STEADY_SECONDS": 0.3,
    "sharded._POLL_SECONDS": 0.1,
    "sharded.SIZE": 12,
    "sharded.STAYING": 10,
    "sharded.SHARDS": 2,
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No wait ends for want of time, however busy the machine is, unless a test says which."""
    monkeypatch.setattr(recording, "_INTERVAL_SECONDS", 0.02)
    monkeypatch.setattr(waiting, "_INTERVAL_SECONDS", 0.02)
    for name, value in {**dict.fromkeys(WAITS, 30.0), **QUICK}.items():
        monkeypatch.setattr(f"sandbox.demo.scenarios.{name}", value)


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


KEPT, RELEASE = {"acts.KEPT_SECONDS": 30.0}, {"acts._RELEASE_SECONDS": 4.0}
STEADY, LEARN = {"sharded._STEADY_SECONDS": 30.0}, {"sharded._LEARN_SECONDS": 1.0}
# The scenario, how its stage misbehaves, which wait ends sooner or later for it, the complaint.
FAILURES: list[tuple[str, dict[str, Any], dict[str, float], str]] = [
    ("destination-down", {"releases_while_refused": True}, KEPT, "kept while S3 refuses writes"),
    ("flush-in-backoff", {"releases_while_refused": True}, KEPT, "kept while S3 refuses writes"),
    ("flush-in-backoff", {"tells_again": False}, {}, "0 after"),
    ("exporter-dies", {"gives_up": False}, RELEASE, "check message of i-1 in demo-buffer-dlq"),
    ("set-aside", {"gives_up": False}, RELEASE, "check message of i-1 in demo-flush-dlq"),
    ("exporter-dies", {"notifies": False}, {"acts._NOTIFY_SECONDS": 0.3}, "SNS to notify the "),
    ("exporter-dies", {"redrive_helps": False}, RELEASE, "the release of i-1"),
    ("agents-to-s3", {"tells_at_all": False}, {}, "i-1 was released without a flush command"),
    ("scale-in", {"lost": 1}, {"acts._DELIVERY_SECONDS": 1.0}, "every line to be found in S3"),
    ("lost-event", {"reconciles": False}, RELEASE, "the release of"),
    ("twenty-aggregators", {"flaps": True}, STEADY, r"forwarder-02 flaps: .* not know \['i-1'\]"),
    ("twenty-aggregators", {"overflows": True}, LEARN, r"The shards hold \[9, 3\]"),
    ("twenty-aggregators", {"overflows_later": True}, STEADY, "A shard held 9 aggregators"),
    ("twenty-aggregators", {"forgets": "i-7"}, LEARN, r"know \[12, 11\]"),
    ("twenty-aggregators", {"silent": "i-3"}, LEARN, "a line: i-3"),
]


@pytest.mark.parametrize(("name", "misbehaves", "seconds", "complaint"), FAILURES)
def test_a_scenario_fails_when_what_it_is_about_does_not_happen(
    name: str,
    misbehaves: dict[str, Any],
    seconds: dict[str, float],
    complaint: str,
    *,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for constant, value in seconds.items():
        monkeypatch.setattr(f"sandbox.demo.scenarios.{constant}", value)
    stand_in = StandIn()
    vars(stand_in).update(misbehaves)
    with pytest.raises(CheckFailed, match=complaint):
        play(name, stand_in, tmp_path)


def test_a_dead_letter_without_its_alarm_fails_the_chaos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chaos, "_PAGED_SECONDS", 2.0)
    stand_in = StandIn()
    stand_in.dead = "i-1"
    stand_in.names.dead_letter_alarms = {"demo-buffer-dlq": "another"}
    with pytest.raises(CheckFailed, match="to be in alarm"):
        play("chaos", stand_in, tmp_path)


def test_what_was_dead_lettered_in_chaos_is_redriven_on_a_quiet_day(tmp_path: Path) -> None:
    stand_in = StandIn()
    stand_in.dead = "i-1"
    play("chaos", stand_in, tmp_path)
    assert stand_in.chaos.switched == ["on", "off", "on", "off"]
    assert stand_in.done["pages"] == 1
