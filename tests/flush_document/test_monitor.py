"""monitor_agent's counters: all of them or none, and of the Fluentd that was asked to flush."""

import http.server
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.flush_document.conftest import Answer, Instance
from tests.flush_document.fluentd import line
from tests.support.machines import monitor as empty_monitor

EMPTY = {name: value for name, value in empty_monitor().items() if name != "outputs"}
ITSELF = {"plugin_id": "object:618", "type": "monitor_agent", "retry_count": ""}


def output(staged: int = 0, queued: int = 0, size: int = 0, **more: Any) -> dict[str, object]:
    """A buffered output as Fluentd 1.19 shows it."""
    return {
        "plugin_id": "out_s3",
        "plugin_category": "output",
        "type": "s3",
        "output_plugin": True,
        "buffer_queue_length": queued,
        "buffer_timekeys": "1785920400,1785924000" if staged else "",
        "buffer_total_queued_size": size,
        "retry_count": 3,
        "emit_records": 100,
        "buffer_stage_length": staged,
        "buffer_available_buffer_space_ratios": 99.9,
        "write_secondary_count": 0,
        "retry": {},
        **more,
    }


def monitor(instance: Instance, *plugins: dict[str, object], **settings: Any) -> dict[str, Any]:
    """What the script makes of these plugins."""
    port = instance.start(plugins=[ITSELF, *plugins])
    return told(instance.flush(wait_seconds=0, monitor_agent_port=port, **settings))


def told(answer: Answer) -> dict[str, Any]:
    """What it says of monitor_agent; the outputs emitted what all of them did."""
    counters: dict[str, Any] = answer.json["monitor"]
    assert sum(counters.pop("outputs").values()) == counters["emit_records"]
    return counters


@contextmanager
def neighbours(instance: Instance, *plugins: Mapping[str, object]) -> Iterator[int]:
    """Two that answer alike on neighbouring ports; the lower one."""
    for port in range(23220, 24220, 2):
        with ExitStack() as stack:
            try:
                for one in (port, port + 1):
                    stack.enter_context(
                        answering("".join(map(line, plugins)), instance.main_process, port=one)
                    )
            except OSError:
                continue
            yield port
            return
    raise AssertionError("no two neighbouring ports are free")


