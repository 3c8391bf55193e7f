"""Asks the product about a Fluentd once a second, and holds its answers against the truth.

The product is the real one: the samples that Prometheus stored, fetched and judged by
`lifecycle`, and `terraform/flush.sh`, judged by `lifecycle`.
"""

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Self

from lifecycle.adapters import prometheus
from lifecycle.adapters.prometheus_session import connect
from lifecycle.decisions import buffer
from lifecycle.decisions.evidence import Rules
from lifecycle.decisions.flush import Invocation, judge_flush
from lifecycle.errors import PrometheusFailed
from lifecycle.settings import PrometheusSettings
from sandbox.conformance.configuration import HEARTBEAT
from sandbox.conformance.site import (
    EMPTY_FOR_SECONDS,
    INSTANCE_ID,
    LAG_SECONDS,
    MONITOR_PORT,
    PROJECT,
    SCRAPE_SECONDS,
    Site,
    Truth,
)

UNIT = "fluentd"
ASK_SECONDS = 1.0
SCRIPT = PROJECT / "terraform" / "flush.sh"
SYSTEMCTL = PROJECT / "sandbox" / "fleet" / "systemctl.sh"
PROVEN = frozenset({"DRAINED", "FLUSHED"})


@dataclass(frozen=True, slots=True)
class Observation:
    """One answer, and the truth before and after it."""

    at: float
    source: str
    state: str
    reason: str
    detail: str
    before: Truth
    after: Truth
    quiet_seconds: float
    """How long ago the last record came in."""

    def without(self, hidden: Iterable[str]) -> "Observation":
        """The same, as if there was nothing of what cannot be seen."""
        nothing = dict.fromkeys(hidden, 0)
        return replace(
            self, before=replace(self.before, **nothing), after=replace(self.after, **nothing)
        )


class Judge:
    """Asks both stages about one site while the block runs; the second when the site says so."""

    def __init__(self, site: Site) -> None:
        self.observations: list[Observation] = []
        self._site = site
        self._rules = Rules(
            empty_for_seconds=EMPTY_FOR_SECONDS,
            settle_seconds=0,
            scrape_interval_seconds=SCRAPE_SECONDS,
            expected_buffered_outputs=site.plan.expected_outputs,
            heartbeat_plugin_id=HEARTBEAT,
        )
        self._cleared_in: int | None = None  # the process whose queue may have been cleared
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask_for_ever, args=arguments, daemon=True)
            for arguments in (("evidence", self.ask_evidence), ("flush", self.ask_flush))
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _ask_for_ever(self, source: str, ask: Callable[[], tuple[str, str, str]]) -> None:
        while not self._stopping.wait(ASK_SECONDS):
            if source == "evidence" or self._site.is_flushing:
                before, accepted_at = self._site.truth(), self._site.last_accepted_at
                quiet = time.time() - accepted_at
                state, reason, detail = ask()
                after = self._site.truth()
                self.observations.append(
                    Observation(time.time(), source, state, reason, detail, before, after, quiet)
                )

    def ask_evidence(self) -> tuple[str, str, str]:
        """The verdict of the buffer stage, on an instance that was deregistered long ago."""
        selection = prometheus.Selection(
            [INSTANCE_ID],
            label="instance_id",
            metric_prefix=self._rules.metric_prefix,
            range_seconds=self._rules.range_seconds,
        )
        now = time.time()
        try:
            settings = PrometheusSettings(
                prometheus_url=self._site.prometheus.url, prometheus_request_timeout_seconds=5
            )
            querier = connect(settings)
            series = prometheus.fetch(querier, selection, now).get(INSTANCE_ID, [])
        except PrometheusFailed as error:
            return "UNKNOWN", buffer.Reason.PROMETHEUS_FAILED, str(error)
        verdict = buffer.judge(series, deregistered_at=0, now=now, rules=self._rules)
        if verdict.reason is buffer.Reason.QUEUE_CLEARED:
            self._cleared_in = self._site.main_process()
        elif verdict.state in PROVEN and self._cleared_in in {self._site.main_process()} - {None}:
            return "UNKNOWN", buffer.Reason.QUEUE_CLEARED, "remembered, as the waiter does by a tag"
        return verdict.state, verdict.reason, verdict.detail

    def ask_flush(self) -> tuple[str, str, str]:
        """The verdict of the flush stage: the script really runs, and really signals."""
        done = subprocess.run(
            ["/bin/sh", str(SCRIPT)],
            env=self._script_environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        status = "Failed" if done.returncode else "Success"
        verdict = judge_flush(Invocation(status, "", done.stdout, done.stderr))
        return verdict.state, verdict.reason, verdict.detail

    def _script_environment(self) -> dict[str, str]:
        site = self._site
        units, programs = site.directory / "units", site.directory / "bin"
        (units / UNIT).write_text(str(site.main_process() or 0))
        programs.mkdir(exist_ok=True)
        if not (programs / "systemctl").exists():
            (programs / "systemctl").symlink_to(SYSTEMCTL)
        return {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "SANDBOX_UNITS": str(units),
            "FLUENTD_ADDRESS": site.address,
            "FLUENTD_PROGRAM": site.program.process,
            "SERVICE": UNIT,
            "METHOD": "signal",
            "SIGNAL": "true",
            "RPC_PORT": "24444",
            "BUFFER_PATHS": str(site.root),
            "BACKUP_PATHS": f"{site.root}/failed" if site.plan.secondary else "none",
            "MONITOR_AGENT_PORT": str(MONITOR_PORT),
            "MONITOR_AGENT_REQUIRED": "true",
            "WORKERS": str(site.workers),
            "WAIT_SECONDS": "1",
            "QUIET_SECONDS": "2",
        }


def disagreement(one: Observation) -> str | None:
    """What is wrong with an answer, if anything is: proven, with something held or received."""
    if one.state not in PROVEN:
        return None
    for what in ("chunks", "aside", "undelivered"):
        held = min(getattr(one.before, what), getattr(one.after, what))
        if held:
            return f"{one.state} with {held} {what}"
    if one.source == "evidence" and one.quiet_seconds < EMPTY_FOR_SECONDS - LAG_SECONDS:
        return f"{one.state} {one.quiet_seconds:.1f} s after a record came in"
    return None
