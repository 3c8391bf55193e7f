"""Nothing that was started outlives what started it."""

import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.host.processes import Processes, ProcessFailedError, clean_environment
from tests.sandbox.fleet.kit import wait_until
from tests.sandbox.kit import is_alive

PROJECT = Path(__file__).parents[3]
SLEEP = ["sleep", "60"]


def wait_for_end(pid: int) -> None:
    wait_until(lambda: not is_alive(pid))


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


class TestStopping:
    def test_leaving_the_block_stops_everything_the_last_first(self, tmp_path: Path) -> None:
        order = tmp_path / "order"
        tell = "trap 'echo $0 >> {order}; exit' TERM; echo ready; while :; do sleep 0.05; done"
        with Processes(tmp_path) as processes:
            for name in ("first", "second"):
                shell = ["sh", "-c", tell.format(order=order), name]
                processes.start(name, shell, environment=clean_environment()).line(
                    "ready", seconds=60
                )
        assert order.read_text().split() == ["second", "first"]

    def test_a_process_that_ignores_sigterm_is_killed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sandbox.host.processes.STOP_SECONDS", 0.2)
        deaf = ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"]
        with Processes(tmp_path) as processes:
            process = processes.start("deaf", deaf, environment=clean_environment())
            process.line("ready", seconds=60)
        assert not is_alive(process.popen.pid)

    def test_children_of_a_child_end_with_it(self, tmp_path: Path) -> None:
        family = ["sh", "-c", "sleep 60 & echo child $!; wait"]
        with Processes(tmp_path) as processes:
            process = processes.start("family", family, environment=clean_environment())
            grandchild = int(process.line("child", seconds=60).split()[1])
            assert is_alive(grandchild)
        wait_for_end(grandchild)

    def test_children_die_when_their_parent_is_killed(self, tmp_path: Path) -> None:
        code = f"""
import time
from pathlib import Path
from sandbox.host.processes import Processes, clean_environment
with Processes(Path({str(tmp_path)!r})) as processes:
    print(processes.start("child", ["sleep", "60"], environment=clean_environment()).popen.pid)
    time.sleep(60)
"""
        parent = subprocess.Popen(
            [sys.executable, "-u", "-c", code], cwd=PROJECT, stdout=subprocess.PIPE, text=True
        )
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert is_alive(child)
        parent.kill()
        parent.communicate()
        wait_for_end(child)


class TestGettingReady:
    def test_a_process_that_ends_early_is_reported_with_its_last_words(
        self, tmp_path: Path
    ) -> None:
        with Processes(tmp_path) as processes:
            process = processes.start(
                "broken", ["sh", "-c", "echo no such port; exit 3"], environment=clean_environment()
            )
            with pytest.raises(ProcessFailedError, match=r"(?s)ended with status 3.*no such"):
                process.line("ready", seconds=60)

    def test_a_proxy_leads_outside_only(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert "NO_PROXY" not in clean_environment()
        monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
        monkeypatch.setenv("NO_PROXY", "intranet.example")
        environment = clean_environment()
        assert environment["HTTPS_PROXY"] == "http://proxy.example:3128"
        assert environment["NO_PROXY"] == "intranet.example,127.0.0.1,localhost"

    def test_a_child_sees_nothing_of_the_users_own_cloud(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_PROFILE", "production")
        show = python("import os; print('seen', 'AWS_PROFILE' in os.environ)")
        with Processes(tmp_path) as processes:
            process = processes.start("show", show, environment=clean_environment())
            assert process.line("seen", seconds=60) == "seen False"
