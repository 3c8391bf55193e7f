"""The world of one history: the real functions, the emulated cloud, and the truth about each
instance beside them.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any
from unittest.mock import patch

from moto.core.model_instances import reset_model_data
from moto.moto_api._internal import mock_random

from lifecycle.decisions import shards
from sandbox.emulator import Assignment, Report
from sandbox.emulator.autoscaling.events import REPLACE
from tests.model.counting import COUNTS
from tests.model.deaths import CALLS
from tests.model.fluentd import Fluentd, Worker
from tests.model.grouped import Grouped, count_faults_hit
from tests.model.launching import Launches, keep_agents_off
from tests.model.monitoring import Monitoring
from tests.model.promises import Life, Promises, hook_of
from tests.model.shapes import HOOK_SECONDS, SHARD_SIZE, Shape
from tests.model.shortcut import Shortcut, keep_moto_patched
from tests.support import account, machines, queues
from tests.support.messages import FOREIGN, TERMINATE_HOOK, shutting_down_event
from tests.support.pipeline import RECONCILE_INTERVAL, Delivery

# No outage of AWS lasts so long that less than this is left of a hook's time: longer ones are what
# the retention policy is for, so histories with retention have no such limit.
LEAST_LEFT_SECONDS = HOOK_SECONDS / 2
OTHER_GROUP = "fluentd-aggregators-of-others"
_GRACE_SECONDS = "30"
_SHORTCUT = Shortcut()


@dataclass
class Cloud(Grouped):
    """Everything that a history is about."""

    fluentds: dict[str, Fluentd] = field(default_factory=dict)
    monitoring: Monitoring = field(init=False)
    promises: Promises = field(init=False)
    launches: Launches = field(init=False)
    bad_reports: int = 0
    slow_scripts: bool = False

    def prepare(self, shape: Shape) -> None:
        """Deploy what the shape says."""
        self.shape, self.stages = shape, shape.stages
        self.monitoring = Monitoring(self.clock, self.count)
        self.evidence.count = self.count
        self.promises = Promises(self)
        self.launches = Launches(self, self.promises, self.monitoring)
        record = self.world.record

        def witnessed(event: str, instance_id: str, **details: Any) -> None:
            record(event, instance_id, **details)
            self._witness(self.world.journal[-1])

        self.world.record = witnessed  # type: ignore[method-assign]
        self.world.agent = self._run_script
        self.world.faults.unnoticed_seconds = shape.unnoticed_seconds
        if shape.ipv6_only:
            self.count("fleet: IPv6 only")
            self.subnet_id = account.create_ipv6_only_subnet(self.clients)
        if shape.shards > 1:
            self.create_shards(shape.shards)
        count_faults_hit(self.world.faults, self.count)
        keep_agents_off(self.world.faults, self.fluentds, self.count)
        if shape.keeps_last:
            # It may wait until its deadline: ten minutes of polls, history after history.
            self.operation_poll_interval = "20"
        settings = {**shape.settings(), "RECONCILE_GRACE_SECONDS": _GRACE_SECONDS}
        self.wire(cache(self.monitoring.querier), **settings)
        self.deny(*shape.denied)
        runtime = replace(self.reconciler.runtime, sleep=self.grace)
        self.reconciler = replace(self.reconciler, runtime=runtime)
        self.reconcile_at = self.clock() + RECONCILE_INTERVAL / 2

    # What there is to see, past the API.

    def messages(self, *names: str) -> Iterator[str]:
        for name in names:
            yield from queues.bodies(name)

    def one_of_those_alive(self, number: int) -> str | None:
        """An instance, rather one that is on its way out."""
        lives = self.promises.lives.values()
        alive = [one for one in lives if not (one.terminated or one.killed)]
        leaving = [one for one in alive if one.was_leaving] or alive
        return leaving[number % len(leaving)].instance_id if leaving else None

    def end_foreign_instances(self, count: int) -> None:
        """EC2 tells of instances that are in no group of ours."""
        self.count("EC2: burst of foreign instances")
        for number in range(count):
            event = shutting_down_event(f"{FOREIGN}{number:09x}")
            self.deliveries.append(Delivery(event, self.clock()))

    def double_a_message(self, queue: str) -> None:
        """Put a message on its queue a second time, as a standard queue may."""
        for body in list(self.messages(queue))[:1]:
            self.count("SQS: message duplicated")
            self.put(queue, body)

    @property
    def is_calm(self) -> bool:
        """Whether nothing is left to do but what the operator was paged for."""
        if self.deliveries or any(True for _ in self.messages("interruption", *self.stages)):
            return False
        waiting = [one for one in self.promises.lives.values() if one.waits_in is not None]
        return all(self.promises.is_reported(one.instance_id) for one in waiting)

    def advance(self, seconds: float, step: float = 5.0) -> None:
        """Let time pass; everything that is due happens, and every promise is checked."""
        COUNTS.virtual_seconds += seconds
        super().advance(seconds, step)

    def _turn(self) -> None:
        self.world.tick()
        self.monitoring.catch_up()
        self._relent()
        self.play()
        self.promises.check_messages()
        self.promises.enforce()

    def _read_journal(self) -> None:
        """The witness has read it already."""

    def _relent(self) -> None:
        """End an outage of AWS before it has lasted as long as a hook's time."""
        if self._least_left() < LEAST_LEFT_SECONDS:
            self.end_outages()

    def can_go_without_functions(self, seconds: float) -> bool:
        """Tell whether enough of every hook's time is left for it."""
        return self._least_left() - seconds >= LEAST_LEFT_SECONDS

    def _least_left(self) -> float:
        """Return in how many seconds the first hook expires that no policy retains after."""
        passages = self.group.waits._passages.values()
        return min(
            (
                action.timer.due - self.clock()
                for passage in passages
                for action in passage.actions.values()
                if not (self.shape.retains and _is_retained_after(passage, action))
            ),
            default=math.inf,
        )

    def after_invocation(self, event: Mapping[str, Any]) -> None:
        """Look at what a function called."""
        self.promises.check_heartbeats(event.get("Records", []))
        if self.shape.readiness:
            self.launches.read_log()

    # The instances.

    def _run_script(self, assignment: Assignment) -> Report:
        """What the flush document answers on an instance."""
        self.monitoring.catch_up()
        if self.bad_reports:
            self.bad_reports -= 1
            self.count("SSM: an answer that is none")
            return Report(output="Killed\n", seconds=2.0)
        if self.slow_scripts:
            self.count("SSM: a script that is not done in time")
        fluentd = self.fluentds[assignment.instance_id]
        said = found_by_script(fluentd, self.clock(), self.shape.quiet_seconds)
        seconds = 30.0 if self.slow_scripts else 2.0
        return Report(output=json.dumps(said) + "\n", seconds=seconds)

    def _new_fluentd(self) -> Fluentd:
        fluentd = Fluentd(
            traffic=self.shape.traffic,
            workers=[Worker() for _ in range(self.shape.workers)],
            flight_seconds=self.shape.flight_seconds,
            now=self.clock(),
        )
        fluentd.boot(self.shape.boot_seconds)
        return fluentd

    def _launch(self, instance_id: str, address: str) -> None:
        fluentd = self._new_fluentd()
        self.promises.lives[instance_id] = Life(instance_id)
        self.fluentds[instance_id] = fluentd
        self.monitoring.watch(instance_id, address, fluentd)
        if self.shape.scraping is not None:
            self.monitoring.targets[instance_id].scraping = self.shape.scraping

    def _let_go(self, fluentd: Fluentd) -> None:
        if fluentd.lets_go_at is None:
            fluentd.lets_go_at = self.world.now + self.shape.propagation_seconds + self.shape.lag

    def _witness(self, entry: Mapping[str, Any]) -> None:
        """Something happened in the emulated cloud."""
        event, instance_id = entry["event"], entry["instance_id"]
        is_others = entry.get("autoscaling_group_name") == OTHER_GROUP
        if is_others and instance_id not in self.promises.lives:
            return  # what another group launches
        if event == "launched":
            self._launch(instance_id, entry["address"])
        life = self.promises.lives[instance_id]
        life.witness(event, entry["at"])
        self.launches.witness(life, entry)
        self._tell_forwarders(event, instance_id)
        if event == "deregistered" and self.shape.keeps_last:
            self.promises.check_successor(life, entry["service_id"])
        if event == "killed":
            self._killed(life, self.fluentds[instance_id])
        elif event in {"completed", "expired"}:
            if event == "expired":
                self.promises.hook_expired(life)
            if entry["lifecycle_hook_name"] == TERMINATE_HOOK:
                self.promises.wait_ends(life, event)
        elif event in self._ends:
            self._ends[event](life)

    @property
    def _ends(self) -> dict[str, Callable[[Life], None]]:
        return {
            "root_volume_replaced": self._replace_volume,
            "stopped": self._stop,
            "terminated": self._end,
        }

    def _end(self, life: Life) -> None:
        self.promises.instance_ends(life)
        self.monitoring.catch_up()
        self.fluentds[life.instance_id].ended_at = self.clock()

    def _stop(self, life: Life) -> None:
        life.stopped = life.has_stopped = True
        self.fluentds[life.instance_id].stop()

    def _replace_volume(self, life: Life) -> None:
        """All that its disk held is gone; forwarders that know it go on sending."""
        self.monitoring.catch_up()
        old = self.fluentds[life.instance_id]
        self.promises.volume_is_replaced(life)
        new = self._new_fluentd()
        new.receives, new.lets_go_at = old.receives, old.lets_go_at
        self.fluentds[life.instance_id] = new
        self.monitoring.targets[life.instance_id].fluentd = new

    def _killed(self, life: Life, fluentd: Fluentd) -> None:
        self.monitoring.catch_up()
        if not (life.killed or life.terminated):
            life.lost_logs = fluentd.holds or fluentd.may_receive(self.clock())
        if self.shape.unnoticed_seconds:
            self.count("instance: killed, which its group notices late")
        life.killed = fluentd.is_gone = True

    def _tell_forwarders(self, event: str, instance_id: str) -> None:
        """Let forwarders follow service discovery, or the group if the fleet is in none."""
        fluentd = self.fluentds[instance_id]
        in_cloud_map = "operation" in self.stages
        if event == ("registered" if in_cloud_map else "in_service"):
            fluentd.receives, fluentd.lets_go_at = True, None
            if fluentd.boots_at is not None:
                self.count("forwarders: learn of an instance that boots")
        elif event == "deregistered" and instance_id in self.registered_ids():
            self.count("Cloud Map: moved to another shard")
        elif event == "killed" or (
            event == "deregistered" if in_cloud_map else hook_of(event) == TERMINATE_HOOK
        ):
            self._let_go(fluentd)


