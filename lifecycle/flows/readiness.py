"""Asks, before a launching instance is registered, whether its Fluentd runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lifecycle.adapters.instances import Instances
from lifecycle.decisions.answers import Purpose
from lifecycle.decisions.buffer import State, Verdict
from lifecycle.decisions.readiness import Admission, admission
from lifecycle.errors import NotReady, UnexpectedState
from lifecycle.flows.proof import Proof
from lifecycle.messages import LifecycleAction
from lifecycle.telemetry import LogEvent, Metric, Runtime


@dataclass(frozen=True, slots=True)
class Readiness:
    """Everything the check touches."""

    proof: Proof
    instances: Instances
    longest_unknown_seconds: float
    runtime: Runtime

    def ask(self, actions: Sequence[LifecycleAction]) -> Mapping[str, Verdict]:
        """Ask about all launches of a batch at once; whatever goes wrong is unknown."""
        now = self.runtime.clock()
        moments = {action.instance_id: now for action in actions}
        return self.proof.ask(moments, Purpose.READINESS)

    def require(self, action: LifecycleAction, verdict: Verdict) -> None:
        """Return if the instance is to be registered; raise NotReady while it is not.

        One that is not ready until the stage times out is dead-lettered, which pages.
        """
        admitted = self._admission(action, verdict)
        self.runtime.telemetry.info(
            LogEvent.READINESS_VERDICT,
            **action.log_fields(),
            verdict=verdict.state,
            reason=verdict.reason,
            detail=verdict.detail,
            admission=admitted,
        )
        if admitted is Admission.REGISTER_UNCHECKED:
            self.runtime.telemetry.measure(Metric.READINESS_UNKNOWN)
        elif admitted is Admission.WAIT:
            # The next scrape is the earliest that can say anything else.
            not_before = self.runtime.clock() + self.proof.rules.scrape_interval_seconds
            reason = f"{verdict.state} ({verdict.reason}): {verdict.detail}"
            raise NotReady(reason, not_before=not_before)

    def _admission(self, action: LifecycleAction, verdict: Verdict) -> Admission:
        now = self.runtime.clock()
        if verdict.state is State.DOWN:
            self._remember(action, now)
        return admission(
            verdict,
            unknown_seconds=now - self._unknown_since(action, verdict),
            longest_unknown_seconds=self.longest_unknown_seconds,
        )

    def _unknown_since(self, action: LifecycleAction, verdict: Verdict) -> float:
        """Return since when nothing has been known: a tag has when it was last known to be down."""
        if verdict.state is not State.UNKNOWN:
            return self.runtime.clock()
        instance = self.instances.find(action.instance_id)
        if instance is None:
            raise UnexpectedState(f"EC2 does not know {action.instance_id} (yet)")
        return instance.unknown_since(action.started_at)

    def _remember(self, action: LifecycleAction, now: float) -> None:
        try:
            self.instances.mark_not_ready(action.instance_id, now)
        except Exception as error:  # noqa: BLE001 (without it, unknown registers it earlier)
            self.runtime.telemetry.warning(
                LogEvent.MARK_FAILED, **action.log_fields(), mark="not-ready", reason=str(error)
            )
