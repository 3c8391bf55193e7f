"""What is set up before a scenario begins: the module's inputs, Prometheus, the fleet."""

import platform
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sandbox.cloud import REGION, LocalCloud
from sandbox.demo.observer import Names, StageNames
from sandbox.demo.scenarios.catalog import Scenario, Setting
from sandbox.fleet.fleet import Fleet, FleetSettings
from sandbox.fleet.fluentd.aggregator import FLUENTD_DIRECTORY
from sandbox.fleet.fluentd.backoff import BackoffPolicy
from sandbox.fleet.fluentd.buffer import StagingPolicy
from sandbox.fleet.prometheus import Prometheus, PrometheusSettings

PROJECT = Path(__file__).parents[2]
NAME = "fluentd"
DNS_TTL_SECONDS = 1
DNS_PROPAGATION_SECONDS = 3
FORWARDER_REFRESH_SECONDS = 2
SCRAPE_INTERVAL_SECONDS = 1
# A chunk is staged for so long before it is written: an aggregator that is released too early loses
# what came in during that time.
FLUSH_INTERVAL_SECONDS = 12.0

# The module's own inputs, compressed: what takes minutes on AWS takes seconds here.
TIMING: dict[str, float] = {
    "dns_propagation_seconds": DNS_PROPAGATION_SECONDS,
    "forwarder_refresh_seconds": FORWARDER_REFRESH_SECONDS,
    "forwarder_flush_interval_seconds": 1,
    # Propagation, TTL, refresh, and the 3 s tick on which Fluentd applies what it learnt.
    "settle_seconds": DNS_PROPAGATION_SECONDS + DNS_TTL_SECONDS + FORWARDER_REFRESH_SECONDS + 3,
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


def start_prometheus(
    setting: Setting, cloud: LocalCloud, folder: Path, stack: ExitStack
) -> Prometheus | None:
    """The Prometheus that the module asks, if it is to ask one."""
    if not setting.prometheus:
        return None
    settings = PrometheusSettings(
        autoscaling_group_name=f"{NAME}-{setting.groups[0]}",
        other_group_names=tuple(f"{NAME}-{one}" for one in setting.groups[1:]),
        ec2_endpoint=cloud.endpoints["ec2"],
        region=REGION,
        scrape_interval_seconds=SCRAPE_INTERVAL_SECONDS,
    )
    return stack.enter_context(Prometheus(settings, folder / "prometheus"))


def fleet_of(
    setting: Setting, cloud: LocalCloud, outputs: Mapping[str, Any], folder: Path
) -> Fleet:
    """The fleet on the groups that were applied; it makes no lines yet."""
    names = names_of(outputs, setting)
    settings = FleetSettings(
        autoscaling_group_name=names.group,
        other_group_names=names.groups[1:],
        namespace=outputs.get("namespace"),
        service_ids=names.service_ids,
        bucket=outputs["bucket"],
        forwarders=setting.forwarders,
        lines_per_second=0,
        dns_ttl_seconds=DNS_TTL_SECONDS,
        dns_propagation_seconds=DNS_PROPAGATION_SECONDS,
        forwarder_interval_seconds=FORWARDER_REFRESH_SECONDS,
        staging=StagingPolicy(
            flush_interval_seconds=FLUSH_INTERVAL_SECONDS, timekey_seconds=setting.timekey_seconds
        ),
        backoff=BackoffPolicy(
            setting.retry_wait_seconds, longest_wait_seconds=setting.retry_max_interval_seconds
        ),
    )
    return Fleet(
        settings,
        folder / "fleet",
        client=cloud.client,
        environment=cloud.environment,
        run_command=cloud.control,
    )


def variables(scenario: Scenario, subnet: str, prometheus_url: str | None) -> dict[str, Any]:
    """The inputs of the stack that holds the module."""
    timing = {**TIMING, **scenario.timing}
    if not scenario.setting.cloud_map:
        # There are no forwarders; the module computes that settling takes no time.
        del timing["settle_seconds"]
    return {
        "name": NAME,
        "subnet_cidr_block": subnet,
        "dns_ttl_seconds": DNS_TTL_SECONDS,
        "cloud_map": scenario.setting.cloud_map,
        "shards": scenario.setting.shards,
        "flush": FLUSH if scenario.setting.flush else None,
        "groups": list(scenario.setting.groups[: scenario.setting.groups_at_first]),
        "shared_service": len(scenario.setting.groups) > 1,
        "prometheus": {
            "url": prometheus_url,
            "scrape_interval_seconds": SCRAPE_INTERVAL_SECONDS,
            "request_timeout_seconds": PROMETHEUS_TIMEOUT_SECONDS,
            "expected_buffered_outputs": 1,
            "heartbeat_plugin_id": "out_heartbeat",
            "own_events_output": "own_events",
        }
        if prometheus_url
        else None,
        "timing": timing,
        "lambda": {
            **package(),
            "handler_timeout_seconds": FUNCTION_TIMEOUT_SECONDS,
            "operation_waiter_timeout_seconds": FUNCTION_TIMEOUT_SECONDS,
            "flush_waiter_timeout_seconds": FLUSH_FUNCTION_TIMEOUT_SECONDS,
            "buffer_waiter_timeout_seconds": FUNCTION_TIMEOUT_SECONDS,
            **scenario.functions,
        },
    }


def package() -> dict[str, Any]:
    """The zip that `make package-local` builds, and what it is built for."""
    architecture = "arm64" if platform.machine().lower() in {"arm64", "aarch64"} else "x86_64"
    runtime = f"python{sys.version_info.major}.{sys.version_info.minor}"
    path = PROJECT / "build" / "package" / f"fluentd-lifecycle-{architecture}-{runtime}.zip"
    return {"package": {"local_path": str(path)}, "architecture": architecture, "runtime": runtime}


def names_of(outputs: Mapping[str, Any], setting: Setting) -> Names:
    """What the stack's outputs say everything is called; a group may not be there yet."""
    # Terraform leaves an output out that is null.
    module, other = outputs["module"], outputs.get("other")
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
        other_group=next((f"{NAME}-{one}" for one in setting.groups[1:]), None),
        reconciler=module["function_names"]["reconcile"],
        evidence=tuple(
            one["function_names"]["evidence"] for one in modules if "buffer" in one["queues"]
        ),
    )
