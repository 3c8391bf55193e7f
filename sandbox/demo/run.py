"""One run of a scenario, from an empty folder to the evidence of what happened."""

from __future__ import annotations

import logging
import platform
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.cloud import REGION, STACK, LocalCloud
from sandbox.demo.model import Comparison, Run
from sandbox.demo.observer import CloudObserver, Names, StageNames
from sandbox.demo.recording import Clock, Recorder
from sandbox.demo.scenarios import chaos
from sandbox.demo.scenarios.acts import bring_everything_home
from sandbox.demo.scenarios.redrive import RedriveFailed
from sandbox.demo.scenarios.stage import Stage
from sandbox.demo.view.apply_progress import ApplyProgress
from sandbox.demo.waiting import WaitedInVain
from sandbox.demo.warm_up import warmed_up
from sandbox.fleet.fleet import Fleet, FleetSettings, NotFinishedError
from sandbox.fleet.fluentd.aggregator import FLUENTD_DIRECTORY
from sandbox.fleet.fluentd.backoff import BackoffPolicy
from sandbox.fleet.fluentd.buffer import StagingPolicy
from sandbox.fleet.prometheus import Prometheus, PrometheusSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.demo.scenarios.catalog import Scenario, Setting
    from sandbox.demo.view.view import View

PROJECT = Path(__file__).parents[2]
NAME = "fluentd"
LINES_PER_SECOND_EACH = 200.0
DNS_TTL_SECONDS = 1
FORWARDER_REFRESH_SECONDS = 2
SCRAPE_INTERVAL_SECONDS = 1
# So long may a chunk be staged before it is written: whoever let an aggregator go too early would
# lose what came in during that time.
FLUSH_INTERVAL_SECONDS = 12.0

# The module's own inputs, compressed: what takes minutes on AWS takes seconds here.
TIMING: dict[str, float] = {
    "forwarder_refresh_seconds": FORWARDER_REFRESH_SECONDS,
    # TTL, refresh, and the 3 s tick on which Fluentd applies what it learnt.
    "settle_seconds": DNS_TTL_SECONDS + FORWARDER_REFRESH_SECONDS + 3,
    "empty_for_seconds": 10,
    "drain_timeout_seconds": 300,
    "poll_interval_seconds": 1,
    "poll_interval_max_seconds": 3,
    "operation_poll_interval_seconds": 1,
    "operation_timeout_seconds": 60,
    # Longer than a message can be out of sight, 6 x the functions' timeout.
    "launch_heartbeat_timeout_seconds": 180,
    "terminate_heartbeat_timeout_seconds": 180,
}
# Where the simulated Fluentd has its `root_dir`; the rest is compressed, too.
FLUSH: dict[str, Any] = {
    "buffer_paths": [f"{FLUENTD_DIRECTORY}/worker*/*/buffer"],
    "backup_paths": [f"{FLUENTD_DIRECTORY}/backup"],
    "monitor_agent_required": True,
    "wait_seconds": 5,
    "quiet_seconds": 2,
    "command_timeout_seconds": 15,
    "delivery_timeout_seconds": 30,
    "timeout_seconds": 300,
}
FUNCTION_TIMEOUT_SECONDS = 20
FLUSH_FUNCTION_TIMEOUT_SECONDS = 25
PROMETHEUS_TIMEOUT_SECONDS = 2

_IN_VAIN = (WaitedInVain, NotFinishedError, RedriveFailed)


@dataclass(frozen=True)
class Performance:
    """The parts of one run, wired."""

    scenario: Scenario
    clock: Clock
    recorder: Recorder
    stage: Stage

    def play(self) -> Run:
        """Play the scenario from beginning to end; what goes wrong in it is part of the result."""
        failures = []
        for part in (self.scenario.begin, self.scenario.play, bring_everything_home):
            try:
                part(self.stage)
            except _IN_VAIN as error:
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
    """Set everything up in `output`, play the scenario, and tear everything down again."""
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
    prometheus = _start_prometheus(scenario, cloud, output, stack)
    recorder.phase("terraform apply")
    recorder.progress("reading the configuration")
    inputs = variables(scenario, str(cloud.subnet), prometheus.url if prometheus else None)
    outputs = cloud.apply(STACK, inputs, ApplyProgress(recorder.progress).line)
    recorder.phase("Starting the fleet")
    names = names_of(outputs)
    fleet = Fleet(
        _fleet_settings(scenario.setting, outputs, names),
        output / "fleet",
        client=cloud.client,
        environment=cloud.environment,
        run_command=cloud.control,
    )
    # What ends a stage with a proof; an operation is waited for without a hurry.
    proving = [name for name in names.waiters if not name.endswith("-operation-waiter")]
    with warmed_up(cloud.client("lambda"), proving):
        stack.enter_context(fleet)
    setting = scenario.setting
    rate = setting.lines_per_second if setting.cloud_map else LINES_PER_SECOND_EACH
    return Stage(cloud, fleet, recorder, names, rate, setting.timekey_seconds, prometheus)


