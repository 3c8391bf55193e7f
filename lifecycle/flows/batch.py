"""SQS records in, ``batchItemFailures`` out: how a waiter waits.

"Not yet" is a failed item, not an error: the visibility timeout brings the message back, the other
messages of the batch are untouched, and Lambda's own error metric keeps meaning "bug"
(docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from lifecycle.adapters.autoscaling import AutoScaling, Heartbeat
from lifecycle.adapters.queues import Queue
from lifecycle.errors import Malformed, NotReady, Permanent
from lifecycle.events import Message, parse_check_message
from lifecycle.settings import WaiterSettings
from lifecycle.telemetry import LogEvent, Metric, Telemetry


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait: between two checks, and in all since the message arrived (seconds)."""

    poll_interval_seconds: float
    poll_interval_max_seconds: float
    timeout_seconds: float

    def next_check_seconds(self, not_before: float | None, now: float) -> float:
        """Return the wait until the earliest time at which the answer could be yes, in bounds."""
        if not_before is None:
            return self.poll_interval_seconds
        wanted = not_before - now
        return min(self.poll_interval_max_seconds, max(self.poll_interval_seconds, wanted))


def patience_of(settings: WaiterSettings) -> Patience:
    """Build a stage's patience from its settings."""
    return Patience(
        settings.poll_interval_seconds,
        settings.poll_interval_max_seconds,
        settings.timeout_seconds,
    )


@dataclass(frozen=True, slots=True)
class Stage(Generic[Message]):
    """One queue, its dead-letter queue, and what has to be asked about its messages.

    ``begin`` gets all sound messages of the group in a batch at once and returns the check to make
    for each.
    A check returns when the message is done with, raises NotReady for "not yet", Permanent for
    "a person must look"; anything else it raises counts as unknown, so it is asked again.
    ``still_waited_for`` is asked when the hook has no active action any more: is there anything
    left to wait for?
    """

    autoscaling_group_name: str
    model: type[Message]
    begin: Callable[[Sequence[Message]], Callable[[Message], None]]
    still_waited_for: Callable[[Message], bool]
    queue: Queue
    dead_letters: Queue
    autoscaling: AutoScaling
    patience: Patience
    telemetry: Telemetry
    clock: Callable[[], float]


def process(event: Mapping[str, Any], stage: Stage[Message]) -> PartialItemFailureResponse:
    """Check every message of an SQS event; name those that must come back."""
    records = list(event["Records"])
    parsed = {record["messageId"]: _parse(record, stage.model) for record in records}
    check = stage.begin(
        [m for m in parsed.values() if not isinstance(m, Malformed) and _is_ours(m, stage)]
    )
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)

    def handle(record: SQSRecord) -> None:
        _Attempt(stage, record).run(parsed[record.message_id], check)

    with processor(records, handler=handle):
        processor.process()
    stage.telemetry.flush()
    return processor.response()


def _parse(record: Mapping[str, Any], model: type[Message]) -> Message | Malformed:
    try:
        return parse_check_message(model, record.get("body"))
    except Malformed as error:
        return error


def _is_ours(message: Message, stage: Stage[Message]) -> bool:
    return message.action.autoscaling_group_name == stage.autoscaling_group_name


class _Attempt(Generic[Message]):
    """One receive of one message."""

    def __init__(self, stage: Stage[Message], record: SQSRecord) -> None:
        self._stage: Stage[Message] = stage
        self._record = record
        attributes = record.attributes
        self._receive_count = int(attributes.approximate_receive_count)
        self._sent_at = int(attributes.sent_timestamp) / 1000

    def run(self, message: Message | Malformed, check: Callable[[Message], None]) -> None:
        """Raise if the message must come back; return if it may be deleted."""
        if isinstance(message, Malformed):
            self._log_error(LogEvent.CHECK_MESSAGE_INVALID, None, reason=str(message))
            self._dead_letter(str(message), None)
            return
        if not _is_ours(message, self._stage):
            group = message.action.autoscaling_group_name
            reason = f"action.autoscaling_group_name: {group!r} is not this pipeline's group"
            self._dead_letter(reason, message)
            return
        try:
            check(message)
        except Permanent as error:
            self._keep_alive(message)  # the person who is called now gets all the time there is
            self._dead_letter(str(error), message, error.redrive_with)
        except NotReady as error:
            self._wait(message, str(error), error.not_before, error)
        except Exception as error:  # noqa: BLE001 (a surprise is unknown: ask again)
            reason = f"{type(error).__name__}: {error}"
            self._log_error(LogEvent.CHECK_FAILED, message, reason=reason, exception=error)
            self._wait(message, reason, None, error)

    def _wait(
        self, message: Message, reason: str, not_before: float | None, error: Exception
    ) -> None:
        if not self._keep_alive(message):
            return
        now = self._stage.clock()
        patience = self._stage.patience
        if now - self._sent_at > patience.timeout_seconds:
            self._dead_letter(f"not done after {now - self._sent_at:.0f} s: {reason}", message)
            return
        self._come_back_in(patience.next_check_seconds(not_before, now), message)
        raise error

    def _keep_alive(self, message: Message) -> bool:
        """Send a heartbeat; tell whether there is still something to wait for."""
        outcome, answer = self._stage.autoscaling.record_heartbeat(message.action)
        if outcome is Heartbeat.RECORDED:
            return True
        self._stage.telemetry.warning(
            LogEvent.HEARTBEAT_FAILED, **self._fields(message), outcome=outcome, answer=answer
        )
        if outcome is Heartbeat.FAILED:
            return True
        try:
            return self._stage.still_waited_for(message)
        except Exception as error:  # noqa: BLE001 (unknown is "yes": the next receive asks)
            self._log_error(LogEvent.CHECK_FAILED, message, reason=str(error), exception=error)
            return True

    def _come_back_in(self, seconds: float, message: Message) -> None:
        try:
            self._stage.queue.change_visibility(self._record.receipt_handle, seconds)
        except Exception as error:  # noqa: BLE001 (a late return loses nothing)
            # The queue's own visibility timeout brings the message back, only later.
            self._stage.telemetry.warning(
                LogEvent.VISIBILITY_CHANGE_FAILED, **self._fields(message), reason=str(error)
            )

    def _dead_letter(
        self, reason: str, message: Message | None, redrive_with: str | None = None
    ) -> None:
        """Hand the message to a person at once; if that fails, it comes back and tries again."""
        self._stage.dead_letters.send_dead_letter(redrive_with or self._record.body, reason)
        self._log_error(LogEvent.CHECK_MESSAGE_DEAD_LETTERED, message, reason=reason)
        self._stage.telemetry.measure(Metric.CHECK_MESSAGE_DEAD_LETTERED)

    def _log_error(
        self,
        event: LogEvent,
        message: Message | None,
        *,
        reason: str,
        exception: Exception | None = None,
    ) -> None:
        fields = self._fields(message)
        self._stage.telemetry.error(event, exception, **fields, reason=reason)

    def _fields(self, message: Message | None) -> dict[str, object]:
        action = message.action.log_fields() if message else {}
        return {
            **action,
            "message_id": self._record.message_id,
            "receive_count": self._receive_count,
        }
