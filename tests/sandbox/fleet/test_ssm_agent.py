"""An agent really runs a document's script, in its own instance's world and no other."""

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sandbox.fleet.ssm_agent import Machine, SsmAgents, rendered
from tests.sandbox.fleet.kit import wait_until
from tests.sandbox.kit import is_alive


@dataclass
class Service:
    """SSM, as far as agents see it."""

    waiting: list[dict[str, Any]] = field(default_factory=list)
    reports: dict[str, dict[str, Any]] = field(default_factory=dict)

    def fetch_commands(self, instance_ids: Any) -> list[dict[str, Any]]:
        fetched = [one for one in self.waiting if one["instance_id"] in instance_ids]
        self.waiting = [one for one in self.waiting if one not in fetched]
        return fetched

    def report_command(self, command_id: str, instance_id: str, report: dict[str, Any]) -> bool:
        self.reports[command_id] = report
        return True


@dataclass
class Site:
    service: Service
    machines: dict[str, Machine]

    def run(self, *lines: str, timeout_seconds: int = 20, **parameters: str) -> dict[str, Any]:
        command_id = self.send(*lines, timeout_seconds=timeout_seconds, **parameters)
        with SsmAgents(self.service, lambda: self.machines):
            wait_until(lambda: command_id in self.service.reports)
        return self.service.reports[command_id]

    def send(self, *lines: str, timeout_seconds: int = 20, **parameters: str) -> str:
        command_id = f"command-{len(self.service.reports)}"
        inputs = {"runCommand": list(lines), "timeoutSeconds": str(timeout_seconds)}
        self.service.waiting.append(
            {
                "command_id": command_id,
                "instance_id": "i-1",
                "document_name": "fluentd-flush",
                "step": "flush",
                "inputs": inputs,
                "parameters": parameters,
            }
        )
        return command_id


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine("127.9.9.9", tmp_path / "i-1", tmp_path / "i-1" / "run")
    made.units.mkdir(parents=True)
    return made


@pytest.fixture
def site(machine: Machine) -> Site:
    return Site(Service(), {"i-1": machine})


def test_the_script_runs_with_its_parameters_and_says_what_it_has_to(site: Site) -> None:
    report = site.run("echo '{{ word }}'", "echo $FLUENTD_ADDRESS >&2", "exit 3", word="flushed")
    assert report == {"exit_code": 3, "output": "flushed\n", "error": "127.9.9.9\n"}


@pytest.mark.parametrize(
    ("value", "on_disk"),
    [
        ("/a /b,/c", "DISK/a DISK/b,DISK/c"),
        ("http://127.0.0.1/api", "http://127.0.0.1/api"),
        ("fluentd", "fluentd"),
        (["/a", "b/c"], "DISK/a\nb/c"),
    ],
)
def test_only_absolute_paths_are_moved_to_the_disk(value: Any, on_disk: str) -> None:
    script = ["{{ value }}"] if isinstance(value, str) else "{{ value }}"
    inputs, parameters = {"runCommand": script}, {"value": value}
    assignment = {"step": "flush", "inputs": inputs, "parameters": parameters}
    assert rendered(assignment, Path("DISK")).text == f"{on_disk}\n"


def test_a_script_that_takes_too_long_is_killed_with_its_children(site: Site) -> None:
    report = site.run("echo begun", "sleep 61 & echo $!", "wait", timeout_seconds=6)
    assert report["timed_out"] is True
    begun, child = report["output"].split()
    assert begun == "begun"
    wait_until(lambda: not is_alive(int(child)))


def test_the_script_of_an_instance_that_ends_is_killed_and_says_nothing(
    site: Site, tmp_path: Path
) -> None:
    site.send(f"echo $$ > {tmp_path}/number", "sleep 61")
    with SsmAgents(site.service, lambda: site.machines):
        wait_until(lambda: (tmp_path / "number").exists() and _number(tmp_path))
        site.machines = {}
        wait_until(lambda: not is_alive(_number(tmp_path)))
        time.sleep(0.5)
    assert site.service.reports == {}


def test_a_document_that_cannot_be_run_is_reported_as_failed(site: Site) -> None:
    site.send("true", timeout_seconds=0)
    with SsmAgents(site.service, lambda: site.machines):
        wait_until(lambda: site.service.reports)
    [report] = site.service.reports.values()
    assert report["exit_code"] == 1
    assert "timeoutSeconds" in report["error"]


def test_systemctl_tells_the_main_process_of_the_instance_s_unit(
    site: Site, machine: Machine
) -> None:
    (machine.units / "fluentd").write_text(str(os.getpid()))
    report = site.run(
        "systemctl show --property=MainPID fluentd",
        "systemctl show --property=MainPID fluentd.service",
        "systemctl show --property=MainPID td-agent",
        "systemctl is-active --quiet fluentd && echo active",
        "systemctl is-active --quiet td-agent; echo $?",
    )
    me = f"MainPID={os.getpid()}"
    assert report["output"].splitlines() == [me, me, "MainPID=0", "active", "3"]


def test_what_systemctl_does_not_know_is_an_error(site: Site) -> None:
    report = site.run("systemctl restart fluentd")
    assert report["exit_code"] == 1
    assert "not known on a simulated instance: restart fluentd" in report["error"]


def _number(folder: Path) -> int:
    return int((folder / "number").read_text() or 0)
