"""Reads an output's state into the numbers that the monitors show, at each tick of a timer."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import asdict

from sandbox.fleet.fluentd.monitor import BUFFER_SPACE_LIMIT_BYTES, OutputSample, render
from sandbox.fleet.fluentd.output import Counters, Output

logger = logging.getLogger(__name__)


def sample_output(output: Output, plugin_id: str, plugin_type: str) -> OutputSample:
    """The values of a buffered output. In flight shows in the two byte sizes and nowhere else."""
    state, timekeys = output.buffer.state(), output.buffer.timekeys()
    miscounted = output.buffer.miscounted_bytes
    backoff = output.backoff
    free = 1 - state.buffer_bytes / BUFFER_SPACE_LIMIT_BYTES
    values: dict[str, float] = {
        "buffer_total_bytes": state.buffer_bytes + miscounted,
        "buffer_stage_length": state.staged_chunks,
        "buffer_stage_byte_size": state.staged_bytes,
        "buffer_queue_length": state.queued_chunks,
        "buffer_queue_byte_size": state.queued_bytes + state.in_flight_bytes + miscounted,
        "buffer_available_space_ratio": round(free * 100, 1),
        **_counted(output.counters),
        "retry_wait": backoff.retry_wait if backoff else 0.0,
    }
    if timekeys:
        values["buffer_newest_timekey"] = max(timekeys)
        values["buffer_oldest_timekey"] = min(timekeys)
    return OutputSample(plugin_id, plugin_type, values)


def monitored(output: Output, plugin_id: str, plugin_type: str) -> dict[str, object]:
    """What `monitor_agent` says of a buffered output: live, unlike the exporter."""
    values = dict(sample_output(output, plugin_id, plugin_type).values)
    backoff, retry = output.backoff, {}
    if backoff is not None:
        retry = {
            "start": _moment(backoff.started_at),
            "steps": backoff.failures - 1,
            "next_time": _moment(backoff.next_attempt_at),
        }
    return {
        "plugin_id": plugin_id,
        "plugin_category": "output",
        "type": plugin_type,
        "output_plugin": True,
        "buffer_total_queued_size": values.pop("buffer_total_bytes"),
        **values,
        "write_secondary_count": output.counters.write_secondary_count,
        "retry": retry,
    }


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S +0000", time.gmtime(at))


def sample_unbuffered(counters: Counters, plugin_id: str, plugin_type: str) -> OutputSample:
    """The values of an output without a buffer, such as the heartbeat into `@type null`."""
    return OutputSample(plugin_id, plugin_type, {**_counted(counters), "retry_wait": 0.0})


def _counted(counters: Counters) -> dict[str, float]:
    # monitor_agent's `retry_count` is the number of errors so far; it never goes back to 0.
    shown = {**asdict(counters), "retry_count": counters.num_errors}
    del shown["write_secondary_count"]  # monitor_agent's alone
    return shown


class MonitorTimer:
    """Copies the samples every interval; `text` is the last copy."""

    def __init__(
        self,
        hostname: str,
        interval_seconds: float,
        sample: Callable[[], list[OutputSample]],
        worker_id: int = 0,
    ) -> None:
        self._hostname = hostname
        self._worker_id = worker_id
        self._interval_seconds = interval_seconds
        self._sample = sample
        self._stopping = threading.Event()
        self.frozen = False
        self.text = render(hostname, (), worker_id)

    def tick(self) -> None:
        """Copy the samples now, unless the timer is dead."""
        if not self.frozen:
            self.text = render(self._hostname, self._sample(), self._worker_id)

    def start(self) -> None:
        """Tick every interval, the first time after one interval."""
        threading.Thread(target=self._run, name="monitor", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.wait(self._interval_seconds):
            self.tick()
