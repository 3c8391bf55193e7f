"""State tags, and the report of a completion: what later functions and operators read.

SQS messages cannot be queried, so each instance carries its state in an EC2 tag.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from lifecycle.adapters.autoscaling import Completion
from lifecycle.adapters.instances import Instances
from lifecycle.decisions.marks import Mark, MarkKind
from lifecycle.messages import LifecycleAction
from lifecycle.telemetry import LogEvent, Metric, Runtime


@dataclass(frozen=True, slots=True)
class Marker:
    """Writes state tags, and reads the proof from them."""

    instances: Instances
    runtime: Runtime

    def write(self, action: LifecycleAction, kind: MarkKind) -> None:
        """Tag the instance of a lifecycle action, as ``write_on`` does."""
        self.write_on(action.instance_id, kind, action.log_fields())

    def write_on(self, instance_id: str, kind: MarkKind, log_fields: Mapping[str, object]) -> None:
        """Tag an instance; a tag that cannot be written loses nothing, so it is only logged."""
        try:
            self.instances.mark(instance_id, Mark(kind, self.runtime.clock()))
        except Exception as error:  # noqa: BLE001 (what the tag is about goes on without it)
            self.runtime.telemetry.warning(
                LogEvent.MARK_FAILED, **log_fields, mark=kind, reason=str(error)
            )

    def was_proven(self, action: LifecycleAction) -> bool:
        """Tell whether the tag says that this very wait ended with a proof."""
        instance = self.instances.find(action.instance_id)
        return instance is not None and instance.is_proven_since(action.started_at)


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
