"""Everything that can go wrong, as values that hypothesis draws and a developer can read."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from hypothesis import strategies as st

from sandbox.emulator.faults import CallFailure
from tests.model.cloud import Cloud
from tests.model.deaths import CALLS, Death, Moment
from tests.model.fluentd import Fluentd
from tests.model.monitoring import Answering, Scraping
from tests.model.playing import Stray
from tests.support.functions import Invoking

_USED_CALLS = {
    "operation": (
        "RegisterInstance",
        "DeregisterInstance",
        "GetOperation",
        "GetInstance",
        "ListInstances",
    ),
    "flush": ("SendCommand", "GetCommandInvocation"),
    "buffer": (),
}
_ALWAYS_USED_CALLS = (
    "SendMessage",
    "ChangeMessageVisibility",
    "RecordLifecycleActionHeartbeat",
    "CompleteLifecycleAction",
    "DescribeAutoScalingInstances",
    "DescribeAutoScalingGroups",
    "DescribeWarmPool",
    "DescribeInstances",
    "CreateTags",
)


class AwsTrouble(StrEnum):
    """What AWS does to the functions."""

    THROTTLED = "throttled"
    FAILED_BEFORE = "failed_before"
    FAILED_AFTER = "failed_after"
    FUNCTION_DIES_BEFORE = "function_dies_before"
    FUNCTION_DIES_AFTER = "function_dies_after"
    OPERATIONS_FAIL = "operations_fail"
    OPERATIONS_SLOW = "operations_slow"
    EVENT_DUPLICATED = "event_duplicated"
    EVENT_DELAYED = "event_delayed"
    EVENT_LOST = "event_lost"
    MESSAGES_LATE = "messages_late"
    RECEIVE_UNSEEN = "receive_unseen"
    BATCH_TWICE = "batch_twice"
    DELETE_LOST = "delete_lost"
    MESSAGE_TWICE = "message_twice"
    SHORT_PAGES = "short_pages"
    FOREIGN_BURST = "foreign_burst"


class WatchTrouble(StrEnum):
    """What happens to Prometheus, its scrapes, the evidence function and SSM's agents."""

    DOWN = "down"
    HTML = "html"
    EMPTY = "empty"
    STALE = "stale"
    PARTIAL = "partial"
    OTHER_FORM = "other_form"
    WARNED = "warned"
    IS_PARTIAL = "is_partial"
    REPLICAS = "replicas"
    REPLICA_STOPPED = "replica_stopped"
    NEIGHBOUR_DOWN = "neighbour_down"
    RESTARTED = "restarted"
    EXPORTER_DEAD = "exporter_dead"
    TARGET_GONE = "target_gone"
    LAST_WORKER_DEAD = "last_worker_dead"
    TIMER_DIED = "timer_died"
    AGENTS_OFF = "agents_off"
    AGENTS_SILENT = "agents_silent"
    UNDELIVERABLE = "undeliverable"
    BAD_REPORTS = "bad_reports"
    SLOW_SCRIPTS = "slow_scripts"
    EVIDENCE_SLOW = "slow"
    EVIDENCE_THROTTLED = "throttled"
    EVIDENCE_DEAD = "dead"
    EVIDENCE_OF_ANOTHER_TIME = "another_time"
    EVIDENCE_OF_ANOTHER_INSTANCE = "another_instance"
    EVIDENCE_OF_ANOTHER_VERSION = "another_version"


class FluentdTrouble(StrEnum):
    """What happens to an aggregator."""

    DESTINATION_DOWN = "destination_down"
    RETRY_LIMIT = "retry_limit"
    UNRECOVERABLE_ERROR = "unrecoverable_error"
    MISCOUNT = "miscount"
    CRASH = "crash"
    RESTART = "restart"


@dataclass(frozen=True)
class Trouble:
    """One thing that goes wrong: to whom (a number, modulo how many there are), and how much."""

    what: AwsTrouble | WatchTrouble | FluentdTrouble
    whom: int
    amount: int

    def befall(self, cloud: Cloud) -> None:
        """Let it happen, now or to the next call, event or message that it is about."""
        match self.what:
            case AwsTrouble():
                _break_aws(cloud, self.what, self.whom, self.amount)
            case WatchTrouble():
                _break_watching(cloud, self.what, self.whom)
            case _:
                victim = cloud.one_of_those_alive(self.whom)
                if victim is not None and not cloud.promises.lives[victim].stopped:
                    _FLUENTD[self.what](cloud.fluentds[victim])


_SHORT_PAGES = [[0], [1], [0, 1], [1, 0], [0, 0, 2]]
_DEATHS = {
    AwsTrouble.FUNCTION_DIES_BEFORE: Moment.BEFORE,
    AwsTrouble.FUNCTION_DIES_AFTER: Moment.AFTER,
}


def troubles(kind: type[StrEnum]) -> st.SearchStrategy[Trouble]:
    """Troubles of one kind."""
    return st.builds(Trouble, st.sampled_from(kind), st.integers(0, 30), st.integers(1, 6))


