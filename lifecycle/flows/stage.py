"""The stages as other functions see them: what is handed over to them, and how."""

from dataclasses import dataclass

from lifecycle.adapters.cloud_map import CloudMap
from lifecycle.adapters.queues import Queue
from lifecycle.decisions.instance import Address
from lifecycle.flows.placement import Placement
from lifecycle.messages import BufferCheck, FlushCheck, LifecycleAction, OperationCheck
from lifecycle.telemetry import LogEvent, Runtime


@dataclass(frozen=True, slots=True)
class Discovery:
    """Service discovery of a fleet that is in Cloud Map, and the queue of its operation stage."""

    cloud_map: CloudMap
    operation_queue: Queue
    placement: Placement
    runtime: Runtime

    def register(self, action: LifecycleAction, address: Address) -> str:
        """Ask for the registration that a launch waits for; repeated, it is the same request."""
        operation_id = self.cloud_map.register(action.instance_id, address, action.request_id)
        self.runtime.telemetry.info(
            LogEvent.REGISTRATION_REQUESTED,
            **action.log_fields(),
            operation_id=operation_id,
            private_ip_address=address.private_ip_address,
        )
        return operation_id

    def enqueue(
        self,
        action: LifecycleAction,
        operation_id: str | None,
        *,
        requested_again: int = 0,
        delay_seconds: float = 0,
    ) -> None:
        """Hand an instance to the operation stage, which waits for what was asked of Cloud Map."""
        message = OperationCheck(
            action=action, operation_id=operation_id, requested_again=requested_again
        )
        self.operation_queue.send(message, delay_seconds=delay_seconds)


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
