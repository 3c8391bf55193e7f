"""Plays EventBridge between the emulators: events of Auto Scaling and EC2 go to the deployed rules.

The Lambda emulator has EventBridge, but refuses events with a source of AWS's own, as AWS does. So
each event is compared with every enabled rule (`TestEventPattern` decides) and sent to the rules'
targets: asynchronous invocations and messages, which only a resource policy of the function or of
the queue allows. What cannot be delivered goes to the target's dead-letter queue, if that queue
allows the rule; else it is dropped, as on AWS, with an error in the log.
"""

import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from mypy_boto3_events import EventBridgeClient
from mypy_boto3_lambda import LambdaClient
from mypy_boto3_sqs import SQSClient

from sandbox.emulator.iam.policies import Decision, Request, decide
from sandbox.emulator_client import EmulatorControl

Event = dict[str, Any]

Courier = Callable[[Event], Iterable[Event]]

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.2
# AWS retries for up to a day; what has not worked by then fails here after a moment.
ATTEMPTS = 3
PAUSE_SECONDS = 0.3
SERVICE = "events.amazonaws.com"


class DeliveryError(Exception):
    """A target did not take an event."""


@dataclass(frozen=True)
class Target:
    """Where a rule sends its events."""

    rule_arn: str
    arn: str
    dead_letter_queue_arn: str | None


def once(event: Event) -> Iterable[Event]:
    """The courier that delivers each event once."""
    return [event]


class Bridge:
    """Delivers the emulator's events; `courier` may lose, repeat or change them."""

    def __init__(
        self,
        control: EmulatorControl,
        events: EventBridgeClient,
        functions: LambdaClient,
        queues: SQSClient,
    ) -> None:
        self.courier: Courier = once
        self._control = control
        self._events = events
        self._functions = functions
        self._queues = queues
        self._position = 0

    def deliver_new(self) -> None:
        for event in self._control.events(self._position):
            for carried in self.courier(event):
                for target in self._targets_of(carried):
                    self._deliver(carried, target)
            self._position += 1

    def _targets_of(self, event: Event) -> Iterator[Target]:
        written = json.dumps(event)
        for rule in self._events.list_rules()["Rules"]:
            pattern = rule.get("EventPattern")
            if rule.get("State") != "ENABLED" or pattern is None:
                continue
            if self._events.test_event_pattern(EventPattern=pattern, Event=written)["Result"]:
                yield from self._targets(rule["Name"], rule["Arn"])

    def _targets(self, rule_name: str, rule_arn: str) -> Iterator[Target]:
        for target in self._events.list_targets_by_rule(Rule=rule_name)["Targets"]:
            queue_arn = target.get("DeadLetterConfig", {}).get("Arn")
            yield Target(rule_arn, target["Arn"], queue_arn)

    def _deliver(self, event: Event, target: Target) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._hand_over(event, target)
            except (DeliveryError, ClientError, BotoCoreError) as error:
                logger.warning("event %s for %s: %s", event["id"], target.arn, error)
                if attempt == ATTEMPTS:
                    self._dead_letter(event, target, error)
                else:
                    time.sleep(PAUSE_SECONDS)
            else:
                return

    def _hand_over(self, event: Event, target: Target) -> None:
        if ":sqs:" in target.arn:
            self._send(event, target.arn, target.rule_arn)
            return
        if not self._may_invoke(target):
            raise DeliveryError(f"no resource policy of {target.arn} allows {target.rule_arn}")
        self._functions.invoke(
            FunctionName=target.arn, InvocationType="Event", Payload=json.dumps(event).encode()
        )

    def _may_invoke(self, target: Target) -> bool:
        try:
            policy = self._functions.get_policy(FunctionName=target.arn)["Policy"]
        except self._functions.exceptions.ResourceNotFoundException:
            return False
        return _allows(policy, "lambda:InvokeFunction", target.arn, target.rule_arn)

    def _dead_letter(self, event: Event, target: Target, failure: Exception) -> None:
        queue_arn = target.dead_letter_queue_arn
        if queue_arn is None:
            logger.error("event %s is lost: the target has no dead-letter queue", event["id"])
            return
        details = {
            "RULE_ARN": target.rule_arn,
            "TARGET_ARN": target.arn,
            "ERROR_CODE": type(failure).__name__,
            "ERROR_MESSAGE": str(failure),
        }
        try:
            self._send(event, queue_arn, target.rule_arn, details)
        except DeliveryError as error:
            logger.error("event %s is lost: %s", event["id"], error)  # noqa: TRY400 (no bug of ours)

    def _send(
        self, event: Event, queue_arn: str, rule_arn: str, details: Mapping[str, str] | None = None
    ) -> None:
        url = self._queues.get_queue_url(QueueName=queue_arn.rsplit(":", 1)[-1])["QueueUrl"]
        attributes = self._queues.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])
        policy = attributes.get("Attributes", {}).get("Policy", "{}")
        if not _allows(policy, "sqs:SendMessage", queue_arn, rule_arn):
            raise DeliveryError(f"{queue_arn} does not allow {rule_arn}")
        self._queues.send_message(
            QueueUrl=url,
            MessageBody=json.dumps(event),
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value}
                for name, value in (details or {}).items()
            },
        )


def _allows(policy: str, action: str, resource: str, rule_arn: str) -> bool:
    """Whether a resource policy allows EventBridge to do this for the rule."""
    document = json.loads(policy)
    ours = [one for one in document.get("Statement", []) if _is_for_eventbridge(one)]
    context = {"aws:SourceArn": [rule_arn], "aws:SecureTransport": ["true"]}
    decision = decide([{"Statement": ours}], Request(action, resource, context))
    return decision is Decision.ALLOWED


def _is_for_eventbridge(statement: dict[str, Any]) -> bool:
    principal = statement.get("Principal")
    if principal == "*":
        return True
    services = principal.get("Service", []) if isinstance(principal, dict) else []
    return SERVICE in ([services] if isinstance(services, str) else services)
