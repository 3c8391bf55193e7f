"""Heartbeats, and what is known of those that failed.

The first failed heartbeat of an instance writes a tag on it, the next success removes the tag. In
this way the deadline of its hook is known without a state of the waiter's own, and a heartbeat that
is recorded costs no further call.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lifecycle.adapters.autoscaling import AutoScaling, Heartbeat
from lifecycle.adapters.instances import Instances
from lifecycle.decisions.heartbeats import (
    Failing,
    HookClock,
    Receive,
    Silence,
    Urgency,
    failing_now,
    is_in_a_row,
    read_failing,
    unknown_silence,
)
from lifecycle.decisions.instance import Instance
from lifecycle.decisions.marks import written
from lifecycle.errors import UnexpectedState
from lifecycle.messages import LifecycleAction, Transition
from lifecycle.telemetry import LogEvent, Metric, Runtime


@dataclass(slots=True)
class Heartbeats:
    """Sends the heartbeats of one stage.

    ``_tagged`` only says which tags this process has seen and so can remove: one that it misses is
    found out by what it says (``is_in_a_row``).
    """

    autoscaling: AutoScaling
    instances: Instances
    hooks: Mapping[Transition, HookClock]
    runtime: Runtime
    _tagged: set[str] = field(default_factory=set, init=False)
    _batch: Sequence[str] = field(default=(), init=False)
    _described: Mapping[str, Instance] | Exception | None = field(default=None, init=False)

    def begin(self, instance_ids: Sequence[str]) -> None:
        """Take the instances of a batch: if tags have to be read, one call reads those of all."""
        self._batch, self._described = instance_ids, None

    def send(self, action: LifecycleAction, receive: Receive) -> tuple[Heartbeat, Silence | None]:
        """Send a heartbeat; return its outcome and, if it failed, since when none was recorded.

        Never raises. A failure is counted at once: what it is about may also end this invocation.
        """
        outcome, answer = self.autoscaling.record_heartbeat(action)
        if outcome is Heartbeat.RECORDED:
            self._remove_tag(action)
            return outcome, None
        fields = {
            **action.log_fields(),
            "message_id": receive.message_id,
            "receive_count": receive.count,
            "outcome": outcome,
            "answer": answer,
        }
        if outcome is Heartbeat.NO_ACTIVE_ACTION:
            self.runtime.telemetry.warning(LogEvent.HEARTBEAT_FAILED, **fields)
            return outcome, None
        silence = self._silence(action, receive)
        self._report(silence, fields, receive.at)
        return outcome, silence

    def _report(self, silence: Silence, fields: Mapping[str, object], now: float) -> None:
        telemetry, urgency = self.runtime.telemetry, silence.urgency(now)
        log = telemetry.warning if urgency is Urgency.FIRST else telemetry.error
        log(
            LogEvent.HEARTBEAT_FAILED,
            **fields,
            failing_since=written(silence.since),
            kept_until=written(silence.kept_until),
        )
        telemetry.measure(Metric.HEARTBEATS_FAILED, urgency)
        telemetry.flush()

    def _silence(self, action: LifecycleAction, receive: Receive) -> Silence:
        """Return since when no heartbeat was recorded, and keep it in the tag."""
        hook, started_at = self.hooks[action.transition], action.started_at
        try:
            before = self._read_tag(action.instance_id)
        except Exception as error:  # noqa: BLE001 (unknown is the longest silence that is possible)
            self._tag_failed(action, error)
            return unknown_silence(receive, hook, started_at)
        is_repeated = is_in_a_row(before, receive, hook, started_at)
        failing = failing_now(before, receive, hook, started_at)
        try:
            self.instances.write_failing_heartbeats(action.instance_id, failing)
        except Exception as error:  # noqa: BLE001 (the next failure would pass for the first one)
            self._tag_failed(action, error)
            if not is_repeated:
                return unknown_silence(receive, hook, started_at)
        return Silence(failing.since, is_repeated=is_repeated, hook=hook)

    def _read_tag(self, instance_id: str) -> Failing | None:
        if self._described is None:
            try:
                self._described = self.instances.describe(self._batch)
            except Exception as error:  # noqa: BLE001 (raised below, for each of the batch)
                self._described = error
        if isinstance(self._described, Exception):
            raise self._described
        if instance_id not in self._described:
            raise UnexpectedState(f"EC2 does not know {instance_id}")
        value = self._described[instance_id].failing_heartbeats
        self._tagged.add(instance_id)
        return read_failing(value)

    def _remove_tag(self, action: LifecycleAction) -> None:
        if action.instance_id not in self._tagged:
            return
        try:
            self.instances.remove_failing_heartbeats(action.instance_id)
        except Exception as error:  # noqa: BLE001 (the next success tries again)
            self._tag_failed(action, error)
        else:
            self._tagged.discard(action.instance_id)

    def _tag_failed(self, action: LifecycleAction, error: Exception) -> None:
        self.runtime.telemetry.warning(
            LogEvent.MARK_FAILED,
            **action.log_fields(),
            mark="failing_heartbeats",
            reason=f"{type(error).__name__}: {error}",
        )
