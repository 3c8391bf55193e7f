"""Handles instances that end without a lifecycle hook: Spot interruptions, console terminations.

A hook stops neither a Spot interruption nor a termination in EC2's console. Such an instance is
deregistered, flushed and counted at once. Nothing here ever releases an instance.
EC2 tells within seconds that an instance ends, any instance of the account; Auto Scaling tells when
it has noticed, a minute or more later. On the first word a dead one leaves service discovery, on
the second its end is judged and counted.
EventBridge invokes it asynchronously, at least once. Whatever it raises, Lambda tries again twice,
then sends the event to the function's on-failure destination, which has an alarm.
"""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TypeVar

from lifecycle.adapters.autoscaling import AutoScaling, Membership
from lifecycle.adapters.cloud_map import CloudMap
from lifecycle.adapters.instances import Instances
from lifecycle.adapters.run_command import RunCommand
from lifecycle.decisions.instance import Instance
from lifecycle.decisions.interruption import Ending, Traces, how_it_ended
from lifecycle.decisions.marks import Mark, MarkKind
from lifecycle.decisions.states import (
    has_left,
    is_known,
    is_leaving,
    may_serve,
    require_known,
)
from lifecycle.errors import AgentNotReachable, Malformed
from lifecycle.events import Interruption, Location, Signal, parse_interruption
from lifecycle.flows.stage import Discovery
from lifecycle.settings import InterruptionSettings
from lifecycle.telemetry import LogEvent, Metric, Runtime

