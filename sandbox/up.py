"""The local cloud on its own: the set-up of the demo without a scenario, until Ctrl-C."""

from __future__ import annotations

import shlex
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.cloud import REGION, STACK, LocalCloud
from sandbox.demo.run import NAME, names_of, variables
from sandbox.demo.scenarios.catalog import SCENARIOS
from sandbox.fleet.fleet import Fleet, FleetSettings
from sandbox.fleet.prometheus import Prometheus, PrometheusSettings
from sandbox.host.ports import NoFreePlaceError
from sandbox.host.processes import ProcessFailedError, sigterm_interrupts
from sandbox.ministack.server import MinistackMissingError
from sandbox.terraform import TerraformError

if TYPE_CHECKING:
    from collections.abc import Mapping

DIRECTORY = Path("build/sandbox")
INSTANCES = 2
LINES_PER_SECOND = 200.0
SCENARIO = "scale-in"
EXPECTED = (MinistackMissingError, NoFreePlaceError, ProcessFailedError, TerraformError)


def up(directory: Path = DIRECTORY) -> int:
    """Start everything, say where it is, and leave it running until told to stop."""
    print("Starting the local cloud; Terraform takes about a minute ...", flush=True)
    try:
        with sigterm_interrupts(), ExitStack() as stack:
            cloud = stack.enter_context(LocalCloud(directory / "cloud"))
            prometheus = stack.enter_context(_prometheus(cloud, directory))
            inputs = variables(SCENARIOS[SCENARIO], str(cloud.subnet), prometheus.url)
            outputs = cloud.apply(STACK, inputs)
            stack.enter_context(_fleet(cloud, outputs, directory))
            cloud.client("autoscaling").set_desired_capacity(
                AutoScalingGroupName=outputs["autoscaling_group_name"], DesiredCapacity=INSTANCES
            )
            print(welcome(cloud, prometheus.url, outputs), flush=True)
            threading.Event().wait()
    except EXPECTED as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nStopped. Logs are in {directory}.")
    return 0


def welcome(cloud: LocalCloud, prometheus_url: str, outputs: Mapping[str, Any]) -> str:
    """What a person needs to know to look around."""
    group = outputs["autoscaling_group_name"]
    settings = "\n".join(
        f"export {name}={shlex.quote(value)}" for name, value in cloud.environment.items()
    )
    return f"""
The local cloud runs, with {INSTANCES} aggregators on {cloud.subnet}. In another terminal:

{settings}

aws autoscaling set-desired-capacity --auto-scaling-group-name {group} --desired-capacity 1
aws autoscaling describe-auto-scaling-instances

Prometheus    {prometheus_url}
Journal       {cloud.endpoints["autoscaling"]}/_sandbox/journal
Logs          {cloud.logs_directory}

Ctrl-C stops everything."""


def _prometheus(cloud: LocalCloud, directory: Path) -> Prometheus:
    settings = PrometheusSettings(
        autoscaling_group_name=f"{NAME}-aggregators",
        ec2_endpoint=cloud.endpoints["ec2"],
        region=REGION,
        scrape_interval_seconds=1,
    )
    return Prometheus(settings, directory / "prometheus")


def _fleet(cloud: LocalCloud, outputs: Mapping[str, Any], directory: Path) -> Fleet:
    names = names_of(dict(outputs))
    settings = FleetSettings(
        autoscaling_group_name=names.group,
        namespace=outputs["namespace"],
        service_ids=names.service_ids,
        bucket=outputs["bucket"],
        lines_per_second=LINES_PER_SECOND,
    )
    return Fleet(
        settings,
        directory / "fleet",
        client=cloud.client,
        environment=cloud.environment,
        run_command=cloud.control,
    )
