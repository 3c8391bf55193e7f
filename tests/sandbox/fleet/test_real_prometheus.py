"""Evidence through real servers: what Prometheus itself leaves out, renames and repeats."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from lifecycle.adapters.prometheus import Selection, fetch
from lifecycle.adapters.prometheus_session import connect
from lifecycle.decisions.buffer import Reason, State, Verdict, judge
from lifecycle.decisions.evidence import Rules
from lifecycle.decisions.targets import FARTHEST_WORKER_PORT
from lifecycle.errors import PrometheusFailed
from sandbox.fleet.prometheus import Prometheus
from sandbox.host.ports import free_port
from tests.sandbox.fleet.kit import wait_until
from tests.support.environments import reaching

INSTANCE_ID = "i-0123456789abcdef0"
RULES = Rules(empty_for_seconds=6, settle_seconds=0, scrape_interval_seconds=1)
SELECTION = Selection(
    [INSTANCE_ID],
    label="instance_id",
    metric_prefix=RULES.metric_prefix,
    range_seconds=RULES.range_seconds,
)
_LABELS = 'plugin_id="out_s3",type="s3"'


@dataclass
class Exporter:
    """What one worker of Fluentd shows; None: it closes each connection."""

    worker_id: int
    chunks: int | None = 0
    port: int = 0

    def page(self) -> str:
        """The metrics as `prometheus_output_monitor` exposes them."""
        assert self.chunks is not None
        values = {
            "buffer_total_bytes": 100 * self.chunks,
            "buffer_stage_length": self.chunks,
            "buffer_queue_length": 0,
            "emit_records": 7,
            "num_errors": 0,
            "write_count": 2,
        }
        worker = f'worker_id="{self.worker_id}",{_LABELS}'
        lines = [f"fluentd_output_status_{name}{{{worker}}} {it}" for name, it in values.items()]
        return "\n".join(lines) + "\n"

    @property
    def target(self) -> dict[str, Any]:
        """The target group of a Prometheus that scrapes it."""
        return {"targets": [f"127.0.0.1:{self.port}"], "labels": {"instance_id": INSTANCE_ID}}

    @contextmanager
    def serving(self) -> Iterator["Exporter"]:
        """Listen on loopback."""
        exporter = self

        class Page(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if exporter.chunks is None:
                    return
                body = exporter.page().encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 (its base's name)
                """Print nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", self.port), Page)
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


@dataclass
class Servers:
    """A configuration: jobs by name, and what else there is to it."""

    jobs: list[dict[str, Any]]
    more: dict[str, Any] = field(default_factory=dict)

    def configuration(self) -> dict[str, Any]:
        """The content of `prometheus.yml`."""
        timing = {"scrape_interval": "1s", "scrape_timeout": "1s"}
        more = dict(self.more)
        external = {"external_labels": more.pop("external_labels", {})}
        return {"global": timing | external, "scrape_configs": self.jobs, **more}


def job(*exporters: Exporter, name: str = "fluentd", **settings: Any) -> dict[str, Any]:
    targets = [exporter.target for exporter in exporters]
    return {"job_name": name, "static_configs": targets, **settings}


def federating(server: Prometheus, *names: str, **settings: Any) -> dict[str, Any]:
    matching = [f'{{__name__=~"{name}"}}' for name in names]
    return {
        "job_name": "federate",
        "metrics_path": "/federate",
        "params": {"match[]": matching},
        "static_configs": [{"targets": [server.url.removeprefix("http://")]}],
        **settings,
    }


def verdict(server: Prometheus) -> Verdict:
    now = time.time()
    series = fetch(connect(reaching(server.url)), SELECTION, now).get(INSTANCE_ID, [])
    return judge(series, deregistered_at=now - 1000, now=now, rules=RULES)


def raw_answer(server: Prometheus) -> tuple[dict[str, Any], float]:
    now = time.time()
    asked = urlencode({"query": SELECTION.query, "time": f"{now:.3f}"})
    with urlopen(f"{server.url}/api/v1/query?{asked}", timeout=30) as answer:
        return json.load(answer), now


