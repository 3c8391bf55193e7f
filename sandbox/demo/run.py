"""One run of a scenario, from an empty folder to the evidence of what happened."""

from __future__ import annotations

import logging
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.cloud import STACK, LocalCloud
from sandbox.demo.model import Comparison, Run
from sandbox.demo.observer import CloudObserver
from sandbox.demo.recording import Clock, Recorder
from sandbox.demo.scenarios import chaos
from sandbox.demo.scenarios.acts import deliver_everything
from sandbox.demo.scenarios.stage import Stage
from sandbox.demo.set_up import fleet_of, names_of, start_prometheus, variables
from sandbox.demo.view.apply_progress import ApplyProgress
from sandbox.demo.warm_up import warmed_up
from sandbox.host.waiting import CheckFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sandbox.demo.scenarios.catalog import Scenario
    from sandbox.demo.view.view import View

LINES_PER_SECOND_EACH = 200.0


@dataclass(frozen=True)
class Performance:
    """The parts of one run, wired."""

    scenario: Scenario
    clock: Clock
    recorder: Recorder
    stage: Stage

    def play(self) -> Run:
        """Play the scenario from beginning to end; its failures are part of the result."""
        failures = []
        for part in (self.scenario.begin, self.scenario.play, deliver_everything):
            try:
                part(self.stage)
            except CheckFailed as error:
                failures.append(f"{error}")
                self.recorder.note(f"FAILED: {error}")
        self.recorder.phase("Counting lines")
        return self._evidence(tuple(failures))

    def _evidence(self, failures: tuple[str, ...]) -> Run:
        fleet, recorder = self.stage.fleet, self.recorder
        lines = fleet.delivered()
        recorder.stop()
        return Run(
            scenario=self.scenario.name,
            seconds=self.clock.now(),
            lines=lines,
            samples=tuple(recorder.samples),
            journal=tuple(recorder.journal),
            histories={
                name: fleet.history(name).after(self.clock.started_at) for name in fleet.known()
            },
            phases=tuple(recorder.phases),
            disruptions=tuple(recorder.disruptions),
            notifications=tuple(recorder.notifications),
            proven=tuple(self.stage.statements),
            failures=failures,
            discovery=self.stage.has_discovery,
            flush=self.scenario.setting.flush,
            comparison=_comparison(self.stage),
            chaos=None if self.scenario.chaos is None else chaos.counted(self.stage),
        )


def perform(scenario: Scenario, output: Path, clock: Clock, view: View) -> Run:
    """Set everything up in `output`, play the scenario, and stop everything again."""
    output.mkdir(parents=True, exist_ok=True)
    with (
        _logs_in(output / "demo.log"),
        view,
        Recorder(clock, output / "timeline.jsonl", view) as recorder,
        ExitStack() as stack,
    ):
        stage = _set_up(scenario, output, recorder, stack)
        recorder.watch(CloudObserver(stage.cloud, stage.fleet, stage.names, clock))
        run = Performance(scenario, clock, recorder, stage).play()
        recorder.phase("Stopping everything")
    return run


def _set_up(scenario: Scenario, output: Path, recorder: Recorder, stack: ExitStack) -> Stage:
    recorder.phase("Starting the local cloud")
    cloud = stack.enter_context(LocalCloud(output / "cloud", chaos=scenario.chaos))
    prometheus = start_prometheus(scenario.setting, cloud, output, stack)
    recorder.phase("terraform apply")
    recorder.progress("reading the configuration")
    inputs = variables(scenario, str(cloud.subnet), prometheus.url if prometheus else None)
    outputs = cloud.apply(STACK, inputs, ApplyProgress(recorder.progress).line)
    recorder.phase("Starting the fleet")
    names = names_of(outputs, scenario.setting)
    fleet = fleet_of(scenario.setting, cloud, outputs, output)
    # Only the stages with a proof: a cold start of the operation stage hides nothing.
    proving = [name for name in names.waiters if not name.endswith("-operation-waiter")]
    with warmed_up(cloud.client("lambda"), [*proving, *names.evidence]):
        stack.enter_context(fleet)
    setting = scenario.setting
    rate = setting.lines_per_second if setting.cloud_map else LINES_PER_SECOND_EACH
    return Stage(cloud, fleet, recorder, names, rate, setting.timekey_seconds, prometheus)


def _comparison(stage: Stage) -> Comparison | None:
    names = stage.names
    if names.other_group is None or stage.timekey_seconds is None:
        return None
    return Comparison(stage.timekey_seconds, names.group, names.other_group)


@contextmanager
def _logs_in(path: Path) -> Iterator[None]:
    """Warnings of the local cloud's threads go to a file, not across the live table."""
    handler = logging.FileHandler(path, mode="w", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
