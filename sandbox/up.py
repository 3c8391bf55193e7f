"""The local cloud on its own: the set-up of the demo without a scenario, until Ctrl-C."""

import shlex
import sys
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sandbox.cloud import STACK, LocalCloud
from sandbox.demo.scenarios.catalog import SCENARIOS
from sandbox.demo.set_up import fleet_of, start_prometheus, variables
from sandbox.host.ports import NoFreePlaceError
from sandbox.host.processes import ProcessFailedError, sigterm_interrupts
from sandbox.ministack.server import MinistackMissingError
from sandbox.terraform import TerraformError

DIRECTORY = Path("build/sandbox")
INSTANCES = 2
SCENARIO = SCENARIOS["scale-in"]
EXPECTED = (MinistackMissingError, NoFreePlaceError, ProcessFailedError, TerraformError)


def up(directory: Path = DIRECTORY) -> int:
    """Start everything, say where it is, and leave it running until Ctrl-C or SIGTERM."""
    print("Starting the local cloud; Terraform takes about a minute ...", flush=True)
    try:
        with sigterm_interrupts(), ExitStack() as stack:
            cloud = stack.enter_context(LocalCloud(directory / "cloud"))
            setting = SCENARIO.setting
            prometheus = start_prometheus(setting, cloud, directory, stack)
            url = prometheus.url if prometheus else None
            outputs = cloud.apply(STACK, variables(SCENARIO, str(cloud.subnet), url))
            fleet = stack.enter_context(fleet_of(setting, cloud, outputs, directory))
            fleet.set_rate(setting.lines_per_second)
            cloud.client("autoscaling").set_desired_capacity(
                AutoScalingGroupName=outputs["autoscaling_group_name"], DesiredCapacity=INSTANCES
            )
            print(welcome(cloud, url, outputs), flush=True)
            threading.Event().wait()
    except EXPECTED as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nStopped. Logs are in {directory}.")
    return 0


def welcome(cloud: LocalCloud, prometheus_url: str | None, outputs: Mapping[str, Any]) -> str:
    """The text that says how to use the cloud."""
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
