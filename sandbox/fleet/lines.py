"""The log lines of the simulation: each has the name of its forwarder and a number.

`parse_lines` is the counterpart of `log_record`: what S3 holds is counted by these two fields, and
a damaged line is not counted as delivered.
"""

import re
import time
from collections.abc import Iterator
from typing import Any

PATHS = ("/", "/cart", "/checkout", "/products/4711", "/search?q=umbrella", "/login")
STATUSES = (200, 200, 200, 200, 200, 204, 302, 404, 500)

_NUMBERED = re.compile(rb'\{.*"forwarder":"([^"]+)","sequence":(\d+)[,}].*')


def log_record(forwarder: str, sequence: int, now: float) -> dict[str, Any]:
    """A container's access log line as a DaemonSet's Fluentd sends it, about 200 bytes."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    path, status = PATHS[sequence % len(PATHS)], STATUSES[sequence % len(STATUSES)]
    return {
        "log": f'10.0.{sequence % 250}.7 "GET {path} HTTP/1.1" {status} {sequence * 37 % 9973}',
        "time": f"{moment}.{int(now % 1 * 1000):03d}Z",
        "stream": "stdout",
        "kubernetes": {"namespace": "shop", "pod": f"web-{forwarder}"},
        "forwarder": forwarder,
        "sequence": sequence,
    }


def parse_lines(content: bytes) -> Iterator[tuple[str, int] | None]:
    """Forwarder and number of each line; None for a line that is not whole."""
    for line in content.split(b"\n"):
        if not line:
            continue
        match = _NUMBERED.fullmatch(line)
        if match is None or not line.endswith(b"}"):
            yield None
        else:
            yield match[1].decode(), int(match[2])
