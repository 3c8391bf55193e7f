"""Handles events of instances that end without a lifecycle hook, and finds out whose they are.

EC2's events name no group, and tell of every instance of the account. They come through a queue, in
batches: the tag of Auto Scaling on the instance answers for many instances in one call, out of
EC2's budget rather than that of Auto Scaling, which the waiters need. What cannot be found out is
put back, without a page. What fails for an instance of ours is put back, too, and dead-lettered
after three attempts, before EC2's two minutes are over.
Auto Scaling's events name our group. EventBridge invokes the function with each, asynchronously and
at least once. Whatever it raises, Lambda tries again twice, then sends the event to the function's
on-failure destination, which has an alarm.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from lifecycle.adapters.autoscaling import AutoScaling
from lifecycle.adapters.clients import is_transient
from lifecycle.adapters.instances import Instances
from lifecycle.adapters.queues import Queue
from lifecycle.decisions.interruption import (
    Fate,
    fate_of,
    ownership_in,
    pause_seconds,
    why_not_ours,
)
from lifecycle.decisions.ownership import Module, Ownership, Whereabouts, may_be_ours, ownership_of
from lifecycle.errors import Malformed, MembershipUnknown, NotReady
from lifecycle.events import Interruption, parse_interruption
from lifecycle.flows.batch import process
from lifecycle.flows.ownership import whereabouts
from lifecycle.flows.sudden_end import SuddenEnds
from lifecycle.telemetry import LogEvent, Metric, Runtime

# What a batch has not begun by then is put back: the rest of the function's timeout is for the one
# instance that it is at.
_LONGEST_BATCH_SECONDS = 40.0


@dataclass(frozen=True, slots=True)
class InterruptionHandler:
    """Everything the handler touches."""

    module: Module
    autoscaling: AutoScaling
    instances: Instances
    ends: SuddenEnds
    queue: Queue
    dead_letters: Queue
    runtime: Runtime

    def handle(self, event: object) -> PartialItemFailureResponse | None:
        """Handle a batch of the queue, or the event of an asynchronous invocation.

        Of the latter it raises what it could not do, Malformed for an event of another form.
        """
        try:
            if isinstance(event, Mapping) and "Records" in event:
                return self._receive(event["Records"])
            interruption = self._read(event)
            self._act(interruption, self._whereabouts([interruption]))
            return None
        finally:
            self.runtime.telemetry.flush()

    def _receive(self, records: Sequence[dict[str, Any]]) -> PartialItemFailureResponse:
        begin_by = self.runtime.clock() + _LONGEST_BATCH_SECONDS
        events = {record["messageId"]: self._try_to_read(record) for record in records}
        found = self._whereabouts([one for one in events.values() if isinstance(one, Interruption)])

        def handle(record: SQSRecord) -> None:
            one = events[record.message_id]
            try:
                self._act(one, found, begin_by)
            except Exception as error:  # noqa: BLE001 (put back or dead-lettered, with a log line)
                fields = one.log_fields() if isinstance(one, Interruption) else {}
                self._fail(record, error, fields)

        answer = process(records, handle)
        unknown = sum(isinstance(one, MembershipUnknown) for one in found.values())
        if unknown:
            self.runtime.telemetry.measure(Metric.MEMBERSHIP_UNKNOWN, unknown)
        return answer

    def _read(self, event: object) -> Interruption:
        try:
            interruption = parse_interruption(event)
        except Malformed as error:
            self.runtime.telemetry.error(LogEvent.INTERRUPTION_INVALID, reason=str(error))
            raise
        self.runtime.telemetry.info(LogEvent.INTERRUPTION_RECEIVED, **interruption.log_fields())
        return interruption

    def _try_to_read(self, record: Mapping[str, Any]) -> Interruption | Malformed:
        try:
            return self._read(record.get("body"))
        except Malformed as error:
            return error

    def _act(
        self,
        event: Interruption | Malformed,
        found: Mapping[str, Whereabouts | Exception],
        begin_by: float = math.inf,
    ) -> None:
        if isinstance(event, Malformed):
            raise event
        where = found[event.instance_id]
        if isinstance(where, Exception):
            raise where
        reason = why_not_ours(event, where, self.module)
        if reason is not None:
            self._ignore(event.log_fields(), reason)
        elif self.runtime.clock() > begin_by:
            raise NotReady("AWS is slow: the batch took too long")
        else:
            self.ends.act_on(event, where.state, ownership_in(event, where, self.module))

    def _ignore(self, fields: Mapping[str, object], reason: str) -> None:
        self.runtime.telemetry.info(LogEvent.INTERRUPTION_IGNORED, **fields, reason=reason)

    def _whereabouts(self, events: Sequence[Interruption]) -> dict[str, Whereabouts | Exception]:
        """Find out where all these instances are, in two calls if there are not too many.

        The lifecycle state of Auto Scaling is asked of ours only, and of those whose tag says
        nothing: a tag that is missing is no proof of another group.
        """
        ours = self.module.group
        groups = {one.instance_id: one.autoscaling_group_name for one in events}
        try:
            described = self.instances.describe([one for one in groups if groups[one] != ours])
        except Exception as error:  # noqa: BLE001 (what no retry can mend is raised again)
            # Auto Scaling is not asked in its place: the waiters need its budget.
            return dict.fromkeys(groups, _unknown(error))
        seen = {one: Whereabouts(group, None) for one, group in groups.items()}
        seen |= {one: whereabouts(None, instance) for one, instance in described.items()}
        doubtful = [one for one, where in seen.items() if may_be_ours(self.module, where)]
        found: dict[str, Whereabouts | Exception] = {**seen}
        try:
            members = self.autoscaling.memberships(doubtful)
        except Exception as error:  # noqa: BLE001 (what no retry can mend is raised again)
            unknown = _unknown(error)
            foreign = [
                one for one in doubtful if ownership_of(self.module, seen[one]) is Ownership.FOREIGN
            ]
            return found | dict.fromkeys(doubtful, error) | dict.fromkeys(foreign, unknown)
        return found | {
            one: whereabouts(member, described.get(one)) for one, member in members.items()
        }

    def _fail(self, record: SQSRecord, error: Exception, fields: Mapping[str, object]) -> None:
        """Put a message back, by raising, or be done with it."""
        count = int(record.attributes.approximate_receive_count)
        age = self.runtime.clock() - int(record.attributes.sent_timestamp) / 1000
        reason = f"{type(error).__name__}: {error}"
        fate = fate_of(error, count, age)
        if fate is Fate.DROPPED:
            self._ignore(fields, reason)
        elif fate is Fate.DEAD_LETTERED:
            self.dead_letters.send_dead_letter(_letter(record.body, reason), reason)
            self.runtime.telemetry.error(
                LogEvent.INTERRUPTION_DEAD_LETTERED, **fields, reason=reason, receive_count=count
            )
        else:
            self.runtime.telemetry.warning(
                LogEvent.INTERRUPTION_PUT_BACK, **fields, reason=reason, receive_count=count
            )
            self.queue.change_visibility(record.receipt_handle, pause_seconds(count))
            raise error


def _unknown(error: Exception) -> MembershipUnknown:
    """Return that it could not be found out; raises what no retry can mend, for the operator."""
    if not is_transient(error):
        raise error
    return MembershipUnknown(f"{type(error).__name__}: {error}")


def _letter(body: object, reason: str) -> str:
    """Return a dead letter in the form that Lambda gives those of asynchronous invocations."""
    try:
        event = json.loads(str(body))
    except ValueError:
        event = body
    return json.dumps({"requestPayload": event, "responsePayload": {"errorMessage": reason}})