@contextmanager
def answering(
    plugins: str, process: int, status: int = 200, port: int = 0, config: str | None = None
) -> Iterator[int]:
    """Something that answers every question alike; its port."""
    told = {
        "/api/plugins": plugins,
        "/api/config": line({"pid": process, "root_dir": ""}) if config is None else config,
    }

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(told.get(self.path, "").encode())

        def log_message(self, *_arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_outputs_are_added_up_and_those_without_a_buffer_left_out(instance: Instance) -> None:
    answer = monitor(
        instance,
        {"plugin_id": "in_tail", "plugin_category": "input", "emit_records": 5000},
        output(staged=2, queued=3, size=1000),
        {"plugin_id": "heartbeat", "type": "null", "emit_records": 77},
        output(staged=1, queued=0, size=24, emit_records=11),
    )
    assert answer == {**EMPTY, "staged": 3, "queued": 3, "bytes": 1024, "emit_records": 111}


def test_no_output_with_a_buffer_is_nothing_left(instance: Instance) -> None:
    assert monitor(instance) == EMPTY


def test_a_back_off_is_told_with_the_latest_of_the_next_times(instance: Instance) -> None:
    def retry(when: str) -> dict[str, object]:
        return {"start": "2026-08-07 08:00:00 +0000", "steps": 4, "next_time": when}

    answer = monitor(
        instance,
        output(queued=1, size=1, retry=retry("2026-08-07 17:28:43 +0900")),
        output(queued=1, size=1, retry=retry("2026-08-07 08:28:44 UTC")),
        output(),
    )
    assert answer == {
        **EMPTY,
        "queued": 2,
        "bytes": 2,
        "retrying": 2,
        "retry_next_at": 1786091324,
        "emit_records": 300,
    }


def test_a_next_time_in_unknown_words_is_still_a_back_off(instance: Instance) -> None:
    answer = monitor(instance, output(queued=1, size=1, retry={"next_time": "after lunch"}))
    assert answer == {**EMPTY, "queued": 1, "bytes": 1, "retrying": 1, "emit_records": 100}


def test_a_counter_below_zero_hides_no_other(instance: Instance) -> None:
    answer = monitor(instance, output(size=-4151), output(size=4151))
    assert answer == {**EMPTY, "bytes": 8302, "emit_records": 200}


def test_what_is_buffered_in_memory_is_waited_for_and_forbids_a_restart(instance: Instance) -> None:
    port = instance.start(plugins=[ITSELF, output(staged=1, size=5)])
    answer = instance.flush(wait_seconds=1, quiet_seconds=300, monitor_agent_port=port).json
    assert (answer["chunks"], answer["quiet"], answer["restartable"]) == (0, False, False)
    assert answer["monitor"]["staged"] == 1


@pytest.mark.parametrize(
    ("counted", "restartable"),
    [
        (output(queued=1, size=5), True),
        (output(size=5), True),  # in flight
        (output(queued=1, size=6), False),
        (output(queued=2, size=5), False),
    ],
)
def test_a_restart_loses_nothing_if_the_files_hold_all_that_is_counted(
    instance: Instance, counted: dict[str, object], restartable: bool
) -> None:
    instance.chunk(content="12345")
    port = instance.start(plugins=[ITSELF, counted], at_flush="keep")
    answer = instance.flush(wait_seconds=0, monitor_agent_port=port).json
    assert (answer["chunks"], answer["restartable"]) == (1, restartable)


@pytest.mark.parametrize(("stated", "counted"), [("", 2), ("none", 0), ("{root}/failed", 0)])
def test_chunks_that_a_secondary_took_count_unless_its_place_is_stated(
    instance: Instance, stated: str, counted: int
) -> None:
    paths = stated.format(root=instance.root)
    answer = monitor(instance, output(write_secondary_count=2), backup_paths=paths)
    assert answer == {**EMPTY, "emit_records": 100, "secondary": counted}


class TestNoAnswer:
    def test_port_0_is_not_asked(self, instance: Instance) -> None:
        instance.start()
        answer = instance.flush(monitor_agent_port=0)
        assert answer.json["monitor"] is None
        assert answer.complaint == ""

    def test_no_answer_is_no_evidence_either_way_where_none_is_required(
        self, instance: Instance
    ) -> None:
        instance.start()
        answer = instance.flush(monitor_agent_port=1).json
        assert answer["monitor"] is None
        assert answer["quiet"]
        assert not any("monitor_agent" in place for place in answer["looked_at"])

    def test_no_answer_is_refused_where_one_is_required(self, instance: Instance) -> None:
        instance.start()
        refusal = instance.flush(monitor_agent_port=1, monitor_agent_required="true").refusal()
        assert "monitor_agent does not answer" in refusal

    def test_a_fluentd_that_does_not_run_needs_no_monitor_agent(self, instance: Instance) -> None:
        answer = instance.flush(monitor_agent_port=1, monitor_agent_required="true")
        assert answer.json["signalled"] is False

    @pytest.mark.parametrize(
        "config", ["", "<html>pid:</html>", '{"pid":1}', "pid:", "pid:\n", "ppid:1\n", "pid:x"]
    )
    def test_something_else_is_no_monitor_agent(self, instance: Instance, config: str) -> None:
        instance.start()
        with answering(line(output()), 0, config=config) as port:
            assert "monitor_agent" in instance.flush(monitor_agent_port=port).refusal()

    def test_another_process_s_monitor_agent_is_refused(self, instance: Instance) -> None:
        instance.start()
        with answering(line(ITSELF), os.getpid()) as port:
            refusal = instance.flush(monitor_agent_port=port).refusal()
        assert f"belongs to process {os.getpid()}, which is not one of fluentd" in refusal

    def test_an_error_is_no_answer(self, instance: Instance) -> None:
        instance.start()
        with answering(line(ITSELF), instance.main_process, status=500) as port:
            assert instance.flush(monitor_agent_port=port).json["monitor"] is None

    @pytest.mark.parametrize("name", ["buffer_total_queued_size", "buffer_stage_length"])
    @pytest.mark.parametrize("value", ["many", 1.5, True, None, ""])
    def test_counters_that_are_no_whole_numbers_are_refused(
        self, instance: Instance, name: str, value: object
    ) -> None:
        port = instance.start(plugins=[ITSELF, {**output(), name: value}])
        refusal = instance.flush(monitor_agent_port=port).refusal()
        assert "monitor_agent counts in no whole numbers" in refusal


class TestWorkers:
    def test_workers_are_added_up(self, instance: Instance) -> None:
        instance.start()
        with neighbours(instance, ITSELF, output(staged=1, size=5)) as port:
            first = told(instance.flush(wait_seconds=0, monitor_agent_port=port))
            both = told(instance.flush(wait_seconds=0, monitor_agent_port=port, workers=2))
        assert first == {**EMPTY, "staged": 1, "bytes": 5, "emit_records": 100}
        assert both == {**EMPTY, "staged": 2, "bytes": 10, "emit_records": 200}

    def test_a_worker_that_does_not_answer_beside_one_that_does_is_refused(
        self, instance: Instance
    ) -> None:
        port = instance.start()
        refusal = instance.flush(monitor_agent_port=port, workers=2).refusal()
        assert "monitor_agent answers for 1 of 2 workers" in refusal
