"""A release is installed from its tag or its archive, and upgraded in the middle of a drain."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from sandbox.cloud import PROJECT, STACK, LocalCloud
from sandbox.demo.scenarios.catalog import Scenario, Setting
from sandbox.demo.set_up import fleet_of, names_of, package, start_prometheus, variables
from sandbox.fleet.fluentd.destination import DestinationMode
from sandbox.host.waiting import wait_until
from tests.support.runbook_scene import WAITING, Scene
from tools.release import Repository, release

_SECONDS = 90.0
_LINES_PER_SECOND = 200
# Where a user's `source` leads, with the version in it.
_SOURCES = {
    "tag": "git::file://{folder}/fluentd-lifecycle.git//terraform?ref=v{version}",
    "archive": "{folder}/archives/fluentd-lifecycle-{version}.zip//terraform",
}


@pytest.fixture
def releases(tmp_path: Path) -> Path:
    """A bare clone with two releases, and their archives; the zips are this machine's."""
    built = package()
    named = tmp_path / f"fluentd-lifecycle-{built['architecture']}-{built['runtime']}.zip"
    shutil.copy(built["package"]["local_path"], named)
    work = tmp_path / "work"
    _git("clone", "--quiet", str(PROJECT), str(work))
    _git("-C", str(work), "remote", "set-url", "origin", "https://github.com/a/b.git")
    for setting in ("user.name=A", "user.email=a@example.com"):
        _git("-C", str(work), "config", *setting.split("="))
    for version in ("0.1.0", "0.2.0"):
        changelog = work / "CHANGELOG.md"
        changelog.write_text(f"{changelog.read_text()}\n## [{version}] - 2026-12-31\n")
        _git("-C", str(work), "commit", "--quiet", "--all", "-m", f"Tell of {version}")
        release(Repository(work), version, [named], tmp_path / "archives")
    _git("clone", "--quiet", "--bare", str(work), str(tmp_path / "fluentd-lifecycle.git"))
    return tmp_path


@pytest.mark.parametrize("source", _SOURCES.values(), ids=_SOURCES)
def test_an_upgrade_in_the_middle_of_a_drain_loses_no_line(
    releases: Path, tmp_path: Path, source: str
) -> None:
    with _installed(releases, source, tmp_path / "run") as (place, apply):
        place.scale_to(2)
        wait_until("in service", lambda: len(place.instances("InService")) == 2, _SECONDS)
        place.fleet.set_rate(_LINES_PER_SECOND)
        wait_until("lines on both", lambda: all(map(place.fleet.held_bytes, place.instances())), 60)
        # What is not delivered is not drained.
        place.fleet.destination(DestinationMode.REFUSING)
        place.scale_to(1)
        [leaving] = wait_until("a drain", lambda: place.instances(WAITING), _SECONDS)
        wait_until("0.1.0 asking", lambda: "0.1.0" in _asking(place, leaving), _SECONDS)

        apply("0.2.0")
        written = (place.cloud.logs_directory / "terraform.log").read_text()
        assert "0 added" in written
        assert "0 destroyed" in written
        # The emulator, unlike Lambda, kills what runs while a function is changed: then the message
        # comes back after the queue's visibility timeout.
        wait_until("0.2.0 asking", lambda: "0.2.0" in _asking(place, leaving), 2 * _SECONDS)
        assert place.instances(WAITING) == [leaving]
        assert place.fleet.held_bytes(leaving) > 0

        place.fleet.destination(DestinationMode.OK)
        place.wait_for_end(leaving)
        assert place.fleet.held_bytes(leaving) == 0
        delivery = place.fleet.finish()
        assert delivery.sent > 1_000
        assert delivery.is_complete, delivery
        assert place.cloud.plan().status == 0


@contextmanager
def _installed(
    releases: Path, source: str, folder: Path
) -> Iterator[tuple[Scene, Callable[[str], object]]]:
    """The first release beside a group, with a fleet; and what applies another release."""
    setting, scenario = Setting(), Scenario("upgrade", "a release after another", lambda _: None)
    with ExitStack() as stack:
        cloud = stack.enter_context(LocalCloud(folder / "cloud"))
        prometheus = start_prometheus(setting, cloud, folder, stack)
        inputs = variables(scenario, str(cloud.subnet), prometheus.url if prometheus else None)
        # The zip is the release's own.
        del inputs["lambda"]["package"]

        def apply(version: str) -> dict[str, Any]:
            return cloud.apply(
                _root(folder, source.format(folder=releases, version=version)), inputs
            )

        outputs = apply("0.1.0")
        fleet = stack.enter_context(fleet_of(setting, cloud, outputs, folder))
        yield Scene(cloud, fleet, names_of(outputs, setting), outputs["bucket"], folder), apply


def _root(folder: Path, source: str) -> Path:
    """The local cloud's stack, as a user would write it: the module comes from a release."""
    root = folder / "root"
    shutil.copytree(STACK, root, dirs_exist_ok=True)
    main = root / "main.tf"
    main.write_text(main.read_text().replace("../../terraform", source))
    (root / "package.tf").write_text("locals {\n  lambda = var.lambda\n}\n")
    return root


def _asking(place: Scene, instance_id: str) -> set[str]:
    """The versions whose waiter has given a verdict on an instance."""
    return {
        one["module_version"]
        for one in place.events("buffer-waiter", "buffer_verdict", instance_id)
    }


def _git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True)