def says(server: Prometheus, reason: Reason, detail: str = "") -> bool:
    answer = verdict(server)
    return answer.reason is reason and detail in answer.detail


def wait_for(server: Prometheus, reason: Reason, detail: str = "") -> None:
    wait_until(lambda: says(server, reason, detail), seconds=100)


def proves(server: Prometheus) -> None:
    wait_until(lambda: verdict(server).state is State.DRAINED, seconds=100)


@pytest.fixture
def workers() -> Iterator[tuple[Exporter, Exporter]]:
    """Worker 0 is empty, worker 1 holds chunks."""
    with Exporter(0).serving() as first, Exporter(1, chunks=3).serving() as second:
        yield first, second


def test_a_server_whose_remote_read_is_down_proves_nothing(
    workers: tuple[Exporter, Exporter], tmp_path: Path
) -> None:
    first, second = workers
    with Prometheus(Servers([job(second)]), tmp_path / "a") as a:
        remote = [{"url": f"{a.url}/api/v1/read", "read_recent": True}]
        with Prometheus(Servers([job(first)], {"remote_read": remote}), tmp_path / "b") as b:
            wait_for(b, Reason.STAGED, "3 chunks")
            time.sleep(RULES.range_seconds)
            a.stop()
            with pytest.raises(PrometheusFailed, match=r"a partial answer, warnings: .*refused"):
                verdict(b)
            # The data alone, which is all that prometheus-api-client hands on, is a proof.
            answer, now = raw_answer(b)
            assert answer["status"] == "success"

            class DataAlone:
                def custom_query(self, query: str, params: object = None) -> Any:
                    del query, params
                    return answer["data"]["result"]

            series = fetch(DataAlone(), SELECTION, now)[INSTANCE_ID]
            alone = judge(series, deregistered_at=now - 1000, now=now, rules=RULES)
            assert alone.state is State.DRAINED
            a.start()
            wait_for(b, Reason.STAGED, "3 chunks")


def test_federation_is_believed_as_far_as_it_brings_the_up_of_the_target(
    workers: tuple[Exporter, Exporter], tmp_path: Path
) -> None:
    first, _ = workers
    metrics = f"{RULES.metric_prefix}.*"
    with Prometheus(Servers([job(first)]), tmp_path / "a") as a:
        whole = Servers([federating(a, metrics, "up", honor_labels=True)])
        renamed = Servers([federating(a, metrics, "up")])
        without_up = Servers([federating(a, metrics)])
        with (
            Prometheus(whole, tmp_path / "whole") as b,
            Prometheus(renamed, tmp_path / "renamed") as c,
            Prometheus(without_up, tmp_path / "without-up") as d,
        ):
            proves(b)
            proves(c)
            assert says(d, Reason.NO_UP, f"exported_instance=127.0.0.1:{first.port}")
            first.chunks = None
            wait_for(b, Reason.SCRAPE_FAILED, f"instance=127.0.0.1:{first.port}")
            wait_for(c, Reason.SCRAPE_FAILED, f"exported_instance=127.0.0.1:{first.port}")


def test_two_jobs_and_a_second_exporter_that_is_down(
    workers: tuple[Exporter, Exporter], tmp_path: Path
) -> None:
    first, _ = workers
    port = free_port()
    while abs(port - first.port) <= FARTHEST_WORKER_PORT:
        port = free_port()
    with Exporter(0, chunks=None, port=port).serving() as node:
        jobs = [job(first, node), job(first, name="everything")]
        with Prometheus(Servers(jobs), tmp_path / "a") as a:
            proves(a)
            assert verdict(a).detail.startswith("1 buffered outputs ")
            failed = a.query(f'up{{job="fluentd",instance="127.0.0.1:{port}"}}')
            assert [one["value"][1] for one in failed] == ["0"]


def test_metrics_that_are_relabelled_behind_the_back_of_up_prove_nothing(
    workers: tuple[Exporter, Exporter], tmp_path: Path
) -> None:
    first, _ = workers
    relabelled = job(first, metric_relabel_configs=[{"target_label": "job", "replacement": "logs"}])
    with Prometheus(Servers([relabelled]), tmp_path / "a") as a:
        wait_for(a, Reason.NO_UP, "job=logs")
