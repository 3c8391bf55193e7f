"""State tags, and the report of a completion: what later functions and operators read.

SQS messages cannot be queried, so each instance carries its state in an EC2 tag.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from lifecycle.adapters.autoscaling import Completion
from lifecycle.adapters.instances import Instances
from lifecycle.decisions.marks import Mark, MarkKind, was_proven
from lifecycle.decisions.states import is_in_service, launches_again
from lifecycle.messages import LifecycleAction
from lifecycle.telemetry import LogEvent, Metric, Runtime


@dataclass(frozen=True, slots=True)
class Marker:
    """Writes every state tag, and reads the proof from them."""

    instances: Instances
    runtime: Runtime

    def put(self, instance_id: str, kind: MarkKind) -> None:
        """Tag an instance; raises what AWS raises."""
        self.instances.mark(instance_id, Mark(kind, self.runtime.clock()))

    def put_counted(self, instance_id: str, kind: MarkKind | None) -> None:
        """Tag an instance whose unclean end is counted, also with a state that is not None."""
        now = self.runtime.clock()
        self.instances.mark_counted(instance_id, now, Mark(kind, now) if kind else None)

    def write(self, action: LifecycleAction, kind: MarkKind) -> None:
        """Tag the instance of a lifecycle action; it goes on without a tag that fails."""
        with self.logged(kind, action.log_fields()):
            self.put(action.instance_id, kind)

    @contextmanager
    def logged(self, mark: str, log_fields: Mapping[str, object]) -> Iterator[None]:
        """Only log that a tag cannot be written: what it is about goes on without it."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 (a tag that is missing loses nothing)
            self.runtime.telemetry.warning(
                LogEvent.MARK_FAILED, **log_fields, mark=mark, reason=str(error)
            )

    def own(self, instance_ids: Sequence[str]) -> None:
        """Write whose these instances are; what fails, the reconciler's next run tries again."""
        try:
            self.instances.own(instance_ids)
        except Exception as error:  # noqa: BLE001 (a tag that is missing loses nothing)
            for one in instance_ids:
                self.runtime.telemetry.warning(
                    LogEvent.MARK_FAILED, instance_id=one, mark="owner", reason=str(error)
                )

    def known_end(self, action: LifecycleAction, state: str | None) -> str | None:
        """Return how this very termination ended, by the tag; None where it does not say.

        ``proven``, or ``launched_again`` for an instance that lives on (``state`` is its lifecycle
        state): then its launch has reported an end without proof.
        """
        instance = self.instances.find(action.instance_id)
        if instance is None:
            return None
        if was_proven(instance.mark, since=int(action.started_at)):  # a tag has whole seconds
            return "proven"
        lives_on = is_in_service(state) or launches_again(state)
        if lives_on and instance.has_launched_since(action.started_at):
            return "launched_again"
        return None

    def report_end(self, action: LifecycleAction, state: str | None) -> None:
        """Report a termination that ended without its message: expired, unless the tag says how."""
        try:
            end = self.known_end(action, state)
        except Exception as error:  # noqa: BLE001 (an unknown state tag is no proof)
            reason = f"cannot read its state tag: {error}"
            self.runtime.telemetry.warning(
                LogEvent.CHECK_FAILED, **action.log_fields(), reason=reason
            )
            end = None
        if end is None:
            report_expired(action, self.runtime)
        else:
            self.runtime.telemetry.info(
                LogEvent.LIFECYCLE_ACTION_ALREADY_ENDED, **action.log_fields(), ended=end
            )

    def has_begun_since(self, action: LifecycleAction, moment: float) -> bool:
        """Tell whether the tag says that a launch or a termination began after that moment."""
        instance = self.instances.find(action.instance_id)
        return instance is not None and instance.has_begun_since(moment)


def report_expired(action: LifecycleAction, runtime: Runtime) -> None:
    """Log and count an action that ended before the proof: logs may be lost."""
    runtime.telemetry.error(LogEvent.LIFECYCLE_ACTION_EXPIRED, **action.log_fields())
    runtime.telemetry.measure(Metric.LIFECYCLE_ACTION_EXPIRED)


def report_completion(
    action: LifecycleAction, completion: Completion, runtime: Runtime, **fields: object
) -> None:
    """Log and count a completion; ``fields`` are logged where it was this call that completed."""
    if completion is Completion.COMPLETED:
        runtime.telemetry.info(LogEvent.LIFECYCLE_ACTION_COMPLETED, **action.log_fields(), **fields)
        runtime.telemetry.measure(Metric.LIFECYCLE_ACTION_COMPLETED)
    else:
        runtime.telemetry.info(
            LogEvent.LIFECYCLE_ACTION_ALREADY_ENDED, **action.log_fields(), ended=completion
        )
