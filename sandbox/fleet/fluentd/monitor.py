"""What fluent-plugin-prometheus 2.2.1 shows of Fluentd's outputs, to the letter.

`prometheus_monitor` gives `fluentd_status_*`, `prometheus_output_monitor` gives
`fluentd_output_status_*`. Both copy the outputs' state on a timer; the exporter only ever shows the
copy. Hence the lag of up to one interval, no samples at all before the first tick, and values that
never change again if the timer dies. Names, labels, order and help texts are those of the
captures in the tests.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

BUFFER_SPACE_LIMIT_BYTES = 64 * 1024 * 1024 * 1024

STATUS_FAMILIES = {
    "buffer_newest_timekey": "Newest timekey in buffer.",
    "buffer_oldest_timekey": "Oldest timekey in buffer.",
    "buffer_queue_length": "Current buffer queue length.",
    "buffer_total_bytes": "Current total size of queued buffers.",
    "retry_count": "Current retry counts.",
}
OUTPUT_STATUS_FAMILIES = {
    "buffer_total_bytes": "Current total size of stage and queue buffers.",
    "buffer_stage_length": "Current length of stage buffers.",
    "buffer_stage_byte_size": "Current total size of stage buffers.",
    "buffer_queue_length": "Current length of queue buffers.",
    "buffer_queue_byte_size": "Current total size of queue buffers.",
    "buffer_available_space_ratio": "Ratio of available space in buffer.",
    "buffer_newest_timekey": "Newest timekey in buffer.",
    "buffer_oldest_timekey": "Oldest timekey in buffer.",
    "retry_count": "Current retry counts.",
    "num_errors": "Current number of errors.",
    "emit_count": "Current emit counts.",
    "emit_records": "Current emit records.",
    "write_count": "Current write counts.",
    "rollback_count": "Current rollback counts.",
    "flush_time_count": "Total flush time.",
    "slow_flush_count": "Current slow flush counts.",
    "retry_wait": "Current retry wait",
}


@dataclass(frozen=True, slots=True)
class OutputSample:
    """The values of one output at one tick, keyed by the family's name without its prefix."""

    plugin_id: str
    plugin_type: str
    values: Mapping[str, float]


def render(hostname: str, samples: Iterable[OutputSample], worker_id: int = 0) -> str:
    """The text exposition of a tick; without samples, of an exporter before its first tick."""
    samples = tuple(samples)
    lines: list[str] = []
    for family, help_text in STATUS_FAMILIES.items():
        labels = f'hostname="{hostname}",plugin_id="{{0}}",plugin_category="output",type="{{1}}"'
        lines += _family(f"fluentd_status_{family}", help_text, family, labels, samples)
    for family, help_text in OUTPUT_STATUS_FAMILIES.items():
        labels = f'hostname="{hostname}",worker_id="{worker_id}",plugin_id="{{0}}",type="{{1}}"'
        lines += _family(f"fluentd_output_status_{family}", help_text, family, labels, samples)
    return "\n".join(lines) + "\n"


def _family(
    name: str, help_text: str, key: str, labels: str, samples: Iterable[OutputSample]
) -> list[str]:
    lines = [f"# TYPE {name} gauge", f"# HELP {name} {help_text}"]
    for sample in samples:
        if key in sample.values:
            filled = labels.format(sample.plugin_id, sample.plugin_type)
            lines.append(f"{name}{{{filled}}} {float(sample.values[key])!r}")
    return lines


def ltsv(fields: Mapping[str, object]) -> str:
    """A line of `monitor_agent` without `.json`; it leaves objects out."""
    shown = {name: value for name, value in fields.items() if not isinstance(value, dict)}
    return "\t".join(f"{name}:{value}" for name, value in shown.items()) + "\n"
