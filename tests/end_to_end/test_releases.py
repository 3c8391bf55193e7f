"""A release is installed from its tag, and upgraded to the next one in the middle of a drain."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sandbox.cloud import PROJECT, LocalCloud
from sandbox.demo.set_up import package
from sandbox.host.waiting import wait_until
from tools.release import Repository, release

_SECONDS = 90.0
_ROOT = """\
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {}

module "fluentd_lifecycle" {
  source = "git::file://REPOSITORY//terraform?ref=vVERSION"

  name                   = "fluentd"
  autoscaling_group_name = "aggregators"
  flush                  = { buffer_paths = ["/var/log/fluent"] }
  alarms                 = { actions = ["arn:aws:sns:ap-northeast-1:123456789012:on-call"] }
  # Else two minutes pass between two polls.
  timing                 = { poll_interval_max_seconds = 15 }
  lambda                 = { runtime = "RUNTIME", architecture = "ARCHITECTURE" }
}
"""


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A bare clone with two releases, whose zips are this machine's."""
    built = package()
    zip_file = Path(built["package"]["local_path"])
    named = tmp_path / f"fluentd-lifecycle-{built['architecture']}-{built['runtime']}.zip"
    shutil.copy(zip_file, named)
    work = tmp_path / "work"
    _git("clone", "--quiet", str(PROJECT), str(work))
    for setting in ("user.name=A", "user.email=a@example.com"):
        _git("-C", str(work), "config", *setting.split("="))
    for version in ("0.1.0", "0.2.0"):
        changelog = work / "CHANGELOG.md"
        changelog.write_text(f"{changelog.read_text()}\n## [{version}]\n")
        _git("-C", str(work), "commit", "--quiet", "--all", "-m", f"Tell of {version}")
        release(Repository(work), version, [named], tmp_path / "archives")
    _git("clone", "--quiet", "--bare", str(work), str(tmp_path / "fluentd-lifecycle.git"))
    return Repository(tmp_path / "fluentd-lifecycle.git")


def test_an_upgrade_in_the_middle_of_a_drain_keeps_the_instance_and_its_message(
    repository: Repository, tmp_path: Path
) -> None:
    with LocalCloud(tmp_path / "cloud") as cloud:
        autoscaling = cloud.client("autoscaling")
        _create_group(cloud)
        cloud.apply(_root(tmp_path, repository, "0.1.0"), {})
        autoscaling.set_desired_capacity(AutoScalingGroupName="aggregators", DesiredCapacity=1)
        wait_until("in service", lambda: _states(cloud) == ["InService"], _SECONDS)
        autoscaling.set_desired_capacity(AutoScalingGroupName="aggregators", DesiredCapacity=0)
        # No agent answers, so nothing is proven: the message is asked about again and again.
        wait_until("asked about", lambda: "0.1.0" in _asking(cloud), _SECONDS)

        cloud.apply(_root(tmp_path, repository, "0.2.0"), {})
        wait_until("asked about by 0.2.0", lambda: "0.2.0" in _asking(cloud), _SECONDS)
        assert _states(cloud) == ["Terminating:Wait"]
        invalid = [one for one in _lines(cloud) if one.get("message") == "check_message_invalid"]
        assert invalid == []
        assert cloud.plan().status == 0


def _root(folder: Path, repository: Repository, version: str) -> Path:
    """What a user writes: a root module elsewhere that names the tag."""
    built, root = package(), folder / "root"
    root.mkdir(exist_ok=True)
    text = _ROOT.replace("REPOSITORY", str(repository.root)).replace("VERSION", version)
    text = text.replace("RUNTIME", built["runtime"])
    (root / "main.tf").write_text(text.replace("ARCHITECTURE", built["architecture"]))
    return root


def _create_group(cloud: LocalCloud) -> None:
    ec2, block = cloud.client("ec2"), str(cloud.subnet)
    vpc = ec2.create_vpc(CidrBlock=block)["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=block)["Subnet"]["SubnetId"]
    ec2.create_launch_template(
        LaunchTemplateName="aggregator",
        LaunchTemplateData={"ImageId": "ami-12345678", "InstanceType": "c6g.large"},
    )
    cloud.client("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName="aggregators",
        MinSize=0,
        MaxSize=1,
        DesiredCapacity=0,
        VPCZoneIdentifier=subnet,
        LaunchTemplate={"LaunchTemplateName": "aggregator"},
    )


def _states(cloud: LocalCloud) -> list[str]:
    answer = cloud.client("autoscaling").describe_auto_scaling_instances()
    return [one["LifecycleState"] for one in answer["AutoScalingInstances"]]


def _lines(cloud: LocalCloud) -> list[dict[str, Any]]:
    return cloud.logs("fluentd-flush-waiter")


def _asking(cloud: LocalCloud) -> set[str]:
    """The versions whose waiter has given a verdict."""
    verdicts = [one for one in _lines(cloud) if one.get("message") == "flush_verdict"]
    return {one["module_version"] for one in verdicts}


def _git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True)