def _break_aws(cloud: Cloud, what: AwsTrouble, whom: int, amount: int) -> None:
    if what in {AwsTrouble.THROTTLED, AwsTrouble.FAILED_BEFORE, AwsTrouble.FAILED_AFTER}:
        cloud.call_failures.append(_failure(cloud, what, whom, amount))
    elif what in _DEATHS:
        CALLS.deaths.append(Death(2 * amount - whom % 2, _DEATHS[what]))
    elif what is AwsTrouble.OPERATIONS_FAIL:
        cloud.world.faults.fail_operations(min(amount, 4))
    elif what is AwsTrouble.OPERATIONS_SLOW:
        cloud.world.faults.operation_seconds = 15.0 * amount
    elif what is AwsTrouble.EVENT_LOST:
        cloud.strays.append(Stray(0))
    elif what is AwsTrouble.EVENT_DUPLICATED:
        cloud.strays.append(Stray(2, 10.0 * (whom % 4)))
    elif what is AwsTrouble.EVENT_DELAYED:
        cloud.strays.append(Stray(1, 35.0 * amount))
    elif what is AwsTrouble.SHORT_PAGES:
        cloud.count("AWS: short pages")
        cloud.world.faults.short_pages = _SHORT_PAGES[whom % len(_SHORT_PAGES)]
    elif what is AwsTrouble.FOREIGN_BURST:
        cloud.end_foreign_instances(10 * amount)
        cloud.call_failures += [
            CallFailure(action, "Throttling", "Rate exceeded", 3 * amount, "before")
            for action in ("DescribeInstances", "DescribeAutoScalingInstances")[: 1 + whom % 2]
        ]
    else:
        _break_queue(cloud, what, cloud.stages[whom % len(cloud.stages)], amount)


def _break_queue(cloud: Cloud, what: AwsTrouble, queue: str, amount: int) -> None:
    match what:
        case AwsTrouble.MESSAGES_LATE:
            cloud.paused_until[queue] = cloud.clock() + 20 * amount
        case AwsTrouble.RECEIVE_UNSEEN:
            cloud.unseen[queue] = 1
        case AwsTrouble.BATCH_TWICE:
            cloud.doubled[queue] = 1
        case AwsTrouble.DELETE_LOST:
            cloud.undeleted[queue] = 1
        case _:
            cloud.double_a_message(queue)


def _failure(cloud: Cloud, what: AwsTrouble, whom: int, amount: int) -> CallFailure:
    used = [call for stage in cloud.stages for call in _USED_CALLS[stage]]
    calls = [*used, *_ALWAYS_USED_CALLS]
    action = calls[whom % len(calls)]
    if what is AwsTrouble.THROTTLED:
        return CallFailure(action, "Throttling", "Rate exceeded", amount, "before")
    # An error that botocore does not try again, and one that it does.
    code = "InternalError" if amount % 2 else "ServiceUnavailable"
    moment: Literal["before", "after"] = "after" if what is AwsTrouble.FAILED_AFTER else "before"
    return CallFailure(action, code, "injected", (amount + 1) // 2, moment)


_SCRAPING = {
    WatchTrouble.EXPORTER_DEAD,
    WatchTrouble.TARGET_GONE,
    WatchTrouble.LAST_WORKER_DEAD,
}


def _break_watching(cloud: Cloud, what: WatchTrouble, whom: int) -> None:
    monitoring = cloud.monitoring
    victim = cloud.one_of_those_alive(whom)
    match what:
        case WatchTrouble.RESTARTED:
            monitoring.restart()
        case WatchTrouble.REPLICAS | WatchTrouble.REPLICA_STOPPED:
            monitoring.have_replicas(one_stops=what is WatchTrouble.REPLICA_STOPPED)
        case WatchTrouble.NEIGHBOUR_DOWN:
            monitoring.has_neighbours = True
        case WatchTrouble.TIMER_DIED if victim and cloud.shape.demands_heartbeat:
            cloud.fluentds[victim].timer_died = True
        case _ if what in _SCRAPING and victim:
            monitoring.targets[victim].scraping = Scraping(what.value)
        case _ if what.value in set(Invoking):
            cloud.evidence.invoking = Invoking(what.value)
        case _ if what.value in {one.value for one in Answering}:
            monitoring.answering = Answering(what.value)
            monitoring.is_scraping = what is not WatchTrouble.DOWN
        case _:
            _break_agents(cloud, what)


def _break_agents(cloud: Cloud, what: WatchTrouble) -> None:
    faults = cloud.world.faults
    match what:
        case WatchTrouble.AGENTS_OFF:
            faults.agents_off = ["*"]
        case WatchTrouble.AGENTS_SILENT:
            faults.agents_silent = ["*"]
        case WatchTrouble.UNDELIVERABLE:
            faults.undeliverable = ["*"]
        case WatchTrouble.BAD_REPORTS:
            cloud.bad_reports = 2
        case WatchTrouble.SLOW_SCRIPTS:
            cloud.slow_scripts = True
        case _:
            pass  # of an instance, and none is there


def _lose_destination(fluentd: Fluentd) -> None:
    fluentd.destination_up = False


_FLUENTD: dict[FluentdTrouble, Callable[[Fluentd], None]] = {
    FluentdTrouble.DESTINATION_DOWN: _lose_destination,
    FluentdTrouble.RETRY_LIMIT: Fluentd.hit_retry_limit,
    FluentdTrouble.UNRECOVERABLE_ERROR: Fluentd.set_a_chunk_aside,
    FluentdTrouble.MISCOUNT: Fluentd.miscount,
    FluentdTrouble.CRASH: Fluentd.stop,
    FluentdTrouble.RESTART: Fluentd.restart,
}
