"""The script makes Fluentd flush, waits for the end of it, and believes only what it sees."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.flush_document.conftest import Answer, Instance
from tests.support.machines import answer

EMPTY = answer(restartable=False)
del EMPTY["looked_at"], EMPTY["outputs_before"]


def said(answer: Answer) -> dict[str, Any]:
    """The answer without the places that were looked at; there are some."""
    json = answer.json
    assert json.pop("looked_at")
    del json["outputs_before"]
    return json


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_chunks_are_flushed_and_the_answer_is_that_nothing_is_left(
    instance: Instance, shell: str
) -> None:
    chunk = instance.chunk()
    instance.start()
    assert said(instance.flush(shell)) == EMPTY
    assert not chunk.exists()


@pytest.mark.parametrize("monitored", [True, False])
def test_a_look_sends_no_signal_and_is_over_at_once(instance: Instance, *, monitored: bool) -> None:
    chunk = instance.chunk()
    port = instance.start(plugins=[])
    asked: dict[str, Any] = {}
    if monitored:
        asked = {"monitor_agent_port": port, "monitor_agent_required": "true"}
    started = time.monotonic()
    asked |= {"signal": "false", "wait_seconds": 300, "quiet_seconds": 300}
    answer = instance.flush(**asked).json
    assert time.monotonic() - started < 30
    assert (answer["signalled"], answer["chunks"]) == (False, 1)
    assert (answer["monitor"] is not None) is monitored
    assert chunk.exists()


def test_a_look_at_an_empty_instance_never_says_that_it_was_flushed(instance: Instance) -> None:
    instance.start()
    answer = instance.flush(signal="false").json
    assert (answer["signalled"], answer["chunks"]) == (False, 0)


def test_a_look_without_a_fluentd_or_its_monitor_agent_is_an_error(instance: Instance) -> None:
    assert "no Fluentd that could be asked" in instance.flush(signal="false").refusal()
    instance.start()
    refusal = instance.flush(
        signal="false", monitor_agent_port=9, monitor_agent_required="true"
    ).refusal()
    assert "monitor_agent does not answer" in refusal


def test_an_empty_instance_is_signalled_all_the_same(instance: Instance) -> None:
    instance.start()
    assert said(instance.flush()) == EMPTY


def test_a_flush_that_takes_a_while_is_waited_for(instance: Instance) -> None:
    instance.chunk()
    instance.start(seconds=1.5)
    assert said(instance.flush()) == EMPTY


def test_what_is_not_flushed_in_time_is_counted_without_its_metadata(instance: Instance) -> None:
    instance.chunk(f"buffer.b{'0a' * 16}.log", "12345")
    instance.chunk(f"buffer.q{'0b' * 16}.log", "1234567")
    instance.start(at_flush="keep")
    started = time.monotonic()
    answer = said(instance.flush(wait_seconds=1, quiet_seconds=300))
    assert time.monotonic() - started < 10
    assert answer == {**EMPTY, "chunks": 2, "bytes": 12, "quiet": False}


def test_an_empty_chunk_file_is_a_chunk(instance: Instance) -> None:
    instance.chunk(content="")
    instance.start(at_flush="keep")
    answer = instance.flush(wait_seconds=0).json
    assert (answer["chunks"], answer["bytes"], answer["quiet"]) == (1, 0, False)


def test_a_chunk_that_comes_in_between_the_looks_is_seen(instance: Instance) -> None:
    instance.chunk()
    instance.start(at_flush="restage", seconds=1.0)
    answer = instance.flush(quiet_seconds=2).json
    assert (answer["chunks"], answer["bytes"], answer["quiet"]) == (1, len("one more\n"), False)


def test_a_record_that_was_sent_between_the_looks_is_no_quiet(instance: Instance) -> None:
    port = instance.start(at_flush="emit")
    answer = instance.flush(quiet_seconds=1, monitor_agent_port=port).json
    assert answer["chunks"] == 0
    assert not answer["quiet"]
    assert answer["monitor"]["outputs"]["out_s3"] > answer["outputs_before"]["out_s3"]


def test_the_heartbeat_of_an_output_without_a_buffer_is_quiet(instance: Instance) -> None:
    port = instance.start()
    answer = instance.flush(quiet_seconds=1, monitor_agent_port=port).json
    assert answer["quiet"]
    assert answer["monitor"]["emit_records"] == 7


class TestWhoIsSignalled:
    def test_a_unit_that_does_not_run_was_not_signalled(self, instance: Instance) -> None:
        instance.chunk()
        answer = instance.flush(wait_seconds=0).json
        assert (answer["signalled"], answer["chunks"]) == (False, 1)

    def test_a_main_process_that_is_gone_was_not_signalled(self, instance: Instance) -> None:
        ended = subprocess.Popen([sys.executable, "-c", ""])
        ended.wait()
        instance.unit("fluentd", ended.pid)
        assert instance.flush().json["signalled"] is False

    def test_another_unit_is_left_alone(self, instance: Instance) -> None:
        chunk = instance.chunk()
        instance.start("fluentd")
        assert instance.flush(service="td-agent", wait_seconds=0).json["signalled"] is False
        assert chunk.exists()

    def test_the_service_is_named_in_the_answer(self, instance: Instance) -> None:
        instance.start("calyptia-fluentd")
        answer = instance.flush(service="calyptia-fluentd").json
        assert (answer["service"], answer["signalled"]) == ("calyptia-fluentd", True)

    def test_the_main_process_alone_is_signalled(self, instance: Instance) -> None:
        # The worker would be ended by the signal, and a gzip that compresses a chunk as well.
        chunk = instance.chunk()
        instance.start(worker=True, at_flush="keep")
        answer = instance.flush(wait_seconds=0).json
        assert answer["signalled"]
        main = int((instance.root / "units/fluentd").read_text())
        tasks = Path(f"/proc/{main}/task").glob("*/children")
        assert any(task.read_text().strip() for task in tasks), "the worker was signalled as well"
        assert chunk.exists()

    def test_a_fluentd_that_ends_has_not_flushed(self, instance: Instance) -> None:
        instance.start(at_flush="end")
        answer = instance.flush(quiet_seconds=1)
        assert answer.json["signalled"] is False
        assert "ended or was started anew" in answer.complaint

    def test_a_fluentd_that_is_started_anew_has_not_flushed(self, instance: Instance) -> None:
        instance.chunk()
        instance.start("successor")
        successor = (instance.root / "units/successor").read_text()
        unit = str(instance.root / "units/fluentd")
        instance.start(at_flush="replaced", replaces=unit, successor=successor)
        answer = instance.flush()
        assert (answer.json["signalled"], answer.json["chunks"]) == (False, 0)
        assert "ended or was started anew" in answer.complaint

    @pytest.mark.parametrize("program", [["sh", "-c", "sleep 60; true fluentd"], ["sleep", "60"]])
    def test_a_main_process_that_is_not_fluentd_gets_no_signal(
        self, instance: Instance, program: list[str]
    ) -> None:
        wrapper = subprocess.Popen(program)
        try:
            instance.unit("fluentd", wrapper.pid)
            answer = instance.flush()
            assert wrapper.poll() is None
        finally:
            wrapper.kill()
            wrapper.wait()
        assert answer.json["signalled"] is False
        assert "is not Fluentd itself" in answer.complaint

    @pytest.mark.parametrize("worker", [False, True])
    def test_a_process_that_hangs_has_not_taken_the_signal(
        self, instance: Instance, worker: bool
    ) -> None:
        instance.start(worker="takes")
        main = instance.main_process
        children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
        hanging = int(children[0]) if worker else main
        os.kill(hanging, signal.SIGSTOP)
        while "State:\tT" not in Path(f"/proc/{hanging}/status").read_text():
            time.sleep(0.01)
        if worker:
            os.kill(hanging, signal.SIGUSR1)  # as its supervisor does
        try:
            answer = instance.flush()
        finally:
            os.kill(hanging, signal.SIGKILL)
        assert answer.json["signalled"] is False
        assert f"process {hanging} hangs" in answer.complaint

    def test_a_machine_without_systemd_was_not_signalled(self, instance: Instance) -> None:
        (instance.path / "systemctl").unlink()
        assert instance.flush(path=_tools_without(instance, "systemctl")).json["signalled"] is False


class TestRpc:
    def test_rpc_flushes_a_fluentd_that_is_no_unit(self, instance: Instance) -> None:
        chunk = instance.chunk()
        port = instance.start()
        (instance.root / "units/fluentd").unlink()
        answer = instance.flush(method="rpc", rpc_port=port, monitor_agent_port=port).json
        assert (answer["signalled"], answer["quiet"], answer["restartable"]) == (True, True, True)
        assert not chunk.exists()

    def test_rpc_sees_what_that_fluentd_holds_open(self, instance: Instance) -> None:
        instance.chunk("elsewhere/" + f"buffer.b{'0a' * 16}.log")
        port = instance.start(at_flush="keep", buffer=f"{instance.root}/elsewhere")
        (instance.root / "units/fluentd").unlink()
        answer = instance.flush(
            wait_seconds=0, method="rpc", rpc_port=port, monitor_agent_port=port
        ).json
        assert answer["chunks"] == 1

    def test_rpc_without_monitor_agent_cannot_tell_which_process_to_look_at(
        self, instance: Instance
    ) -> None:
        port = instance.start()
        refusal = instance.flush(method="rpc", rpc_port=port).refusal()
        assert "only monitor_agent could say which process is Fluentd" in refusal

    def test_rpc_that_nobody_answers_is_no_signal(self, instance: Instance) -> None:
        instance.start()
        answer = instance.flush(method="rpc", rpc_port=1)
        assert answer.json["signalled"] is False

    def test_rpc_without_curl_is_no_signal(self, instance: Instance) -> None:
        port = instance.start()
        path = _tools_without(instance, "curl")
        assert instance.flush(method="rpc", rpc_port=port, path=path).json["signalled"] is False


class TestSettings:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("service", "--all"),
            ("service", 'x","signalled":true'),
            ("method", "restart"),
            ("wait_seconds", "5s"),
            ("quiet_seconds", "-1"),
            ("workers", "two"),
            ("monitor_agent_port", "1234567"),
            ("buffer_paths", "relative/path"),
            ("buffer_paths", ""),
        ],
    )
    def test_a_setting_that_makes_no_sense_is_refused(
        self, instance: Instance, name: str, value: str
    ) -> None:
        instance.start()
        done = instance.flush(**{name: value})
        assert done.status != 0
        assert done.output == ""
        assert done.complaint

    @pytest.mark.parametrize("tool", ["awk", "find", "stat", "date", "sleep", "tr"])
    def test_without_the_tools_to_look_there_is_no_answer(
        self, instance: Instance, tool: str
    ) -> None:
        instance.chunk()
        instance.start(at_flush="keep")
        path = _tools_without(instance, tool)
        assert f"{tool} is missing" in instance.flush(path=path).refusal()


def _tools_without(instance: Instance, missing: str) -> str:
    """A PATH with what the script needs, save for one of it."""
    folder = instance.root / f"without-{missing}"
    folder.mkdir()
    needed = "awk cat curl date find grep ls readlink sh sleep stat tr"
    for name in needed.split():
        found = shutil.which(name)
        assert found, f"{name} is missing on this machine"
        if name != missing:
            (folder / name).symlink_to(found)
    systemctl = instance.path / "systemctl"
    if systemctl.exists() and missing != "systemctl":
        (folder / "systemctl").symlink_to(systemctl)
    return str(folder)
