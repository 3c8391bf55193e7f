"""Converges Cloud Map and the wait states with the group.

A schedule invokes it. It keeps nothing between two invocations: what one does not get done, the
next finds again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lifecycle.adapters.autoscaling import AutoScaling, Heartbeat
from lifecycle.adapters.cloud_map import CloudMap
from lifecycle.adapters.instances import Instances, address_of
from lifecycle.decisions.marks import MarkKind
from lifecycle.decisions.operation import fresh_request_id
from lifecycle.decisions.reconcile import (
    Correction,
    CorrectionKind,
    Sighting,
    Snapshot,
    can_wait,
    confirmed,
    correction_of,
    corrections,
)
from lifecycle.decisions.states import (
    is_entering_warm_pool,
    is_held,
    is_in_service,
    is_known,
    is_retained,
    require_known,
)
from lifecycle.errors import UnexpectedState
from lifecycle.flows.entrance import Entrance
from lifecycle.flows.marking import Marker
from lifecycle.flows.placement import Placement
from lifecycle.flows.stage import Discovery
from lifecycle.flows.standing import StandingCheck
from lifecycle.flows.survey import Survey
from lifecycle.messages import LifecycleAction, Transition
from lifecycle.settings import ReconcileMode, ReconcilerSettings
from lifecycle.telemetry import LogEvent, Metric, Runtime


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Everything the reconciler touches."""

    settings: ReconcilerSettings
    survey: Survey
    autoscaling: AutoScaling
    instances: Instances
    marker: Marker
    entrance: Entrance
    standing: StandingCheck
    runtime: Runtime

    @property
    def _discovery(self) -> Discovery | None:
        return self.entrance.discovery

    @property
    def _observes(self) -> bool:
        return self.settings.reconcile_mode is ReconcileMode.OBSERVE

    def handle(self, _event: object = None) -> None:
        """Take a snapshot, a second one if something is wrong, and correct what both call for.

        Raises UnexpectedState if a correction failed, or an instance is in an unknown lifecycle
        state (everything else was tried all the same), and what AWS raises during a snapshot: then
        nothing was corrected.
        """
        try:
            self._reconcile()
        finally:
            self.runtime.telemetry.flush()

    def _reconcile(self) -> None:
        snapshot = self.survey.snapshot()
        found: Sequence[Correction] = corrections(snapshot)
        if found:
            # A function that moves an instance right now is done with it then.
            self.runtime.sleep(self.settings.reconcile_grace_seconds)
            first, snapshot = snapshot, self.survey.snapshot()
            found = confirmed(first, snapshot)
        for correction in found:
            self.runtime.telemetry.warning(LogEvent.DISCREPANCY_FOUND, **self._fields(correction))
        made, failed = self._correct(found, snapshot)
        self._report(snapshot, found=len(found), made=made, failed=failed)
        if self._discovery is not None:
            self._balance(self._discovery.placement)
        self._mark_adopted(snapshot)
        self._report_left(snapshot)
        self._keep_unknown(snapshot)
        self.standing.run({one: snapshot.sightings[one].instance for one in snapshot.in_service})
        if failed:
            raise UnexpectedState(f"{failed} of {len(found)} corrections failed")
        for sighting in snapshot.in_unknown_states:
            require_known(sighting.id, sighting.state)

    def _keep_unknown(self, snapshot: Snapshot) -> None:
        """Report who is in a lifecycle state that is not known, and keep its wait alive.

        No other function may know of it: its event may be lost, or of an unknown kind, too.
        """
        for sighting in snapshot.in_unknown_states:
            waits = [] if self._observes else self._possible_waits(sighting)
            kept_by = [
                action.lifecycle_hook_name
                for action in waits
                if self.autoscaling.record_heartbeat(action)[0] is Heartbeat.RECORDED
            ]
            self.runtime.telemetry.error(
                LogEvent.LIFECYCLE_STATE_UNKNOWN,
                autoscaling_group_name=self.settings.autoscaling_group_name,
                instance_id=sighting.id,
                state=sighting.state,
                kept_by=kept_by,
            )

    def _report_left(self, snapshot: Snapshot) -> None:
        """Page about instances of ours that have left the group without their hook."""
        self.runtime.telemetry.measure(Metric.INSTANCES_LEFT_GROUP, len(snapshot.left))
        for sighting in snapshot.left:
            self.runtime.telemetry.error(
                LogEvent.INSTANCE_LEFT_GROUP,
                autoscaling_group_name=self.settings.autoscaling_group_name,
                instance_id=sighting.id,
                ownership=sighting.ownership,
                state=sighting.instance.state if sighting.instance else None,
                is_registered=sighting.is_registered,
                mark=str(sighting.mark) if sighting.mark else None,
            )

    def _mark_adopted(self, snapshot: Snapshot) -> None:
        """Tag instances in service that have no state tag: adopted, or registered by hand.

        Those without our owner tag get it, too: of a version before, or attached to the group.
        """
        if self._observes:
            return
        # A termination may have marked one of them a moment ago. For none, this makes no call.
        for instance_id, instance in self.instances.describe(snapshot.unmarked).items():
            if instance.mark is None:
                self._mark_as_serving(instance_id)
        owned_now = set(snapshot.unmarked)
        unowned = snapshot.unowned_by(self.survey.module.name)
        self.marker.own([one for one in unowned if one not in owned_now])

    def _mark_as_serving(self, instance_id: str) -> None:
        """Mark an instance that has logs, as its launch would have.

        One that ends without a mark, and is out of Cloud Map, is taken for one that never had any.
        If the mark cannot be written, the next run tries again.
        """
        fields = {
            "autoscaling_group_name": self.settings.autoscaling_group_name,
            "instance_id": instance_id,
        }
        with self.marker.logged(MarkKind.LAUNCHING, fields):
            self.marker.put(instance_id, MarkKind.LAUNCHING)

    def _balance(self, placement: Placement) -> None:
        """Finish moves that were left half done, and move what is too much in a shard.

        One snapshot is enough: a function that moves the same instances now asks for the same.
        """
        standing = placement.snapshot()
        placement.measure(standing.members)
        if not self._observes:
            placement.carry_out(standing.steps_to_balance())

    def _correct(self, found: Sequence[Correction], snapshot: Snapshot) -> tuple[int, int]:
        """Make the corrections, each on its own; return how many were made and how many failed."""
        if self._observes:
            return 0, 0
        made = failed = 0
        for correction in found:
            try:
                made += self._correct_one(correction, snapshot)
            except Exception as error:  # noqa: BLE001 (the others must not wait for this one)
                failed += 1
                self.runtime.telemetry.error(
                    LogEvent.CORRECTION_FAILED, error, **self._fields(correction)
                )
        return made, failed

    def _correct_one(self, correction: Correction, snapshot: Snapshot) -> bool:
        """Make a correction if it is still called for; tell whether it was."""
        [sighting] = self.survey.located([snapshot.sightings[correction.instance_id]])
        now_called_for = correction_of(sighting, replace(snapshot, now=self.runtime.clock()))
        if now_called_for is None or now_called_for.kind is not correction.kind:
            return self._not_needed(correction, "its state has changed")
        if correction.kind is CorrectionKind.RESTART:
            return self._restart(correction, sighting)
        if self._discovery is None:  # without Cloud Map there is no other correction
            return self._not_needed(correction, "the fleet is not in Cloud Map")
        if correction.kind is CorrectionKind.REGISTER:
            return self._register(correction, sighting, self._discovery.cloud_map)
        placement, fields = self._discovery.placement, self._fields(correction)
        if can_wait(sighting) and not placement.may_leave(sighting.id, fields):
            return False
        operation_id = self._discovery.cloud_map.deregister(sighting.id)
        self._made(correction, operation_id=operation_id)
        return True

    def _register(self, correction: Correction, sighting: Sighting, cloud_map: CloudMap) -> bool:
        address = address_of(sighting.instance) if sighting.instance else None
        if address is None:
            return self._not_needed(correction, "it is gone")
        self._mark_as_serving(sighting.id)
        operation_id = cloud_map.register(
            sighting.id,
            address,
            fresh_request_id(f"reconcile-{sighting.id}", self.runtime.clock()),
        )
        self._made(correction, operation_id=operation_id)
        state = self.autoscaling.lifecycle_state(sighting.id)
        if not is_in_service(state):
            # Its own termination may have deregistered it a moment before. The stages that drain it
            # also check the registration before they release it.
            self.runtime.telemetry.warning(
                LogEvent.REGISTRATION_WITHDRAWN,
                **self._fields(correction),
                state=state,
                operation_id=cloud_map.deregister(sighting.id),
            )
        return True

    def _restart(self, correction: Correction, sighting: Sighting) -> bool:
        """Start the pipeline of a wait, if it is our hook that holds the instance, or held it."""
        for action in self._possible_waits(sighting):
            try:
                is_ours = is_retained(sighting.state) or self._holds(action)
            except UnexpectedState as error:
                if self._is_own_group(action):
                    raise
                return self._not_needed(correction, f"{error} (former_group_names)")
            if is_ours:
                self._start(action, sighting)
                self._made(correction, lifecycle_hook_name=action.lifecycle_hook_name)
                return True
        return self._not_needed(correction, "no hook of ours holds it")

    def _holds(self, action: LifecycleAction) -> bool:
        """Tell whether this wait is under way, and keep it alive for its pipeline's heartbeats."""
        heartbeat, said = self.autoscaling.record_heartbeat(action)
        if heartbeat is Heartbeat.FAILED:
            raise UnexpectedState(f"no heartbeat for {action.lifecycle_hook_name}: {said}")
        return heartbeat is Heartbeat.RECORDED

    def _is_own_group(self, action: LifecycleAction) -> bool:
        """Tell a wait in our group: of others only ``former_group_names`` lets us ask the hook."""
        return action.autoscaling_group_name == self.settings.autoscaling_group_name

    def _possible_waits(self, sighting: Sighting) -> list[LifecycleAction]:
        """Return the waits that the state can mean; a launch and a return both lead into a pool."""
        state = sighting.state
        waits = [] if is_held(state, Transition.LAUNCHING) else [Transition.TERMINATING]
        if (
            is_held(state, Transition.LAUNCHING)
            or is_entering_warm_pool(state)
            or not is_known(state)
        ):
            waits.append(Transition.LAUNCHING)
        return [
            LifecycleAction(
                autoscaling_group_name=sighting.waits_in or self.settings.autoscaling_group_name,
                lifecycle_hook_name=hook,
                lifecycle_action_token=None,
                instance_id=sighting.id,
                transition=transition,
                started_at=self.runtime.clock(),
            )
            for transition in waits
            if (hook := self.settings.hook_names[transition]) is not None
        ]

    def _start(self, action: LifecycleAction, sighting: Sighting) -> None:
        if action.transition is Transition.TERMINATING:
            self.entrance.terminate(action)
        elif is_held(sighting.state, Transition.LAUNCHING):
            self.entrance.launch(action)
        else:
            self.entrance.enter_warm_pool(action)

    def _made(self, correction: Correction, **more: object) -> None:
        self.runtime.telemetry.warning(LogEvent.CORRECTION_MADE, **self._fields(correction), **more)

    def _not_needed(self, correction: Correction, why: str) -> bool:
        self.runtime.telemetry.info(
            LogEvent.CORRECTION_NOT_NEEDED, **self._fields(correction), because=why
        )
        return False

    def _fields(self, correction: Correction) -> dict[str, object]:
        return {
            "autoscaling_group_name": self.settings.autoscaling_group_name,
            "instance_id": correction.instance_id,
            "correction": correction.kind,
            "reason": correction.reason,
        }

    def _report(self, snapshot: Snapshot, *, found: int, made: int, failed: int) -> None:
        values = {
            Metric.REGISTERED_INSTANCES: len(snapshot.registered),
            Metric.IN_SERVICE_INSTANCES: len(snapshot.in_service),
            Metric.CAPACITY_SHORT: snapshot.missing_capacity,
            Metric.WAITING_INSTANCES: len(snapshot.waiting),
            Metric.OLDEST_WAIT_SECONDS: snapshot.oldest_wait_seconds,
            Metric.CORRECTIONS_MADE: made,
            Metric.CORRECTIONS_FAILED: failed,
            Metric.RETENTION_POLICY_MISSING: 0 if snapshot.retains_on_abandon else 1,
        }
        for metric, value in values.items():
            self.runtime.telemetry.measure(metric, value)
        self.runtime.telemetry.info(
            LogEvent.RECONCILED,
            autoscaling_group_name=self.settings.autoscaling_group_name,
            mode=self.settings.reconcile_mode,
            registered=len(snapshot.registered),
            in_service=len(snapshot.in_service),
            capacity_short=snapshot.missing_capacity,
            waiting=len(snapshot.waiting),
            discrepancies=found,
            corrections=made,
            failures=failed,
            retains_on_abandon=snapshot.retains_on_abandon,
        )
