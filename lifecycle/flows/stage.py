"""The stages as other functions see them: what is handed over to them, and how."""

from dataclasses import dataclass

from lifecycle.adapters.cloud_map import CloudMap
from lifecycle.adapters.queues import Queue
from lifecycle.flows.placement import Placement
from lifecycle.messages import BufferCheck, FlushCheck, LifecycleAction
from lifecycle.telemetry import LogEvent, Runtime


@dataclass(frozen=True, slots=True)
class Discovery:
    """Service discovery of a fleet that is in Cloud Map, and the queue of its operation stage."""

    cloud_map: CloudMap
    operation_queue: Queue
    placement: Placement


@dataclass(frozen=True, slots=True)
class NextStage:
    """A draining stage, as the one before it sees it."""

    model: type[FlushCheck] | type[BufferCheck]
    queue: Queue
    runtime: Runtime

    def enqueue(
        self, action: LifecycleAction, *, deregistered_at: float, requested_again: int = 0
    ) -> None:
        """Hand an instance to this stage."""
        message = self.model(
            action=action, deregistered_at=deregistered_at, requested_again=requested_again
        )
        self.queue.send(message)
        self.runtime.telemetry.info(
            LogEvent.CHECK_MESSAGE_ENQUEUED, **action.log_fields(), stage=message.stage
        )
