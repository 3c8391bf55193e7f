"""What a history starts with: the group, the stages, the traffic and the settings."""

import math
from dataclasses import dataclass

from hypothesis import strategies as st

from tests.model.fluentd import FLUSH_INTERVAL, HEARTBEAT, Traffic
from tests.model.monitoring import SCRAPE_INTERVAL, Scraping
from tests.support.pipeline import EMPTY_FOR, PROPAGATION, SETTLE

# Longer than two of the reconciler's intervals and a grace, as the module's timing budget demands:
# one run may fail, and the next finds a lost event in time.
HOOK_SECONDS = 660
DRAIN_TIMEOUT = 600.0
READINESS_UNKNOWN = 90.0
SHARD_SIZE = 2
STAGES = (
    ("operation", "buffer"),
    ("operation", "flush", "buffer"),
    ("operation", "flush"),
    ("flush", "buffer"),
    ("buffer",),
    ("flush",),
)


_HEARTBEAT = "RecordLifecycleActionHeartbeat"
_DENIED: tuple[tuple[str, ...], ...] = (
    *(((),) * 6),
    (_HEARTBEAT,),
    (_HEARTBEAT, "CreateTags"),
)


@dataclass(frozen=True)
class Shape:
    """``lag`` is how long the last forwarder still sends after DNS left the instance out (seconds).

    ``propagation_seconds`` is how long after Cloud Map's SUCCESS DNS still has it.

    ``unnoticed_seconds`` is how much later than EC2 the group learns that an instance was killed.

    ``denied`` are the calls that the functions may not make, as long as the history lasts.

    Nothing on an instance runs until it has booted, ``boot_seconds`` after it was started. With
    ``readiness`` it is registered once it is seen to run; with ``ipv6_only`` by its IPv6 address.

    With several ``shards`` only ``SHARD_SIZE`` instances fit into one, so that a small group moves.
    With ``keeps_last`` the last aggregator waits for a successor, as it does by default.
    """

    stages: tuple[str, ...] = STAGES[0]
    size: int = 2
    leaving: int = 1
    retains: bool = False
    is_adopted: bool = False
    shards: int = 1
    keeps_last: bool = False
    traffic: Traffic = Traffic.LAZY
    workers: int = 1
    flight_seconds: float = 0.0
    lag: float = SETTLE - PROPAGATION
    propagation_seconds: float = PROPAGATION
    unnoticed_seconds: float = 0.0
    demands_heartbeat: bool = False
    scraping: Scraping | None = None
    denied: tuple[str, ...] = ()
    boot_seconds: float = 0.0
    readiness: bool = False
    ipv6_only: bool = False

    @property
    def quiet_seconds(self) -> float:
        """How long the script looks for records that come in; as Terraform has it."""
        return FLUSH_INTERVAL if self.stages == ("operation", "flush") else 5.0

    @property
    def range_seconds(self) -> float:
        """How far back the product's query looks."""
        return math.ceil(EMPTY_FOR + 4 * SCRAPE_INTERVAL)

    def settings(self) -> dict[str, str]:
        """The product's settings; a trap that needs one has it."""
        settings = {
            "TIMEOUT_SECONDS": str(DRAIN_TIMEOUT),
            "POLL_INTERVAL_SECONDS": "30",
            "TERMINATE_HEARTBEAT_TIMEOUT_SECONDS": str(HOOK_SECONDS),
            "LAUNCH_HEARTBEAT_TIMEOUT_SECONDS": str(HOOK_SECONDS),
            "FLUSH_COMMAND_TIMEOUT_SECONDS": "10",
            "ALLOW_EMPTY_SERVICE": str(not self.keeps_last).lower(),
        }
        if self.demands_heartbeat:
            settings["PROMETHEUS_HEARTBEAT_PLUGIN_ID"] = HEARTBEAT
        if self.readiness:
            settings["READINESS"] = "metrics"
            settings["READINESS_UNKNOWN_SECONDS"] = str(READINESS_UNKNOWN)
        if self.scraping is Scraping.ONE_WORKER_ONLY:
            settings["PROMETHEUS_EXPECTED_BUFFERED_OUTPUTS"] = str(self.workers)
        return settings


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    """Every combination that the design makes a promise for.

    Forwarders that send for longer than ``settle`` are seen by ``emit_records``, which takes a
    buffer stage, traffic, and an exporter whose timer does not die meanwhile; or by the quiet time
    of a flush, which in a fleet without a buffer stage is longer than their flush interval.
    """
    stages = draw(st.sampled_from(STAGES))
    size = draw(st.integers(1, 3))
    traffic = draw(st.sampled_from(Traffic))
    demands_heartbeat = draw(st.booleans())
    workers = draw(st.sampled_from([1, 1, 2]))
    is_watched = not demands_heartbeat if "buffer" in stages else "operation" in stages
    may_hold_on = is_watched and traffic is not Traffic.NONE
    lags = [0.0, 8.0, SETTLE - PROPAGATION - 1] + ([90.0] if may_hold_on else [])
    in_cloud_map = "operation" in stages
    may_ask = in_cloud_map and "buffer" in stages
    hides_a_worker = workers > 1 and draw(st.booleans())
    return Shape(
        stages=stages,
        size=size,
        leaving=draw(st.integers(0, size)),
        retains=draw(st.booleans()),
        is_adopted=draw(st.booleans()),
        shards=draw(st.sampled_from([1, 1, 2])) if in_cloud_map else 1,
        keeps_last=draw(st.sampled_from([False, False, True])) if in_cloud_map else False,
        traffic=traffic,
        workers=workers,
        flight_seconds=draw(st.sampled_from([0.0, 0.0, 25.0])),
        lag=draw(st.sampled_from(lags)),
        propagation_seconds=draw(st.floats(0.0, PROPAGATION)),
        unnoticed_seconds=draw(st.sampled_from([0.0, 75.0])),
        demands_heartbeat=demands_heartbeat,
        scraping=Scraping.ONE_WORKER_ONLY if hides_a_worker else None,
        denied=draw(st.sampled_from(_DENIED)),
        boot_seconds=draw(st.sampled_from([0.0, 5.0, 30.0, 30.0])),
        readiness=may_ask and draw(st.sampled_from([True, True, False])),
        ipv6_only=draw(st.sampled_from([False, False, False, True])),
    )
