"""What must hold whatever breaks, checked the moment that it could be broken."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Any, Protocol

from lifecycle.telemetry import LogEvent
from tests.model.counting import COUNTS
from tests.model.deaths import CALLS
from tests.model.fluentd import Fluentd
from tests.model.monitoring import NEIGHBOUR_PORT, Monitoring
from tests.model.shapes import HOOK_SECONDS, SHARD_SIZE, Shape
from tests.support.functions import InProcess, Invoking
from tests.support.histories import START
from tests.support.messages import FOREIGN, LAUNCH_HOOK, TERMINATE_HOOK
from tests.support.recording import RecordingTelemetry

# Each is counted by a metric that has an alarm; a failed correction fails the reconciler's run.
_ALARMING = {
    LogEvent.LIFECYCLE_ACTION_EXPIRED,
    LogEvent.UNCLEAN_TERMINATION,
    LogEvent.CORRECTION_FAILED,
}
# What pages before anything has happened yet.
_WARNING = {*_ALARMING, LogEvent.CHECK_MESSAGE_DEAD_LETTERED}
# A third of the hook's time is left, or two polls have run: an event can be later than that.
_LEFT_SECONDS = HOOK_SECONDS / 3
_TWO_POLLS_SECONDS = 60


@dataclass
class Life:
    """What became of one instance, as the world tells it."""

    instance_id: str
    waits_in: str | None = None  # the hook that holds it
    waits_since: float = 0.0
    has_message: bool = False  # a check message of this wait was seen
    has_message_since: float = 0.0
    paged_at: float | None = None  # first of this wait
    was_leaving: bool = False
    volume_at_stake: bool = False  # the hook that holds it is followed by a new root volume
    lost_volume: bool = False  # its root volume was replaced while it held a log
    stopped: bool = False
    has_stopped: bool = False  # once; what was asked for then may come about when it runs again
    released: bool = False
    served: bool = False  # since its launch, or since its root volume was replaced
    killed: bool = False
    lost_logs: bool = False  # killed while it held a log, or received
    has_notice: bool = False  # AWS said that it may take it away
    is_reclaimed: bool = False  # AWS said that it takes it away
    terminated: bool = False
    has_left: bool = False  # detached from the group
    is_moved: bool = False  # and attached to another one
    is_owned: bool = True  # when it left, its tag named the module

    def witness(self, event: str, at: float) -> None:
        """Take down an entry of the journal that a wait begins or ends with."""
        if hook_of(event) is not None:
            self.waits_in, self.has_message, self.paged_at = hook_of(event), False, None
            self.waits_since = at
            self.was_leaving = self.was_leaving or hook_of(event) == TERMINATE_HOOK
            self.volume_at_stake = event == "replacing_root_volume_wait"
            self.served = self.served and event != "pending_wait"
        elif event == "in_service":
            self.served = True
        elif event in {"completed", "expired", "terminated"}:
            self.waits_in = None

    @property
    def ended_by_itself(self) -> bool:
        """Whether it ended without the pipeline, or is about to."""
        gone = self.terminated and not self.released
        return self.killed or self.is_reclaimed or self.stopped or gone or self.has_left

    def end(self, reported: object, state: str | None) -> str:
        """Say in a few words what became of it."""
        if self.has_left:
            return "left its group, reported" if reported else "left its group"
        if self.killed:
            return "killed behind the hook, reported" if reported else "killed behind the hook"
        if self.released:
            return "released"
        if reported:
            return "retained, reported" if "Retained" in str(state) else "reported"
        return "in service" if state == "InService" else "launch abandoned"


class Observed(Protocol):
    """What the promises are checked against."""

    shape: Shape
    monitoring: Monitoring
    evidence: InProcess
    telemetry: RecordingTelemetry
    fluentds: dict[str, Fluentd]
    given_up: list[dict[str, Any]]

    @property
    def now(self) -> float:
        """Epoch seconds."""

    def members(self) -> dict[str, set[str]]:
        """The instances in each service."""

    def registered_ids(self) -> set[str]:
        """The instances in service discovery."""

    def messages(self, *queues: str) -> Iterator[str]:
        """The bodies on these queues."""

    def states(self) -> dict[str, str]:
        """Lifecycle states by instance id."""


@dataclass
class Promises:
    """The promises, and what was seen of their being kept."""

    cloud: Observed
    lives: dict[str, Life] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    _lines_seen: int = 0
    _alarmed: set[str] = field(default_factory=set)
    _left: set[str] = field(default_factory=set)
    _errors_told: set[str] = field(default_factory=set)

    def check(self, promise: str, kept: object, about: str = "") -> None:
        """Count a check, and remember a promise that is broken: no handler may swallow it."""
        COUNTS.checks[promise] += 1
        if not kept:
            self.broken.append(f"broken {self.cloud.now - START:.0f} s in: {promise} {about}")

    def enforce(self) -> None:
        """Fail if a promise was broken."""
        assert not self.broken, "; ".join(self.broken)

    def is_reported(self, instance_id: str) -> bool:
        """Whether an alarm has paged about it."""
        self._read_log()
        if instance_id in self._alarmed:
            return True
        if any(instance_id in json.dumps(one) for one in self.cloud.given_up):
            return True
        queues = ("interruption", *self.cloud.shape.stages)
        dead = self.cloud.messages(*(f"{queue}-dlq" for queue in queues))
        return any(instance_id in body for body in dead)

    def _read_log(self) -> None:
        lines = self.cloud.telemetry.lines
        for line in lines[self._lines_seen :]:
            instance_id = str(line.fields.get("instance_id"))
            if line.event in _ALARMING:
                self._alarmed.add(instance_id)
            if line.event is LogEvent.INSTANCE_LEFT_GROUP:
                self._left.add(instance_id)
                if line.fields.get("state") in {"shutting-down", "terminated"}:
                    self._alarmed.add(instance_id)
            fails = line.event is LogEvent.HEARTBEAT_FAILED and line.level == "ERROR"
            life = self.lives.get(instance_id)
            if life is not None and life.paged_at is None and (fails or line.event in _WARNING):
                life.paged_at = line.at
            if line.event is LogEvent.OUTPUT_ERRORS_ROSE:
                self._errors_told.add(instance_id)
            if line.event is LogEvent.BUFFER_VERDICT:
                blamed = f":{NEIGHBOUR_PORT}" in str(line.fields.get("detail"))
                self.check("another exporter keeps no instance", not blamed, instance_id)
        self._lines_seen = len(lines)

    def wait_ends(self, life: Life, event: str) -> None:
        """The terminate hook lets an instance go: by a completion, or because it expired."""
        if event == "completed":
            life.released = True
            if not life.killed:
                self._check_release(life.instance_id)
        elif not self._is_retained(life) and not life.killed:
            self.check("a hook never expires unreported", self.is_reported(life.instance_id))

    def hook_expired(self, life: Life) -> None:
        """A hook's time is over: the operator that was paged had time to act.

        Without the retention policy only: with it outages last as long as they like.
        """
        if self._is_retained(life) or life.killed or not life.has_message:
            return
        self._read_log()
        latest = max(self.cloud.now - _LEFT_SECONDS, life.has_message_since + _TWO_POLLS_SECONDS)
        in_time = life.paged_at is not None and life.paged_at <= latest
        self.check("the page comes a third of the hook's time before its end", in_time)

    def _is_retained(self, life: Life) -> bool:
        """Whether its group keeps it when its hook expires; no policy keeps a root volume."""
        return self.cloud.shape.retains and not life.volume_at_stake

    def volume_is_replaced(self, life: Life) -> None:
        """Its root volume is gone; whatever it was, it begins anew."""
        if not (life.killed or life.released):
            life.lost_volume = life.lost_volume or self.cloud.fluentds[life.instance_id].holds
        life.released = life.was_leaving = life.volume_at_stake = False

    def check_successor(self, life: Life, service_id: str) -> None:
        """An instance left a service: forwarders would not notice if none were left in it.

        Nothing is promised once AWS, or a hook that expired, has taken any of them away.
        """
        lives = self.lives.values()
        if not any(one.ended_by_itself or one.has_stopped for one in lives):
            is_led = self.cloud.members()[service_id]
            self.check("the last of a service waits for a successor", is_led, life.instance_id)

    def instance_ends(self, life: Life) -> None:
        """An instance is gone, however it ended."""
        life.terminated = True
        if not (life.killed or life.released):
            harmless = not self.cloud.fluentds[life.instance_id].holds
            kept = harmless or self.is_reported(life.instance_id)
            self.check("no log ends with its instance unreported", kept, life.instance_id)

    def _check_release(self, instance_id: str) -> None:
        cloud, fluentd = self.cloud, self.cloud.fluentds[instance_id]
        cloud.monitoring.catch_up()
        self.check("never released while registered", instance_id not in cloud.registered_ids())
        self.check("never released while it holds a log", not fluentd.holds, instance_id)
        self.check("never released while it receives", not fluentd.may_receive(cloud.now))
        if fluentd.set_aside and "flush" in cloud.shape.stages:
            self.check("never released with backed-up chunks", False, instance_id)
        if cloud.shape.stages[-1] == "buffer":
            is_partial = cloud.monitoring.was_partial.get(instance_id, False)
            self.check("never released on a partial answer", not is_partial, instance_id)
            is_answered = cloud.evidence.invoking is Invoking.SOUND
            self.check("never released on an answer to another question", is_answered, instance_id)
        if cloud.shape.stages[-1] == "buffer" and self._errors_in_sight(instance_id):
            self._read_log()
            told = instance_id in self._errors_told
            self.check("what Fluentd dropped by itself is reported", told, instance_id)

    def _errors_in_sight(self, instance_id: str) -> bool:
        """Whether the samples that the verdict saw show a rise of num_errors."""
        since = self.cloud.now - self.cloud.shape.range_seconds
        for (name, _, _), samples in self.cloud.monitoring.targets[instance_id].samples.items():
            if name.endswith("num_errors"):
                seen = [value for at, value in samples if at > since]
                if any(later > earlier for earlier, later in pairwise(seen)):
                    return True
        return False

    def check_messages(self) -> None:
        """A wait whose pipeline was started has a check message somewhere, always.

        But for a launch of one that was killed: it can neither serve nor be drained.
        """
        dead = [*self.cloud.messages("interruption-dlq"), *map(json.dumps, self.cloud.given_up)]
        self.check("a foreign instance never pages", not any(FOREIGN in body for body in dead))
        waiting = [
            life
            for life in self.lives.values()
            if life.waits_in is not None and not (life.killed and life.waits_in == LAUNCH_HOOK)
        ]
        if not waiting:
            return
        stages = self.cloud.shape.stages
        bodies = self.cloud.messages(*stages, *(f"{stage}-dlq" for stage in stages))
        begun = [_about(body) for body in bodies]
        for life in waiting:
            transition = "launching" if life.waits_in == LAUNCH_HOOK else "terminating"
            # One of an earlier wait may be left, and end with it, while this one's event was lost.
            is_there = any(
                (instance_id, way) == (life.instance_id, transition) and at > life.waits_since - 1
                for instance_id, way, at in begun
            )
            if is_there and not life.has_message:
                life.has_message, life.has_message_since = True, self.cloud.now
            if life.has_message:
                self.check("no check message is lost", is_there, life.instance_id)

    def check_heartbeats(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Within one invocation no heartbeat follows a completion."""
        bodies = [record["body"] for record in records]
        completed: set[str] = set()
        for action, params, succeeded in CALLS.made:
            instance_id = params.get("InstanceId", "")
            if action == "CompleteLifecycleAction" and succeeded:
                completed.add(instance_id)
            if action == "RecordLifecycleActionHeartbeat":
                is_late = instance_id in completed
                alone = sum(instance_id in body for body in bodies) <= 1
                self.check("no heartbeat follows a completion", not (alone and is_late))

    def check_ends(self) -> None:
        """Everything has come to rest: what became of each instance was reported or proven."""
        registered, states = self.cloud.registered_ids(), self.cloud.states()
        for instance_id, life in self.lives.items():
            reported, state = self.is_reported(instance_id), states.get(instance_id)
            if life.was_leaving:
                known = life.released or reported or life.killed
                self.check("every instance ends released or reported", known, instance_id)
            known = life.served or life.was_leaving or life.killed or life.has_left or reported
            self.check("every launch ends in service or reported", known, instance_id)
            if life.has_left and life.is_owned and not life.terminated:
                # One that AWS takes may be gone before the reconciler's next run.
                known = instance_id in self._left or (life.is_reclaimed and bool(reported))
                self.check("who has left the group is reported", known)
            if life.lost_logs and life.is_owned:
                self.check("who is killed with a log is reported", reported, instance_id)
            if life.lost_volume:
                self.check("no log goes with its root volume unreported", reported, instance_id)
            in_cloud_map = "operation" in self.cloud.shape.stages
            if state == "InService" and in_cloud_map and not life.has_notice:
                is_in = instance_id in registered
                self.check("who is in service is registered", is_in, instance_id)
            if life.terminated and life.is_owned:
                is_out = instance_id not in registered
                self.check("who is gone is not registered", is_out, instance_id)
            COUNTS.ends[life.end(reported, state)] += 1
        if self.cloud.shape.shards > 1:
            self._check_shards(states)

    def _check_shards(self, states: dict[str, str]) -> None:
        serving = {one for one, state in states.items() if state == "InService"}
        sizes = [len(ids & serving) for ids in self.cloud.members().values()]
        is_even = max(sizes) <= SHARD_SIZE or min(sizes) >= SHARD_SIZE
        self.check("no shard is overfull while another has room", is_even, f"{sizes}")
        is_served = min(sizes) > 0 or max(sizes) < 2
        self.check("no shard stands empty while another can spare one", is_served, f"{sizes}")


@lru_cache(maxsize=4096)
def _about(body: str) -> tuple[str, str, float]:
    """Of which instance and transition a message is, and when that wait began."""
    try:
        action = json.loads(body)["action"]
        return action["instance_id"], action["transition"], action["started_at"]
    except (ValueError, KeyError, TypeError):
        return "", "", 0.0


def hook_of(event: str) -> str | None:
    """The hook that holds an instance after this event of the journal, None if none does."""
    hooks = {
        "pending_wait": LAUNCH_HOOK,
        "terminating_wait": TERMINATE_HOOK,
        "replacing_root_volume_wait": TERMINATE_HOOK,
    }
    return hooks.get(event)
