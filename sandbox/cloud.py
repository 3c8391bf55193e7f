"""The local cloud: both emulators, what plays EventBridge and CloudWatch's alarms, and Terraform.

    with LocalCloud(Path("build/try")) as cloud:
        outputs = cloud.apply(STACK, {"prometheus_url": ...})
        cloud.client("autoscaling").set_desired_capacity(...)

EC2, Route 53, Auto Scaling, Cloud Map and SSM are played by `sandbox.emulator`, everything else by
MiniStack. Functions, Terraform and the simulated fleet reach both by `environment`. Everything
listens on loopback, and everything ends with the block.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from sandbox.chaos.control import Chaos
from sandbox.emulator_client import EmulatorControl
from sandbox.eventbridge import POLL_SECONDS, Bridge
from sandbox.host.background import Background
from sandbox.host.parts import Parts
from sandbox.host.ports import LOOPBACK, free_port, held_subnet
from sandbox.host.processes import Processes, clean_environment
from sandbox.ministack import server
from sandbox.ministack.alarm_player import EVALUATION_SECONDS, Alarms
from sandbox.ministack.function_logs import FunctionLogs
from sandbox.ministack.server import MinistackSettings
from sandbox.terraform import Result, Terraform, ignore

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import ExitStack
    from ipaddress import IPv4Network

    from sandbox.chaos.plan import Plan
    from sandbox.terraform import Reader

PROJECT = Path(__file__).parents[1]
STACK = PROJECT / "sandbox" / "stack"
ACCOUNT_ID = "123456789012"
REGION = "ap-northeast-1"
ROOT_KEY = "test"
READY_SECONDS = 60.0

# What the extended moto plays: the service's name for boto3, and for AWS_ENDPOINT_URL_...
EMULATED = {
    "autoscaling": "AUTO_SCALING",
    "ec2": "EC2",
    "route53": "ROUTE_53",
    "servicediscovery": "SERVICEDISCOVERY",
    "ssm": "SSM",
}


class LocalCloud(Parts):
    """One cloud, in a folder of its own. Several can run side by side."""

    subnet: IPv4Network
    """The network of its simulated instances, inside 127.0.0.0/8."""

    control: EmulatorControl
    """The emulator's journal and faults."""

    bridge: Bridge
    """Plays EventBridge; its `courier` can lose or repeat events."""

    chaos: Chaos | None
    """The random faults around the functions, once they begin; None: no random faults."""

    def __init__(
        self,
        directory: Path,
        *,
        ministack_python: Path = server.DEFAULT_PYTHON,
        chaos: Plan | None = None,
    ) -> None:
        self.directory = directory.resolve()
        self.logs_directory = self.directory / "logs"
        self._ministack_python = ministack_python
        self.chaos = None if chaos is None else Chaos(chaos, self.directory / "chaos")
        self._clients: dict[str, Any] = {}
        self._terraform: Terraform | None = None
        self._variables: dict[str, Any] = {}

    def _start(self, starting: ExitStack) -> None:
        # The state of an earlier cloud must not be taken for this one's.
        for folder in ("logs", "ministack", "terraform", "chaos"):
            shutil.rmtree(self.directory / folder, ignore_errors=True)
        self.subnet = starting.enter_context(held_subnet())
        self.processes = starting.enter_context(Processes(self.logs_directory))
        self._start_emulators(starting)
        self.control = EmulatorControl(self._emulator)
        self._function_logs = FunctionLogs(self.client("logs"))
        self._start_players(starting)

    @property
    def environment(self) -> dict[str, str]:
        """The endpoints and the credentials for boto3, Terraform and the functions."""
        return {
            **_endpoints(self._addresses),
            "AWS_ACCESS_KEY_ID": ROOT_KEY,
            "AWS_SECRET_ACCESS_KEY": ROOT_KEY,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            # The user's own profiles must have no effect here.
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    @property
    def endpoints(self) -> dict[str, str]:
        """The address of each service, for display."""
        emulated = dict.fromkeys(EMULATED, self._emulator)
        return {**emulated, "all others": self._ministack}

    def client(self, service: str) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time
        """A boto3 client of this cloud, with all permissions; safe to share between threads."""
        if service not in self._clients:
            # boto3's stubs know a service's client only if its name is written out.
            session: Any = boto3.Session(ROOT_KEY, ROOT_KEY, region_name=REGION)
            self._clients[service] = session.client(
                service,
                endpoint_url=self._emulator if service in EMULATED else self._ministack,
                # A proxy of the user does not lead to loopback.
                config=Config(inject_host_prefix=False, max_pool_connections=20, proxies={}),
            )
        return self._clients[service]

    def apply(
        self, configuration: Path, variables: Mapping[str, Any], reader: Reader = ignore
    ) -> dict[str, Any]:
        """Apply a Terraform configuration with the real provider; gives its outputs.

        `reader` gets each line that Terraform writes, as it writes it.
        """
        terraform = Terraform(configuration, self.directory / "terraform", self.environment)
        terraform.init()
        self._terraform, self._variables = terraform, dict(variables)
        written = terraform.apply(variables, reader)
        (self.logs_directory / "terraform.log").write_text(written)
        return terraform.outputs()

    def change(self, **variables: Any) -> None:  # noqa: ANN401 - Terraform's types
        """Apply what was applied once more, with these variables changed."""
        self._variables |= variables
        self._applied.apply(self._variables)

    def plan(self) -> Result:
        """What Terraform would change now in what was applied: status 0 if nothing."""
        return self._applied.plan(self._variables)

    def destroy(self) -> None:
        """Remove what was applied, as a user would; leaving the block does not need it."""
        self._applied.destroy(self._variables)

    @property
    def outputs(self) -> dict[str, Any]:
        """The outputs of what was applied."""
        return self._applied.outputs()

    def journal(self) -> list[dict[str, Any]]:
        """What happened to instances so far, in order; see `sandbox.emulator`."""
        return self.control.journal()

    def logs(self, function_name: str) -> list[dict[str, Any]]:
        """The JSON lines that a function has logged so far."""
        return self._function_logs.records(function_name)

    @property
    def _applied(self) -> Terraform:
        if self._terraform is None:
            raise RuntimeError("nothing was applied yet")
        return self._terraform

    @property
    def _addresses(self) -> dict[str, str]:
        return {"ministack": self._ministack, "emulator": self._emulator}

    def _start_emulators(self, starting: ExitStack) -> None:
        # Each needs the other's address before it starts: the emulator asks who may do what, and
        # functions inherit their endpoints from MiniStack.
        port = free_port()
        self._ministack = f"http://{LOOPBACK}:{port}"
        emulator = self.processes.start(
            "emulator",
            [
                *(sys.executable, "-m", "sandbox.emulator"),
                *("--account-id", ACCOUNT_ID),
                *("--region", REGION),
                *("--root-key", ROOT_KEY),
                *("--iam-endpoint", self._ministack),
            ],
            environment={**clean_environment(), "PYTHONPATH": str(PROJECT)},
        )
        self._emulator = emulator.line("http://", seconds=READY_SECONDS)
        reached = self._addresses
        if self.chaos is not None:
            reached = self.chaos.before(self.processes, reached)
        settings = MinistackSettings(
            port=port,
            work=self.directory / "ministack",
            account_id=ACCOUNT_ID,
            region=REGION,
            root_key=ROOT_KEY,
            function_environment=_endpoints(reached),
            python=self._ministack_python,
            chaos_directory=None if self.chaos is None else self.chaos.directory,
        )
        server.start(settings, self.processes)
        if self.chaos is not None:
            starting.enter_context(self.chaos.watch(settings.temporary))

    def _start_players(self, starting: ExitStack) -> None:
        self.bridge = Bridge(
            self.control, self.client("events"), self.client("lambda"), self.client("sqs")
        )
        if self.chaos is not None:
            self.bridge.courier = self.chaos.courier
        alarms = Alarms(
            self.client("cloudwatch"),
            self.client("sqs"),
            self.client("lambda"),
            self._function_logs,
        )
        starting.enter_context(Background("EventBridge", self.bridge.deliver_new, POLL_SECONDS))
        starting.enter_context(Background("alarms", alarms.evaluate, EVALUATION_SECONDS))


def _endpoints(addresses: Mapping[str, str]) -> dict[str, str]:
    """The environment variables that lead to the emulators at these addresses."""
    emulated = {f"AWS_ENDPOINT_URL_{name}": addresses["emulator"] for name in EMULATED.values()}
    return {"AWS_ENDPOINT_URL": addresses["ministack"], **emulated}