def _start_prometheus(
    scenario: Scenario, cloud: LocalCloud, output: Path, stack: ExitStack
) -> Prometheus | None:
    if not scenario.setting.prometheus:
        return None
    settings = PrometheusSettings(
        autoscaling_group_name=f"{NAME}-aggregators",
        other_group_names=(f"{NAME}-aggregators-without-flush",),
        ec2_endpoint=cloud.endpoints["ec2"],
        region=REGION,
        scrape_interval_seconds=SCRAPE_INTERVAL_SECONDS,
    )
    return stack.enter_context(Prometheus(settings, output / "prometheus"))


def _fleet_settings(setting: Setting, outputs: dict[str, Any], names: Names) -> FleetSettings:
    return FleetSettings(
        autoscaling_group_name=names.group,
        other_group_names=names.groups[1:],
        namespace=outputs.get("namespace"),
        service_ids=names.service_ids,
        bucket=outputs["bucket"],
        forwarders=setting.forwarders,
        lines_per_second=0,
        dns_ttl_seconds=DNS_TTL_SECONDS,
        forwarder_interval_seconds=FORWARDER_REFRESH_SECONDS,
        staging=StagingPolicy(
            flush_interval_seconds=FLUSH_INTERVAL_SECONDS, timekey_seconds=setting.timekey_seconds
        ),
        backoff=BackoffPolicy(
            setting.retry_wait_seconds, longest_wait_seconds=setting.retry_max_interval_seconds
        ),
    )


def variables(scenario: Scenario, subnet: str, prometheus_url: str | None) -> dict[str, Any]:
    """The inputs of the stack that holds the module."""
    timing = {**TIMING, **scenario.timing}
    if not scenario.setting.cloud_map:
        # Nobody has to let go; the module works out that this takes no time.
        del timing["settle_seconds"]
    return {
        "name": NAME,
        "subnet_cidr_block": subnet,
        "dns_ttl_seconds": DNS_TTL_SECONDS,
        "cloud_map": scenario.setting.cloud_map,
        "shards": scenario.setting.shards,
        "flush": FLUSH if scenario.setting.flush else None,
        "compare_without_flush": scenario.setting.comparison,
        "prometheus": {
            "url": prometheus_url,
            "scrape_interval_seconds": SCRAPE_INTERVAL_SECONDS,
            "request_timeout_seconds": PROMETHEUS_TIMEOUT_SECONDS,
            "expected_buffered_outputs": 1,
            "heartbeat_plugin_id": "out_heartbeat",
        }
        if prometheus_url
        else None,
        "timing": timing,
        "lambda": {
            **_package(),
            "handler_timeout_seconds": FUNCTION_TIMEOUT_SECONDS,
            "operation_waiter_timeout_seconds": FUNCTION_TIMEOUT_SECONDS,
            "flush_waiter_timeout_seconds": FLUSH_FUNCTION_TIMEOUT_SECONDS,
            "buffer_waiter_timeout_seconds": FUNCTION_TIMEOUT_SECONDS,
            **scenario.functions,
        },
    }


def _package() -> dict[str, Any]:
    """The zip that `make package-local` builds, and what it is built for."""
    architecture = "arm64" if platform.machine().lower() in {"arm64", "aarch64"} else "x86_64"
    runtime = f"python{sys.version_info.major}.{sys.version_info.minor}"
    path = PROJECT / "build" / "package" / f"fluentd-lifecycle-{architecture}-{runtime}.zip"
    return {
        "package": {"local_path": str(path)},
        "architecture": architecture,
        "runtime": runtime,
    }


def names_of(outputs: dict[str, Any]) -> Names:
    """What the stack's outputs say everything is called."""
    # Terraform leaves an output out that is null.
    module, other = outputs["module"], outputs.get("without_flush")
    modules = [module] if other is None else [module, other["module"]]
    letters = [queue for one in modules for queue in one["dead_letter_queues"].values()]
    return Names(
        group=outputs["autoscaling_group_name"],
        service_ids=tuple(module["cloud_map_service_ids"]),
        stages={
            stage: StageNames(
                queue["arn"],
                module["dead_letter_queues"][stage]["arn"],
                module["alarm_names"][f"{stage}-dlq"],
            )
            for stage, queue in module["queues"].items()
        },
        dead_letter_queues={queue["name"]: queue["url"] for queue in letters},
        notification_queue_url=outputs["on_call"]["queue_url"],
        waiters=tuple(one["function_names"][stage] for one in modules for stage in one["queues"]),
        handlers={
            queue["name"]: module["function_names"][key]
            for key, queue in module["dead_letter_queues"].items()
            if key in module["function_names"] and key not in module["queues"]
        },
        dead_letter_alarms={
            queue["name"]: one["alarm_names"][f"{key}-dlq"]
            for one in modules
            for key, queue in one["dead_letter_queues"].items()
        },
        other_group=None if other is None else other["autoscaling_group_name"],
        reconciler=module["function_names"]["reconcile"],
    )


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
