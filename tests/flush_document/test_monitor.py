"""monitor_agent's counters, read without a JSON parser: all of them or none."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.flush_document.conftest import Instance

EMPTY = {
    "staged": 0,
    "queued": 0,
    "bytes": 0,
    "retrying": 0,
    "retry_next_at": None,
    "emit_records": 0,
}


def output(staged: int = 0, queued: int = 0, size: int = 0, **more: object) -> dict[str, object]:
    """A buffered output as Fluentd shows it, in its order."""
    return {
        "plugin_id": "out_s3",
        "plugin_category": "output",
        "type": "s3",
        "output_plugin": True,
        "buffer_queue_length": queued,
        "buffer_timekeys": [1785920400, 1785924000] if staged else [],
        "buffer_total_queued_size": size,
        "retry_count": 3,
        "emit_records": 100,
        "emit_size": 0,
        "buffer_stage_length": staged,
        "buffer_available_buffer_space_ratios": 99.9,
        "retry": {},
        **more,
    }


def monitor(instance: Instance, *plugins: dict[str, object]) -> object:
    """What the script makes of these plugins."""
    port = instance.start(plugins=list(plugins))
    return instance.flush(wait_seconds=0, monitor_agent_port=port).json["monitor"]


@contextmanager
def neighbours(body: bytes) -> Iterator[int]:
    """Two that answer alike on neighbouring ports; the lower one."""
    for port in range(23220, 24220, 2):
        with ExitStack() as stack:
            try:
                stack.enter_context(answering(body, port=port))
                stack.enter_context(answering(body, port=port + 1))
            except OSError:
                continue
            yield port
            return
    raise AssertionError("no two neighbouring ports are free")


@contextmanager
def answering(body: bytes, status: int = 200, port: int = 0) -> Iterator[int]:
    """Something that answers every question alike; its port."""

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

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


def test_configuration_and_names_do_not_confuse_the_counting(instance: Instance) -> None:
    answer = monitor(
        instance,
        output(
            staged=1,
            size=9,
            plugin_id='odd "id", {"buffer_stage_length": 50}',
            config={
                "path": '}}]],"buffer_queue_length":70,\\',
                "buffer_total_queued_size": 80,
                "retry": {"next_time": "2026-08-07 08:28:44 UTC"},
            },
            instance_variables={"retry": [{"next_time": "x"}, {"emit_records": 3}], "log": None},
        ),
    )
    assert answer == {**EMPTY, "staged": 1, "bytes": 9, "emit_records": 100}


def test_a_pretty_document_is_read_as_well(instance: Instance) -> None:
    instance.start()
    body = json.dumps({"plugins": [output(staged=4, size=2)]}, indent=2).encode()
    with answering(body) as port:
        answer = instance.flush(wait_seconds=0, monitor_agent_port=port).json["monitor"]
    assert answer == {**EMPTY, "staged": 4, "bytes": 2, "emit_records": 100}


def test_what_is_buffered_in_memory_is_waited_for(instance: Instance) -> None:
    port = instance.start(plugins=[output(staged=1, size=5)])
    answer = instance.flush(wait_seconds=1, quiet_seconds=300, monitor_agent_port=port).json
    assert answer["chunks"] == 0
    assert not answer["quiet"]
    assert answer["monitor"]["staged"] == 1


class TestNoAnswer:
    def test_port_0_is_not_asked(self, instance: Instance) -> None:
        instance.start()
        answer = instance.flush(monitor_agent_port=0)
        assert answer.json["monitor"] is None
        assert answer.complaint == ""

    def test_nobody_there_is_no_evidence_either_way(self, instance: Instance) -> None:
        instance.start()
        answer = instance.flush(monitor_agent_port=1).json
        assert answer["monitor"] is None
        assert answer["quiet"]

    def test_nobody_there_is_refused_where_an_answer_is_required(self, instance: Instance) -> None:
        instance.start()
        refusal = instance.flush(monitor_agent_port=1, monitor_agent_required="true").refusal()
        assert "monitor_agent does not answer" in refusal

    @pytest.mark.parametrize(
        "body",
        [
            b"<html>{plugins}</html>",
            b"",
            b"{}",
            b"[]",
            b'{"plugins":',
            b'{"plugins":[]',
            b'{"plugins":[{"plugin_id":"out_s3","buffer_total_queued_size":0}',
            b'{"plugins":{"buffer_total_queued_size":0}}',
            b'{"config":[{"buffer_total_queued_size":0}]}',
        ],
    )
    def test_something_else_is_no_monitor_agent(self, instance: Instance, body: bytes) -> None:
        instance.start()
        with answering(body) as port:
            lenient = instance.flush(monitor_agent_port=port)
            strict = instance.flush(monitor_agent_port=port, monitor_agent_required="true")
        assert lenient.json["monitor"] is None
        assert "does not answer as monitor_agent does" in lenient.complaint
        assert "monitor_agent does not answer" in strict.refusal()

    def test_an_error_is_no_answer(self, instance: Instance) -> None:
        instance.start()
        body = json.dumps({"plugins": []}).encode()
        with answering(body, status=500) as port:
            assert instance.flush(monitor_agent_port=port).json["monitor"] is None

    @pytest.mark.parametrize("value", ["many", 1.5, True, None])
    def test_counters_that_are_no_whole_numbers_are_refused(
        self, instance: Instance, value: object
    ) -> None:
        port = instance.start(plugins=[output(buffer_total_queued_size=value)])
        refusal = instance.flush(monitor_agent_port=port).refusal()
        assert "monitor_agent counts in no whole numbers" in refusal


class TestWorkers:
    def test_workers_are_added_up(self, instance: Instance) -> None:
        instance.start()
        body = json.dumps({"plugins": [output(staged=1, size=5)]}).encode()
        with neighbours(body) as port:
            first = instance.flush(wait_seconds=0, monitor_agent_port=port).json["monitor"]
            both = instance.flush(wait_seconds=0, monitor_agent_port=port, workers=2).json
        assert first == {**EMPTY, "staged": 1, "bytes": 5, "emit_records": 100}
        assert both["monitor"] == {**EMPTY, "staged": 2, "bytes": 10, "emit_records": 200}

    def test_a_worker_that_does_not_answer_beside_one_that_does_is_refused(
        self, instance: Instance
    ) -> None:
        port = instance.start()
        refusal = instance.flush(monitor_agent_port=port, workers=2).refusal()
        assert "monitor_agent answers for 1 of 2 workers" in refusal
