"""The whole pipeline on the local cloud: the real module, zip and Prometheus, in every scenario.

Each test runs the demo as a person would and reads what it leaves behind. They can run side by
side: every cloud has ports and a subnet of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[2]
OUTPUT = PROJECT / "build" / "end-to-end"
# The demo bounds all its waits itself; this is for a bug in that.
SECONDS = 540

pytestmark = pytest.mark.timeout(SECONDS + 60)


@dataclass(frozen=True)
class Played:
    """What a scenario left behind."""

    status: int
    written: str
    output: Path

    @property
    def summary(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.output / "summary.json").read_text())
        return loaded

    def recorded(self, kind: str) -> list[dict[str, Any]]:
        lines = (self.output / "timeline.jsonl").read_text().splitlines()
        return [entry for line in lines if (entry := json.loads(line))["kind"] == kind]

    def of_outcome(self, outcome: str) -> list[dict[str, Any]]:
        return [one for one in self.summary["instances"] if one["outcome"] == outcome]


def play(scenario: str) -> Played:
    output = OUTPUT / scenario
    command = [sys.executable, "-m", "sandbox", "demo", "--plain"]
    with (PROJECT / "build" / f"end-to-end-{scenario}.log").open("w+") as log:
        finished = subprocess.run(
            [*command, "--scenario", scenario, "--output", str(output)],
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            timeout=SECONDS,
            check=False,
        )
        log.seek(0)
        return Played(finished.returncode, log.read(), output)


def assert_the_promise_was_kept(played: Played, scenario: str) -> None:
    assert played.status == 0, played.written[-6000:]
    summary = played.summary
    assert summary["scenario"] == scenario
    assert summary["lines"]["sent"] > 1_000
    assert summary["lines"]["delivered"] == summary["lines"]["sent"]
    assert summary["lines"]["lost"] == 0
    assert len(played.of_outcome("in_service")) == 1
    released = played.of_outcome("released")
    assert len(released) == len(summary["instances"]) - 1 == 2
    for one in released:
        assert one["buffer_bytes_at_release"] == 0
        assert (
            one["launched_at"] < one["registered_at"] < one["deregistered_at"] < one["released_at"]
        )
        assert one["drained_at"] < one["released_at"]
    for name in ("timeline.png", "report.html"):
        assert (played.output / name).stat().st_size > 10_000


def mended(played: Played, what: str) -> dict[str, Any]:
    """What was broken on purpose, with its beginning and its end."""
    ended = [one for one in played.recorded("disruption") if one["until"] is not None]
    (found,) = [one for one in ended if one["name"].startswith(what)]
    return found


def seen_while_broken(
    played: Played, instance_id: str, disruption: dict[str, Any]
) -> list[dict[str, Any]]:
    return [
        instance
        for sample in played.recorded("sample")
        if disruption["at"] <= sample["at"] <= disruption["until"]
        for instance in sample["instances"]
        if instance["instance_id"] == instance_id
    ]


def test_scaling_in_under_load_loses_nothing_and_alarms_nobody() -> None:
    played = play("scale-in")

    assert_the_promise_was_kept(played, "scale-in")
    assert played.summary["dlq_messages"] == 0
    assert played.recorded("notification") == []
    desired = {sample["desired_capacity"] for sample in played.recorded("sample")}
    assert desired in ({0, 1, 3}, {1, 3})


def test_aggregators_are_kept_while_the_destination_refuses_writes() -> None:
    played = play("destination-down")

    assert_the_promise_was_kept(played, "destination-down")
    assert played.summary["dlq_messages"] == 0
    refusal = mended(played, "S3 refuses writes")
    for one in played.of_outcome("released"):
        assert one["drained_at"] > refusal["until"]
        seen = seen_while_broken(played, one["id"], refusal)
        assert {instance["lifecycle_state"] for instance in seen} == {"Terminating:Wait"}
        assert all(instance["buffer_bytes"] > 0 for instance in seen)
        assert "DRAINING" in {instance["verdict"] for instance in seen}
        assert "DRAINED" not in {instance["verdict"] for instance in seen}


def test_an_aggregator_without_metrics_is_kept_until_a_person_redrives_its_message() -> None:
    played = play("exporter-dies")

    assert_the_promise_was_kept(played, "exporter-dies")
    assert played.summary["dlq_messages"] == 1
    blindness = mended(played, "no metrics from ")
    (victim,) = [one for one in played.summary["instances"] if one["id"] in blindness["name"]]
    assert victim["released_at"] > blindness["until"]
    seen = seen_while_broken(played, victim["id"], blindness)
    assert {instance["lifecycle_state"] for instance in seen} == {"Terminating:Wait"}
    assert all(instance["buffer_bytes"] > 0 for instance in seen)
    assert seen[-1]["verdict"] == "UNKNOWN"
    alarmed = [one for one in played.recorded("notification") if one["state"] == "ALARM"]
    assert [one["alarm"] for one in alarmed] == ["fluentd-buffer-dlq"]
    assert "Runbook: docs/runbooks/buffer-dlq.md" in alarmed[0]["description"]