def found_by_script(fluentd: Fluentd, now: float, quiet_seconds: float) -> dict[str, Any]:
    """What the flush document finds on an instance, once it has sent its signal."""
    if fluentd.is_running:
        fluentd.signal()
    chunks = list(fluentd.chunks())
    is_retrying = bool(chunks) and not fluentd.destination_up
    monitor = machines.monitor(
        queued=sum(len(one.queued) for one in fluentd.workers),
        bytes=sum(chunks),
        retrying=int(is_retrying),
        retry_next_at=now + 20 if is_retrying else None,
    )
    return machines.answer(
        signalled=fluentd.is_running,
        chunks=len(chunks),
        bytes=sum(chunks),
        set_aside=fluentd.set_aside,
        quiet=fluentd.was_quiet_for(quiet_seconds),
        monitor=monitor if fluentd.is_running else None,
    )


def _is_retained_after(passage: Any, action: Any) -> bool:
    """No policy retains a root volume."""
    return action.hook.name == TERMINATE_HOOK and passage.journey is not REPLACE


_client = account._client


@cache
def _witnessed_client(service: str, config: Any = None) -> Any:
    client = _client(service, config)
    client.meta.events.register("before-parameter-build", CALLS.before_build)
    client.meta.events.register("before-call", CALLS.before_call)
    client.meta.events.register_last("before-call", _SHORTCUT)
    client.meta.events.register("after-call", CALLS.after_call)
    return client


@contextmanager
def model_cloud(shape: Shape) -> Iterator[Cloud]:
    """An empty account with the pipeline of a shape in it, and nothing wrong yet."""
    # Ids decide, too (who moves, who comes first): the same history must find the same ones again.
    mock_random.seed(repr(shape))
    CALLS.is_in_function, CALLS.deaths = False, []
    _SHORTCUT.world = None
    keep_moto_patched()
    with (
        patch.object(account, "_client", _witnessed_client),
        patch.object(shards, "MOST_IN_A_SHARD", SHARD_SIZE),
        account.running(Cloud) as cloud,
    ):
        _SHORTCUT.world = cloud.world
        cloud.prepare(shape)
        yield cloud
    _SHORTCUT.world = None
    # moto keeps every model it ever made, and caches some: each holds a world, in a soak gigabytes.
    reset_model_data()
    vars(cloud).clear()
