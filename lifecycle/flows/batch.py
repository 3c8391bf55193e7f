"""SQS records in, ``batchItemFailures`` out: how a waiter waits.

"Not yet" is a failed item, not an error: the visibility timeout brings the message back, the other
messages of the batch are untouched, and Lambda's own error metric keeps meaning "bug"
(docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from lifecycle.adapters.autoscaling import Heartbeat
from lifecycle.adapters.queues import Queue
from lifecycle.decisions.heartbeats import Receive, Silence
from lifecycle.decisions.polling import PollPolicy
from lifecycle.errors import Malformed, NotOurs, NotReady, Permanent
from lifecycle.flows.heartbeats import Heartbeats
from lifecycle.flows.ownership import Scope
from lifecycle.messages import BufferCheck, FlushCheck, Message, OperationCheck, parse_check_message
from lifecycle.telemetry import LogEvent, Metric, Runtime

# A waiter only takes messages.
_Message_contra = TypeVar(
    "_Message_contra", OperationCheck, FlushCheck, BufferCheck, contravariant=True
)


class Waiter(Protocol[_Message_contra]):
    """What a stage asks about its messages."""

    def begin(self, messages: Sequence[_Message_contra]) -> Callable[[_Message_contra], None]:
        """Take all sound messages of the group in a batch; return the check to make for each.

        A check returns when the message is done with, raises NotReady for "not yet", Permanent for
        the dead-letter queue; anything else it raises counts as unknown, so it is asked again.
        """

    def still_waited_for(self, message: _Message_contra) -> bool:
        """Tell, when the hook has no active action any more, whether to keep asking."""


@dataclass(frozen=True, slots=True)
class Stage(Generic[Message]):
    """One queue, its dead-letter queue, and what is asked about its messages."""

    scope: Scope
    model: type[Message]
    waiter: Waiter[Message]
    queue: Queue
    dead_letters: Queue
    heartbeats: Heartbeats
    polls: PollPolicy
    runtime: Runtime

    def handle(self, event: Mapping[str, Any]) -> PartialItemFailureResponse:
        """Check every message of an SQS event; return those that must come back."""
        records = list(event["Records"])
        parsed = {record["messageId"]: _parse(record, self.model) for record in records}
        sound = {key: one for key, one in parsed.items() if not isinstance(one, Malformed)}
        refusals = self.scope.refusals({key: one.action for key, one in sound.items()})
        owned = [one for key, one in sound.items() if refusals[key] is None]
        check = self.waiter.begin(owned)
        # A message that is not checked now is kept alive all the same, unless it is not ours.
        kept = [one for key, one in sound.items() if not isinstance(refusals[key], NotOurs)]
        self.heartbeats.begin(sorted({message.action.instance_id for message in kept}))

        def handle(record: SQSRecord) -> None:
            key = record.message_id
            _Receive(self, record).run(parsed[key], refusals.get(key), check)

        answer = process(records, handle)
        self.runtime.telemetry.flush()
        return answer


def process(
    records: Sequence[dict[str, Any]], handle: Callable[[SQSRecord], None]
) -> PartialItemFailureResponse:
    """Handle each record on its own; return those that must come back: what raised."""
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    with processor(list(records), handler=handle):
        processor.process()
    return processor.response()


def _with(silence: Silence | None, reason: str) -> str:
    """Put first until when the instance is kept, where heartbeats fail."""
    return reason if silence is None else f"{silence}; {reason}"


def _check(message: Message, refusal: Exception | None, check: Callable[[Message], None]) -> None:
    if refusal is not None:
        raise refusal
    check(message)


def _parse(record: Mapping[str, Any], model: type[Message]) -> Message | Malformed:
    try:
        return parse_check_message(model, record.get("body"))
    except Malformed as error:
        return error


class _Receive(Generic[Message]):
    """One receive of one message."""

    def __init__(self, stage: Stage[Message], record: SQSRecord) -> None:
        self._stage: Stage[Message] = stage
        self._record = record
        attributes = record.attributes
        self._receive_count = int(attributes.approximate_receive_count)
        self._sent_at = int(attributes.sent_timestamp) / 1000

    def run(
        self,
        message: Message | Malformed,
        refusal: Exception | None,
        check: Callable[[Message], None],
    ) -> None:
        """Raise if the message must come back; return if it may be deleted."""
        if isinstance(message, Malformed):
            self._log_error(LogEvent.CHECK_MESSAGE_INVALID, None, reason=str(message))
            self._dead_letter(str(message), None)
            return
        if isinstance(refusal, NotOurs):
            self._dead_letter(str(refusal), message)
            return
        try:
            _check(message, refusal, check)
        except Permanent as error:
            # Heartbeat first, so the operator has a full timeout.
            _, silence = self._keep_alive(message)
            self._dead_letter(_with(silence, str(error)), message, error.redrive_with)
        except NotReady as error:
            self._wait(message, str(error), error.not_before, error)
        except Exception as error:  # noqa: BLE001 (what is unexpected is unknown: ask again)
            reason = f"{type(error).__name__}: {error}"
            self._log_error(LogEvent.CHECK_FAILED, message, reason=reason, exception=error)
            self._wait(message, reason, None, error)

    def _wait(
        self, message: Message, reason: str, not_before: float | None, error: Exception
    ) -> None:
        is_waited_for, silence = self._keep_alive(message)
        if not is_waited_for:
            return
        polls, now = self._stage.polls, self._stage.runtime.clock()
        timed_out = polls.has_timed_out(self._sent_at, now)
        if timed_out or (silence is not None and silence.has_timed_out(now)):
            reason = f"not done after {now - self._sent_at:.0f} s: {reason}"
            self._dead_letter(_with(silence, reason), message)
            return
        deadline = polls.deadline(self._sent_at)
        if silence is not None:
            deadline = min(deadline, silence.times_out_at)
        self._come_back_in(polls.pause_seconds(not_before, deadline, now), message)
        raise error

    def _keep_alive(self, message: Message) -> tuple[bool, Silence | None]:
        """Send a heartbeat; tell whether there is still something to wait for, and if it failed."""
        now = self._stage.runtime.clock()
        receive = Receive(self._record.message_id, self._receive_count, self._sent_at, now)
        outcome, silence = self._stage.heartbeats.send(message.action, receive)
        if outcome is not Heartbeat.NO_ACTIVE_ACTION:
            return True, silence
        try:
            return self._stage.waiter.still_waited_for(message), silence
        except Exception as error:  # noqa: BLE001 (unknown is "yes": the next receive asks)
            self._log_error(LogEvent.CHECK_FAILED, message, reason=str(error), exception=error)
            return True, silence

    def _come_back_in(self, seconds: int, message: Message) -> None:
        try:
            self._stage.queue.change_visibility(self._record.receipt_handle, seconds)
        except Exception as error:  # noqa: BLE001 (a late return loses nothing)
            # The queue's own visibility timeout brings the message back, only later.
            self._stage.runtime.telemetry.warning(
                LogEvent.VISIBILITY_CHANGE_FAILED, **self._fields(message), reason=str(error)
            )

    def _dead_letter(
        self, reason: str, message: Message | None, redrive_with: str | None = None
    ) -> None:
        """Dead-letter the message at once; if that fails, it comes back and tries again.

        The operator is paged in either case: no alarm of the queue tells of what it refused.
        """
        self._stage.runtime.telemetry.measure(Metric.CHECK_MESSAGE_DEAD_LETTERED)
        try:
            self._stage.dead_letters.send_dead_letter(redrive_with or self._record.body, reason)
        except Exception as error:
            why = f"{type(error).__name__}: {error}; its reason: {reason}"
            self._log_error(LogEvent.DEAD_LETTER_FAILED, message, reason=why)
            raise
        self._log_error(LogEvent.CHECK_MESSAGE_DEAD_LETTERED, message, reason=reason)

    def _log_error(
        self,
        event: LogEvent,
        message: Message | None,
        *,
        reason: str,
        exception: Exception | None = None,
    ) -> None:
        fields = self._fields(message)
        self._stage.runtime.telemetry.error(event, exception, **fields, reason=reason)

    def _fields(self, message: Message | None) -> dict[str, object]:
        action = message.action.log_fields() if message else {}
        return {
            **action,
            "message_id": self._record.message_id,
            "receive_count": self._receive_count,
        }
