"""The states that any Fluentd is put into: what is done to it, and what must be said of it.

Each is a place where a simpler way of reading Fluentd's metrics, or its disk, has gone wrong. The
steps are methods of `Site`; `watch` without a number is longer than the window and what may lag, so
a wrong proof would come in this time, and `ask` begins to flush.
"""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace

from sandbox.conformance.configuration import (
    HOURLY,
    IMMEDIATE,
    LIMITED,
    MEMORY,
    NO_ID,
    NO_LABEL,
    NO_OWN_OUTPUT,
    NO_ROOT,
    SECONDARY,
)
from sandbox.conformance.site import Plan

NO_PROOF = frozenset({"DRAINING", "UNKNOWN"})
ASIDE = frozenset({"SET_ASIDE"})
KEPT = ASIDE | {"REMAINING", "UNKNOWN"}
LOST_OR_KEPT = KEPT | {"FLUSHED"}

DOWN_AND_BACK = "refuse, send 20, watch 4, ask, watch, accept"
KILLED = "refuse, send 5, watch 3, ask, kill, watch, hush, start, watch 3, accept"
REJECTED = "reject, send 3, watch 5"
LIMIT_REACHED = "refuse, send 3, watch 16"


@dataclass(frozen=True, slots=True)
class Limit:
    """What the documents say that a stage cannot see: so far an answer may be wrong."""

    document: str
    evidence: frozenset[str] = frozenset({"aside", "undelivered"})
    flush: frozenset[str] = frozenset()


LOST = Limit("docs/fluentd.md, retry_forever", flush=frozenset({"undelivered"}))
BACKED_UP = Limit("docs/flush-or-buffer.md, backed-up chunks")


@dataclass(frozen=True, slots=True)
class State:
    """One state, and the answers that are right at its end."""

    name: str
    steps: str
    plan: Plan
    must_see: str = ""
    """A reason of the buffer stage that must be given on the way: it shows the state itself."""
    evidence: frozenset[str] = frozenset({"DRAINED"})
    flush: frozenset[str] = frozenset({"FLUSHED"})
    limit: Limit | None = None
    obstacle: Callable[[], str | None] = lambda: None
    """Why this machine cannot show the state."""


def no_namespaces() -> str | None:
    """Why no private /tmp can be had here, None if it can."""
    if shutil.which("unshare") is None:
        return "no unshare on this machine"
    command = ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"no mount namespaces: {done.stderr.strip()}" if done.returncode else None


ONE = Plan()
TWO = Plan(workers=2, expected_outputs=2)
STATES = (
    State("steady traffic", "slow 0.5, send 24 0.5", ONE),
    State("sparse traffic, immediate flush", "send 9 2", Plan((IMMEDIATE,)), "receiving"),
    State("destination down and back", DOWN_AND_BACK, ONE, "queued"),
    State("last chunk in flight", "slow 18, send 5, watch 5, ask, watch", ONE, "in_flight"),
    State("drained", "send 5, watch, ask, watch", ONE),
    State("killed, started again", KILLED, ONE, "no_series"),
    State("stopped, started again", KILLED.replace("kill", "stop"), ONE, "no_series"),
    State(
        "hung, goes on",
        "refuse, send 5, watch 3, hang, ask, watch, hush, go_on, watch 2, accept",
        ONE, "scrape_failed",
    ),
    State(
        # Frozen before anything was proven, so that only the heartbeat output can tell.
        "exporter frozen", "send 1, watch 3, freeze, watch 1.5, refuse, send 5, watch, ask, accept",
        ONE, "heartbeat_stopped", NO_PROOF,
    ),
    State(
        # What Prometheus has stored says 0; it is away when the chunk comes and Fluentd goes.
        "Prometheus restarted without Fluentd",
        "send 1, watch 4, lose_prometheus, refuse, send 5, kill, find_prometheus, ask, watch, "
        "hush, start, accept",
        ONE, "stale",
    ),
    State("two workers on ports", DOWN_AND_BACK.replace("20", "1"), TWO),
    State(
        "two workers aggregated", DOWN_AND_BACK.replace("20", "1"),
        replace(TWO, metrics_path="/aggregated_metrics"),
    ),
    State(
        "a worker that is not scraped", "hold, refuse, watch, ask, watch, accept",
        replace(TWO, scraped_workers=1), "too_few_series", NO_PROOF,
    ),
    State("hourly chunk", "send 5, watch", Plan((HOURLY,)), "staged"),
    State(
        "own events in the buffer", "send 5, ask, watch 20", Plan((HOURLY, NO_LABEL)),
        "staged", NO_PROOF, LOST_OR_KEPT,
    ),
    State(
        "own events in an output without @id", "send 1, watch 3", Plan((NO_OWN_OUTPUT,)),
        "own_events_not_apart", NO_PROOF,
    ),
    State("memory buffer", DOWN_AND_BACK, Plan((MEMORY,)), "queued"),
    State("no @id", KILLED, Plan(NO_ID), "no_series"),
    State(
        # Unknown where the failed writes that cleared the queue are seen, and remembered.
        "retry limit", LIMIT_REACHED, Plan((LIMITED,)),
        evidence=NO_PROOF | {"DRAINED"}, flush=LOST_OR_KEPT, limit=LOST,
    ),
    State(
        "retry limit with a write in flight",
        "slow 24 1, refuse, send 1, watch 3, send 1, ask, watch 27, accept",
        Plan((LIMITED, IMMEDIATE)), "queue_cleared", NO_PROOF, LOST_OR_KEPT, LOST,
    ),
    State("unrecoverable chunk", REJECTED, ONE, flush=ASIDE, limit=BACKED_UP),
    State(
        "unrecoverable chunk in a private /tmp", REJECTED, Plan(NO_ROOT, private_tmp=True),
        flush=ASIDE, limit=BACKED_UP, obstacle=no_namespaces,
    ),
    State(
        "secondary on the same disk", LIMIT_REACHED, Plan(SECONDARY, secondary=True),
        flush=ASIDE, limit=BACKED_UP,
    ),
    State(
        "fewer workers after a restart", "hold, refuse, watch 3, stop, accept, start 1, watch",
        Plan(workers=2, scraped_workers=1), flush=KEPT, limit=BACKED_UP,
    ),
    State("SIGUSR2", "refuse, send 5, watch 3, replace, ask, watch, accept", ONE, "queued"),
)  # fmt: skip
