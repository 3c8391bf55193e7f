"""What is left to do for an instance of ours that ends without its hook.

A hook stops neither a Spot interruption nor a termination in EC2's console. Such an instance is
deregistered, flushed and counted at once. Nothing here ever releases an instance.
EC2 reports within seconds that an instance ends; Auto Scaling reports it when it has noticed, a
minute or more later. At the first event the instance is deregistered, at the second its end is
judged and counted.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass

from lifecycle.adapters.instances import Instances
from lifecycle.adapters.run_command import RunCommand
from lifecycle.decisions.instance import Instance
from lifecycle.decisions.interruption import how_it_ended
from lifecycle.decisions.marks import MarkKind, was_proven
from lifecycle.decisions.ownership import Ownership
from lifecycle.decisions.states import has_left, is_known, is_leaving, may_serve, require_known
from lifecycle.errors import AgentNotReachable, UnexpectedState
from lifecycle.events import Interruption, Signal
from lifecycle.flows.marking import Marker
from lifecycle.flows.stage import Discovery
from lifecycle.telemetry import LogEvent, Metric, Runtime

# EC2's answers can be a moment older than its events ("eventual consistency" in its API reference).
_LOOKS = 3
_LOOK_AGAIN_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class SuddenEnds:
    """Everything that it takes.

    ``discovery`` is None for a fleet that is not in Cloud Map, ``run_command`` for one that is not
    flushed on the instance.
    """

    autoscaling_group_name: str
    instances: Instances
    marker: Marker
    discovery: Discovery | None
    run_command: RunCommand | None
    runtime: Runtime

    def act_on(
        self, event: Interruption, state: str | None, ownership: Ownership = Ownership.MEMBER
    ) -> None:
        """Do what is left to do for an instance, which is in this lifecycle state of its group.

        ``state`` is None for no member of a group. Raises the first thing that AWS refused, once
        everything else is done; all of it can be repeated.
        """
        _SuddenEnd(self, event, state, ownership).act()


class _SuddenEnd:
    """One event of one instance, and what failed of what it calls for."""

    def __init__(
        self, parts: SuddenEnds, event: Interruption, state: str | None, ownership: Ownership
    ) -> None:
        self._parts, self._event, self._state = parts, event, state
        self._ownership, self._signal = ownership, event.signal
        self._id, self._fields = event.instance_id, event.log_fields()
        self._discovery, self._marker = parts.discovery, parts.marker
        self._telemetry = parts.runtime.telemetry
        self._failures: list[Exception] = []

    def act(self) -> None:
        """Do what is left to do, the most urgent first; then raise what failed first."""
        if self._signal.is_notice:
            self._take_out()
        elif self._signal.is_state_change:
            if self._ownership.may_be_touched:
                with self._attempt("deregister"):
                    self._take_out_dead()
            if self._ownership.is_out_of_group and self._signal is Signal.SHUTTING_DOWN:
                with self._attempt("count"):
                    self._count_end_outside()
        elif not self._lives():
            self._account_for()
        if self._failures:
            raise self._failures[0]

    @contextmanager
    def _attempt(self, step: str) -> Iterator[None]:
        """Keep what fails from hindering the other steps."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 (raised again, when all has been tried)
            reason = f"{type(error).__name__}: {error}"
            self._telemetry.warning(
                LogEvent.INTERRUPTION_STEP_FAILED, **self._fields, step=step, reason=reason
            )
            self._failures.append(error)

    def _take_out(self) -> None:
        """Deal with an instance that still runs."""
        stays: bool | None = None  # not known
        with self._attempt("find a successor"):
            stays = self._must_stay()
        if stays is False:
            with self._attempt("deregister"):
                self._deregister()
        with self._attempt("flush"):
            self._flush()
        if stays is False:
            with self._attempt("count"):
                self._count_notice()
        elif stays:
            self._ignore("no other registered instance is in service")

    def _must_stay(self) -> bool:
        """Tell whether taking it out would empty the service for a mere recommendation.

        Forwarders ignore an empty answer anyway, and it may live on for long. It is marked before
        the look: of several that are recommended at the same moment, none relies on another.
        """
        is_urgent = self._signal is not Signal.REBALANCE_RECOMMENDATION
        if is_urgent or self._discovery is None or has_left(self._state):
            return False
        has_own_mark = is_leaving(self._state)  # that of its pipeline
        if not has_own_mark:
            self._marker.put(self._id, MarkKind.RECLAIMED)
        stays = True
        try:
            stays = not self._discovery.placement.may_leave(self._id, self._fields, self._reclaimed)
        finally:
            if stays and not has_own_mark:  # as any instance in service
                self._marker.put(self._id, MarkKind.LAUNCHING)
        return stays

    def _reclaimed(self, in_service: AbstractSet[str]) -> AbstractSet[str]:
        """Return those that EC2 takes away or does not show: no successor to count on."""
        described = self._parts.instances.describe(sorted(in_service))
        return in_service - {one.id for one in described.values() if not one.is_reclaimed}

    def _deregister(self) -> bool:
        """Take it out of service discovery; tell whether it was there."""
        if self._discovery is None:
            return False
        operation_id = self._discovery.cloud_map.deregister(self._id)
        if operation_id is None:
            return False
        self._telemetry.info(
            LogEvent.DEREGISTRATION_REQUESTED, **self._fields, operation_id=operation_id
        )
        return True

    def _flush(self) -> None:
        """Send the flush command without waiting for its result; one that has left gets none."""
        if self._parts.run_command is None or self._ownership.is_out_of_group:
            return
        try:
            command_id = self._parts.run_command.send(self._id)
        except AgentNotReachable as error:
            # It may be gone already; trying again in a minute is no better.
            self._telemetry.warning(LogEvent.FLUSH_NOT_REQUESTED, **self._fields, reason=str(error))
        else:
            self._telemetry.info(LogEvent.FLUSH_REQUESTED, commands={self._id: command_id})

    def _count_notice(self) -> None:
        """Count it, once, and tag it so that it is not registered again."""
        instance, has_own_mark = self._find(), is_leaving(self._state)
        if has_own_mark and instance and was_proven(instance.mark):
            self._ignore("it has been proven to hold nothing")
            return
        if instance is None or not instance.is_counted:
            self._count(str(self._signal), instance)
        # A pipeline that is under way keeps its own state tag, so that it is not started again.
        self._marker.put_counted(self._id, None if has_own_mark else MarkKind.RECLAIMED)

    def _take_out_dead(self) -> None:
        """Deregister an instance that EC2 ends or stops, also the last one of its service.

        Nothing there accepts logs any more. Nothing is counted: the event of Auto Scaling that
        follows an end judges it by all that it left. What a stopped one holds is on its disk.
        """
        if self._discovery is None:
            self._ignore("the fleet is in no service discovery")
            return
        instance = self._find_once_down()
        if instance is not None and not instance.is_down:
            self._ignore(f"EC2 shows it as {instance.state}")
            return
        if instance is not None and instance.mark is None:
            self._keep_trace(self._discovery)
        if not self._deregister():
            self._ignore("it is not registered")

    def _count_end_outside(self) -> None:
        """Judge the end of one that has left our group: no event of Auto Scaling follows."""
        instance = self._find_once_down()
        if instance is not None and not instance.is_down:
            raise UnexpectedState(f"EC2 told that it ends, and shows it as {instance.state}")
        self._count_end(may_have_served=True)

    def _find_once_down(self) -> Instance | None:
        """Poll EC2 a few times until it shows the event's state; None if it does not know it."""
        instance = self._find()
        for _ in range(_LOOKS - 1):
            if instance is None or instance.is_down:
                break
            self._parts.runtime.sleep(_LOOK_AGAIN_SECONDS)
            instance = self._find()
        return instance

    def _keep_trace(self, discovery: Discovery) -> None:
        """Mark one that only its registration shows to have served, as in an adopted fleet.

        With neither left, its end would pass for that of an abandoned launch. So what
        cannot be marked stays registered: until the next attempt, or Auto Scaling's event. One that
        stops may be started and registered again: it is not marked as reclaimed.
        """
        if self._id in discovery.cloud_map.registered_instances():
            may_return = self._signal is Signal.STOPPING and may_serve(self._state)
            self._marker.put(self._id, MarkKind.LAUNCHING if may_return else MarkKind.RECLAIMED)

    def _lives(self) -> bool:
        """Tell whether its termination failed, or its state is not known, and EC2 shows it alive.

        Raises UnexpectedState for one that lives in a state that is not known.
        """
        failed = self._signal is Signal.TERMINATION_UNSUCCESSFUL
        if self._state is None or (is_known(self._state) and not failed):
            return False
        instance = self._find()
        if instance is None or instance.is_ending:
            return False
        require_known(self._id, self._state)
        self._ignore("it has not ended")
        return True

    def _account_for(self) -> None:
        """Deal with an instance that is gone."""
        may_have_served = True  # also if the deregistration fails: that tells nothing
        with self._attempt("deregister"):
            may_have_served = self._deregister() or self._discovery is None
        with self._attempt("count"):
            self._count_end(may_have_served=may_have_served)

    def _count_end(self, *, may_have_served: bool) -> None:
        instance = self._find()
        ending = how_it_ended(self._event, instance, may_have_served=may_have_served)
        if not ending.is_unclean:
            self._telemetry.info(
                LogEvent.INSTANCE_ENDED, **self._fields, reason=ending, mark=_mark_of(instance)
            )
            return
        self._count(str(ending), instance)
        with self._marker.logged("counted", self._fields):  # a second event must not count it
            self._marker.put_counted(self._id, None)

    def _find(self) -> Instance | None:
        return self._parts.instances.find(self._id)

    def _ignore(self, reason: str) -> None:
        self._telemetry.info(LogEvent.INTERRUPTION_IGNORED, **self._fields, reason=reason)

    def _count(self, reason: str, instance: Instance | None) -> None:
        self._telemetry.error(
            LogEvent.UNCLEAN_TERMINATION,
            **self._fields,
            autoscaling_group_name=self._parts.autoscaling_group_name,
            reason=reason,
            mark=_mark_of(instance),
        )
        self._telemetry.measure(Metric.UNCLEAN_TERMINATION)


def _mark_of(instance: Instance | None) -> str | None:
    return str(instance.mark) if instance and instance.mark else None
