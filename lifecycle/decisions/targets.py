"""What a series is about, and who only observed it.

- An **output** is a plugin of a worker: ``worker_id``, ``plugin_id`` and ``type``, or what they
  are called where a label of the target has that name (``exported_type``). Series of one output
  that differ in any other label (``replica``, ``prometheus``, ``cluster``, ``job``) are copies of
  it, made by several observers.
- A **scrape target** is named by ``job`` and ``instance``, as stored with the series. Federation
  without ``honor_labels`` names the target behind the federated server by ``exported_job`` and
  ``exported_instance``, so those belong to the name, too.
- An ``up`` is of the target that a series comes from if both name the same target and contradict
  each other in no other label. A label that only one of them has is no contradiction: Fluentd's
  series have labels of their own, and ``metric_relabel_configs`` may drop one of the target's.

An ``up`` of a target that no series comes from is another exporter's, unless it may be a further
worker of the same Fluentd whose series are out of sight: same job, and a port close to Fluentd's.
"""

import re
from collections.abc import Mapping

Labels = Mapping[str, str]

# Worker id, plugin id, type; the instance is the one that is judged.
Output = tuple[str, str, str]

# `prometheus` listens on its port plus the worker id. Fluentd sets no limit on the number of
# workers; more than a machine has processors are of no use.
FARTHEST_WORKER_PORT = 64

_JOB = re.compile(r"(exported_)*job")
_INSTANCE = re.compile(r"(exported_)*instance")
# The last group of an IPv6 address without brackets is no port.
_PORT = re.compile(r"(?![0-9A-Fa-f.]*:[0-9A-Fa-f.:]*:[0-9A-Fa-f.]*$).*:([0-9]{1,5})$")


def output_of(labels: Labels) -> Output:
    """Return which output a series is about."""
    worker_id, plugin_id, kind = (
        _said(labels, name) for name in ("worker_id", "plugin_id", "type")
    )
    return worker_id, plugin_id, kind


def told(labels: Labels) -> Labels:
    """Return the labels that tell series apart: not the name, nor what Prometheus 3 adds to it."""
    return {name: value for name, value in labels.items() if not name.startswith("__")}


def is_up_of(up: Labels, series: Labels) -> bool:
    """Tell whether an ``up`` is of the very target that a series of Fluentd comes from."""
    return (
        "instance" in up
        and _named(up, _JOB) == _named(series, _JOB)
        and _named(up, _INSTANCE) == _named(series, _INSTANCE)
        and all(series.get(name, value) == value for name, value in told(up).items())
    )


def may_be_a_worker(up: Labels, series: Labels) -> bool:
    """Tell whether an ``up`` may be of another worker of the Fluentd that a series comes from.

    Where no port is to be seen, it may.
    """
    if _named(up, _JOB) != _named(series, _JOB):
        return False
    ups, fluentds = _port(up), _port(series)
    return ups is None or fluentds is None or abs(ups - fluentds) <= FARTHEST_WORKER_PORT


def target_of(labels: Labels) -> str:
    """Return the name of a target, for an operator to read."""
    named = {**_named(labels, _JOB), **_named(labels, _INSTANCE)}
    return ", ".join(f"{name}={named[name]}" for name in sorted(named)) or "no job, no instance"


def _said(labels: Labels, name: str) -> str:
    """Return a label as Fluentd said it; if one of the target took its name, it is another."""
    exported = f"exported_{name}"
    return _said(labels, exported) if exported in labels else labels.get(name, "")


def _named(labels: Labels, names: re.Pattern[str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if names.fullmatch(name)}


def _port(labels: Labels) -> int | None:
    """Return the port of the target itself, not that of a server between it and its observer."""
    instances = _named(labels, _INSTANCE)
    found = _PORT.match(instances[max(instances, key=len)]) if instances else None
    return int(found[1]) if found else None