# EC2's answers can be a moment older than its events ("eventual consistency" in its API reference).
_LOOKS = 3
_LOOK_AGAIN_SECONDS = 2.0

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class InterruptionHandler:
    """Everything the handler touches.

    ``discovery`` is None for a fleet that is not in Cloud Map, ``run_command`` for one that is not
    flushed on the instance.
    """

    settings: InterruptionSettings
    autoscaling: AutoScaling
    instances: Instances
    discovery: Discovery | None
    run_command: RunCommand | None
    runtime: Runtime

    def handle(self, event: object) -> None:
        """Do what is left to do for the instance of an event.

        Raises Malformed for an event of another form, and the first thing that AWS refused, once
        everything else is done: the event is then delivered again, and all of it can be repeated.
        """
        try:
            interruption = parse_interruption(event)
        except Malformed as error:
            self.runtime.telemetry.error(LogEvent.INTERRUPTION_INVALID, reason=str(error))
            raise
        self.runtime.telemetry.info(LogEvent.INTERRUPTION_RECEIVED, **interruption.log_fields())
        try:
            member = self.autoscaling.membership(interruption.instance_id)
            reason = self._why_not_ours(interruption, member)
            if reason is not None:
                self._ignore(interruption, reason)
            elif interruption.signal.is_notice:
                assert member is not None  # else it is not ours
                self._take_out(interruption, member)
            elif interruption.signal.is_state_change:
                assert member is not None  # else it is not ours
                self._take_out_dead(interruption, member)
            else:
                self._account_for(interruption, member)
        finally:
            self.runtime.telemetry.flush()

    def _why_not_ours(self, interruption: Interruption, member: Membership | None) -> str | None:
        ours = self.settings.autoscaling_group_name
        if interruption.signal.is_from_ec2:
            if member is None:
                return "in no Auto Scaling group"
            return None if member.autoscaling_group_name == ours else "another Auto Scaling group"
        if interruption.autoscaling_group_name != ours:
            return "another Auto Scaling group"
        if interruption.destination == Location.WARM_POOL:
            return "it went into the warm pool"
        if interruption.destination == Location.AUTO_SCALING_GROUP:
            return "it stays in its group"
        if member is not None and may_serve(member.state):
            # The termination failed, or is of an earlier life in a warm pool.
            return f"it is {member.state}"
        return None

    def _take_out(self, notice: Interruption, member: Membership) -> None:
        """Deal with an instance that still runs; the most urgent first."""
        attempts = _Attempts(notice, self.runtime)
        stays = attempts.make("look for others", lambda: self._must_stay(notice, member))
        if stays is False:
            attempts.make("deregister", lambda: self._deregister(notice))
        attempts.make("flush", lambda: self._flush(notice))
        if stays is False:
            attempts.make("count", lambda: self._count_notice(notice, member))
        elif stays:
            self._ignore(notice, "no other registered instance is in service")
        attempts.finish()

    def _must_stay(self, notice: Interruption, member: Membership) -> bool:
        """Tell whether taking it out would empty the service for a mere recommendation.

        Forwarders ignore an empty answer anyway, and it may live on for long. It is marked before
        the look: of several that are recommended at the same moment, none relies on another.
        """
        is_urgent = notice.signal is not Signal.REBALANCE_RECOMMENDATION
        if is_urgent or self.discovery is None or has_left(member.state):
            return False
        if is_leaving(member.state):  # the mark is that of its pipeline
            return not self._may_leave(notice, self.discovery)
        self.instances.mark(notice.instance_id, Mark(MarkKind.RECLAIMED, self.runtime.clock()))
        stays = True
        try:
            stays = not self._may_leave(notice, self.discovery)
        finally:
            if stays:  # as any instance in service
                self.instances.mark(
                    notice.instance_id, Mark(MarkKind.LAUNCHING, self.runtime.clock())
                )
        return stays

    def _may_leave(self, notice: Interruption, discovery: Discovery) -> bool:
        return discovery.placement.may_leave(
            notice.instance_id, notice.log_fields(), leaving=self._reclaimed
        )

    def _reclaimed(self, in_service: AbstractSet[str]) -> AbstractSet[str]:
        """Return those that EC2 takes away or does not show: no successor to count on."""
        described = self.instances.describe(sorted(in_service))
        stay = {
            one.id
            for one in described.values()
            if one.mark is None or one.mark.kind is not MarkKind.RECLAIMED
        }
        return in_service - stay

    def _deregister(self, interruption: Interruption) -> bool:
        """Take it out of service discovery; tell whether it was there."""
        if self.discovery is None:
            return False
        operation_id = self.discovery.cloud_map.deregister(interruption.instance_id)
        if operation_id is None:
            return False
        self.runtime.telemetry.info(
            LogEvent.DEREGISTRATION_REQUESTED,
            **interruption.log_fields(),
            operation_id=operation_id,
        )
        return True

    def _flush(self, notice: Interruption) -> None:
        """Send the flush command without waiting for its result."""
        if self.run_command is None:
            return
        try:
            command_id = self.run_command.send(notice.instance_id)
        except AgentNotReachable as error:
            # It may be gone already; trying again in a minute is no better.
            self.runtime.telemetry.warning(
                LogEvent.FLUSH_NOT_REQUESTED, **notice.log_fields(), reason=str(error)
            )
            return
        self.runtime.telemetry.info(
            LogEvent.FLUSH_REQUESTED, commands={notice.instance_id: command_id}
        )

    def _count_notice(self, notice: Interruption, member: Membership) -> None:
        """Count it, once, and tag it so that it is not registered again."""
        instance = self._instance(notice)
        mark = instance.mark if instance else None
        leaving = is_leaving(member.state)
        if leaving and mark is not None and mark.is_proof:
            self._ignore(notice, "it has been proven to hold nothing")
            return
        if instance is None or not instance.is_counted:
            self._count(notice, str(notice.signal), mark)
        # A pipeline that is under way keeps its own state tag, so that it is not started again.
        reclaimed = None if leaving else Mark(MarkKind.RECLAIMED, self.runtime.clock())
        self.instances.mark_counted(notice.instance_id, self.runtime.clock(), reclaimed)

    def _take_out_dead(self, end: Interruption, member: Membership) -> None:
        """Deal with an instance that EC2 ends or stops, also with the last one of its service.

        Nothing there accepts logs any more. Nothing is counted: the event of Auto Scaling that
        follows an end judges it by all that it left. What a stopped one holds is on its disk.
        """
        attempts = _Attempts(end, self.runtime)
        attempts.make("deregister", lambda: self._deregister_if_dead(end, member))
        attempts.finish()

    def _deregister_if_dead(self, end: Interruption, member: Membership) -> None:
        if self.discovery is None:
            self._ignore(end, "the fleet is in no service discovery")
            return
        instance = self._instance_once_down(end)
        if instance is not None and not instance.is_down:
            self._ignore(end, f"EC2 shows it as {instance.state}")
            return
        may_return = end.signal is Signal.STOPPING and may_serve(member.state)
        trace = MarkKind.LAUNCHING if may_return else MarkKind.RECLAIMED
        self._keep_trace(instance, trace, self.discovery.cloud_map)
        if not self._deregister(end):
            self._ignore(end, "it is not registered")

    def _instance_once_down(self, end: Interruption) -> Instance | None:
        """Look until EC2 shows what it told, a few times at most; None for one it does not know."""
        instance = self._instance(end)
        for _ in range(_LOOKS - 1):
            if instance is None or instance.is_down:
                break
            self.runtime.sleep(_LOOK_AGAIN_SECONDS)
            instance = self._instance(end)
        return instance

    def _keep_trace(self, instance: Instance | None, trace: MarkKind, cloud_map: CloudMap) -> None:
        """Mark one that only its registration shows to have served, as in an adopted fleet.

        With neither left, its end would pass for that of an abandoned launch. So what
        cannot be marked stays registered: until the next attempt, or Auto Scaling's event. One that
        stops may be started and registered again: it is not marked as reclaimed.
        """
        if instance is None or instance.mark is not None:
            return
        if instance.id in cloud_map.registered_instances():
            self.instances.mark(instance.id, Mark(trace, self.runtime.clock()))

    def _account_for(self, termination: Interruption, member: Membership | None) -> None:
        """Deal with an instance that is gone; one whose termination failed is left as it is."""
        is_unsuccessful = termination.signal is Signal.TERMINATION_UNSUCCESSFUL
        state = None if member is None else member.state
        if (is_unsuccessful or not is_known(state)) and self._lives(termination, member):
            require_known(termination.instance_id, state)
            self._ignore(termination, "it has not ended")
            return
        attempts = _Attempts(termination, self.runtime)
        was_registered = attempts.make("deregister", lambda: self._deregister(termination))
        # A deregistration that failed tells nothing: it may have been registered.
        registration = None if self.discovery is None else was_registered is not False
        attempts.make("count", lambda: self._count_end(termination, may_be_registered=registration))
        attempts.finish()

    def _lives(self, termination: Interruption, member: Membership | None) -> bool:
        instance = self._instance(termination)
        return instance is not None and not instance.is_ending and member is not None

    def _count_end(self, termination: Interruption, *, may_be_registered: bool | None) -> None:
        instance = self._instance(termination)
        mark = instance.mark if instance else None
        ending = how_it_ended(
            termination,
            Traces(
                is_known=instance is not None,
                mark=mark,
                is_counted=instance is not None and instance.is_counted,
                may_be_registered=may_be_registered,
            ),
        )
        if ending.is_unclean:
            self._count(termination, str(ending), mark)
            self._remember(termination)
        else:
            self._log_clean(termination, ending, mark)

    def _instance(self, interruption: Interruption) -> Instance | None:
        return self.instances.find(interruption.instance_id)

    def _count(self, interruption: Interruption, reason: str, mark: Mark | None) -> None:
        self.runtime.telemetry.error(
            LogEvent.UNCLEAN_TERMINATION,
            **interruption.log_fields(),
            autoscaling_group_name=self.settings.autoscaling_group_name,
            reason=reason,
            mark=None if mark is None else str(mark),
        )
        self.runtime.telemetry.measure(Metric.UNCLEAN_TERMINATION)

    def _remember(self, termination: Interruption) -> None:
        """Keep a second event of the same end from being counted, if EC2 lets us."""
        try:
            self.instances.mark_counted(termination.instance_id, self.runtime.clock(), None)
        except Exception as error:  # noqa: BLE001 (a terminated instance may take no tag)
            self.runtime.telemetry.warning(
                LogEvent.MARK_FAILED,
                **termination.log_fields(),
                mark="counted",
                reason=str(error),
            )

    def _log_clean(self, termination: Interruption, ending: Ending, mark: Mark | None) -> None:
        self.runtime.telemetry.info(
            LogEvent.INSTANCE_ENDED,
            **termination.log_fields(),
            reason=ending,
            mark=None if mark is None else str(mark),
        )

    def _ignore(self, interruption: Interruption, reason: str) -> None:
        self.runtime.telemetry.info(
            LogEvent.INTERRUPTION_IGNORED, **interruption.log_fields(), reason=reason
        )


class _Attempts:
    """Several things to do, none of which may keep the others from being done."""

    def __init__(self, interruption: Interruption, runtime: Runtime) -> None:
        self._interruption = interruption
        self._runtime = runtime
        self._first: Exception | None = None

    def make(self, what: str, attempt: Callable[[], _Answer]) -> _Answer | None:
        """Try one thing; None if it fails, which is logged."""
        try:
            return attempt()
        except Exception as error:  # noqa: BLE001 (raised again, when all has been tried)
            self._runtime.telemetry.warning(
                LogEvent.INTERRUPTION_STEP_FAILED,
                **self._interruption.log_fields(),
                step=what,
                reason=f"{type(error).__name__}: {error}",
            )
            self._first = self._first or error
            return None

    def finish(self) -> None:
        """Raise what failed first."""
        if self._first is not None:
            raise self._first
