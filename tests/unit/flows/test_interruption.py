"""Whose instances events are about, and what becomes of those that cannot be handled."""

import json
from typing import Any

import pytest

from lifecycle.decisions.marks import Mark, MarkKind
from lifecycle.errors import Malformed, MembershipUnknown
from lifecycle.flows.interruption import InterruptionHandler
from lifecycle.flows.sudden_end import SuddenEnds
from lifecycle.telemetry import LogEvent, Metric
from tests.support.messages import (
    GROUP,
    INSTANCE_ID,
    NOW,
    OTHER_INSTANCE_ID,
    record,
    shutting_down_event,
    spot_event,
    sqs_event,
    termination_event,
)
from tests.support.parts import MODULE, Parts, described, members
from tests.support.scripted import THROTTLED, aws_error

DENIED = aws_error("UnauthorizedOperation")
FOREIGN = [f"i-{number:017x}" for number in range(49)]
ASKED = ("describe_instances", "describe_auto_scaling_instances")


def tagged(group: str | None, *instance_ids: str, state: str = "shutting-down") -> dict[str, Any]:
    """What EC2 says of instances with the tag of this group, and a state tag."""
    tags: dict[str, Any] = {"aws:autoscaling:groupName": group} if group else {}
    marked = tags | {"fluentd-lifecycle": "terminating 2023-11-14T22:13:20Z"}
    return described(*instance_ids, state=state, **marked)


def owned(group: str | None, state: str) -> dict[str, Any]:
    """What EC2 says of an instance of ours that is in this group now."""
    tags = {"aws:autoscaling:groupName": group} if group else {}
    return described(INSTANCE_ID, mark=Mark(MarkKind.LAUNCHING, 0), state=state, **tags)


def both(*answers: dict[str, Any]) -> dict[str, Any]:
    return {"Reservations": [one for answer in answers for one in answer["Reservations"]]}


class Handling(Parts):
    """The handler, on a client with these answers."""

    def __init__(self, **answers: Any) -> None:
        super().__init__(change_message_visibility={}, **answers)
        self.handler = InterruptionHandler(
            module=MODULE,
            autoscaling=self.autoscaling,
            instances=self.instances,
            ends=SuddenEnds(GROUP, self.instances, self.marker, self.discovery, None, self.runtime),
            queue=self.queue("interruption"),
            dead_letters=self.queue("interruption-dlq"),
            runtime=self.runtime,
        )

    def receive(self, *events: object, age: float = 0, count: int = 1) -> list[str]:
        """Hand over a batch of events of this age; returns the ids of the messages that return."""
        records = [
            record(
                one if isinstance(one, str) else json.dumps(one),
                message_id=f"m{number}",
                sent_at=NOW - age,
                receive_count=count,
            )
            for number, one in enumerate(events)
        ]
        answer = self.handler.handle(sqs_event(*records))
        assert answer is not None
        assert self.telemetry.flushed == 1
        return [str(one["itemIdentifier"]) for one in answer["batchItemFailures"]]

    @property
    def asked(self) -> list[str]:
        """Where instances were looked up, call by call."""
        return [name for name, _ in self.client.calls if name in ASKED]

    @property
    def pauses(self) -> list[int]:
        calls = self.client.arguments_of("change_message_visibility")
        return [one["VisibilityTimeout"] for one in calls]


class TestWhose:
    def test_a_batch_of_others_costs_one_call_of_ec2_and_none_of_auto_scaling(self) -> None:
        parts = Handling(describe_instances=tagged("others", *FOREIGN))
        assert parts.receive(*(shutting_down_event(one) for one in FOREIGN)) == []
        assert (parts.asked, parts.done) == (["describe_instances"], [])
        ignored = parts.telemetry.of(LogEvent.INTERRUPTION_IGNORED)
        assert [line["instance_id"] for line in ignored] == FOREIGN
        assert {line["reason"] for line in ignored} == {"another Auto Scaling group"}

    def test_one_without_the_tag_of_a_group_is_asked_for_in_auto_scaling(self) -> None:
        untagged = tagged(None, INSTANCE_ID, OTHER_INSTANCE_ID)
        states = members({INSTANCE_ID: "InService"})
        parts = Handling(describe_instances=untagged, describe_auto_scaling_instances=states)
        events = [shutting_down_event(one) for one in (INSTANCE_ID, OTHER_INSTANCE_ID)]
        assert parts.receive(*events) == []
        assert parts.asked[:2] == ["describe_instances", "describe_auto_scaling_instances"]
        assert parts.done == ["deregister"]
        line = parts.telemetry.the(LogEvent.INTERRUPTION_IGNORED)
        assert (line["instance_id"], line["reason"]) == (
            OTHER_INSTANCE_ID,
            "in no Auto Scaling group",
        )

    def test_one_of_ours_among_others_is_acted_upon_also_when_its_group_has_let_it_go(self) -> None:
        seen = both(tagged("others", *FOREIGN), tagged(GROUP, INSTANCE_ID))
        parts = Handling(describe_instances=seen)
        events = [shutting_down_event(one) for one in (*FOREIGN, INSTANCE_ID)]
        assert parts.receive(*events) == []
        assert parts.done == ["deregister"]

    @pytest.mark.parametrize(
        ("group", "state", "done"),
        [
            (None, None, ["deregister"]),  # detached
            ("former", "Terminating:Proceed", ["deregister"]),
            ("former", "InService", []),  # reported, and left to that group
        ],
    )
    def test_the_end_of_one_that_has_left_our_group_is_counted_at_ec2s_event(
        self, group: str | None, state: str | None, done: list[str]
    ) -> None:
        seen = owned(group, "shutting-down")
        states = members({INSTANCE_ID: state} if state else {}, group=group or "")
        parts = Handling(describe_instances=seen, describe_auto_scaling_instances=states)
        assert parts.receive(shutting_down_event()) == []
        assert parts.done == [*done, "tag 2023-11-14T22:13:20Z"]
        assert parts.telemetry.total(Metric.UNCLEAN_TERMINATION) == 1

    @pytest.mark.parametrize("event", [spot_event(), shutting_down_event(state="stopping")])
    def test_one_that_serves_in_another_group_is_not_touched(self, event: dict[str, Any]) -> None:
        held = members({INSTANCE_ID: "InService"}, group="others")
        seen = owned("others", "running")
        parts = Handling(describe_instances=seen, describe_auto_scaling_instances=held)
        assert parts.receive(event) == []
        assert parts.done == []

    def test_what_cannot_be_found_out_of_one_that_has_left_is_paged(self) -> None:
        seen = owned("former", "shutting-down")
        parts = Handling(describe_instances=seen, describe_auto_scaling_instances=THROTTLED)
        assert parts.receive(shutting_down_event(), age=45, count=3) == []
        assert parts.telemetry.of(LogEvent.INTERRUPTION_DEAD_LETTERED)

    def test_one_that_another_group_has_taken_over_is_not_ours_any_more(self) -> None:
        held = members({INSTANCE_ID: "InService"}, group="others")
        seen = tagged(GROUP, INSTANCE_ID)
        parts = Handling(describe_instances=seen, describe_auto_scaling_instances=held)
        assert parts.receive(shutting_down_event()) == []
        assert parts.done == []


class TestUnknown:
    @pytest.mark.parametrize(
        "answers",
        [
            {"describe_instances": THROTTLED},
            {"describe_instances": aws_error("RequestLimitExceeded")},
            {
                "describe_instances": aws_error(
                    "InternalError", ResponseMetadata={"HTTPStatusCode": 500}
                )
            },
            {
                "describe_instances": described(*FOREIGN),
                "describe_auto_scaling_instances": THROTTLED,
            },
        ],
    )
    def test_it_is_put_back_and_asked_again_in_a_batch_without_a_page(
        self, answers: dict[str, Any]
    ) -> None:
        parts = Handling(**answers)
        returned = parts.receive(*(spot_event(one) for one in FOREIGN), age=100, count=3)
        assert len(returned) == len(FOREIGN)
        assert parts.pauses == [60] * len(FOREIGN)
        assert parts.asked == list(answers)
        assert parts.telemetry.total(Metric.MEMBERSHIP_UNKNOWN) == len(FOREIGN)
        assert {one.level for one in parts.telemetry.lines} == {"INFO", "WARNING"}
        assert parts.messages == []

    def test_it_is_dropped_when_it_is_of_no_use_any_more(self) -> None:
        parts = Handling(describe_instances=THROTTLED)
        assert parts.receive(spot_event(), age=1200) == []
        assert parts.telemetry.total(Metric.MEMBERSHIP_UNKNOWN) == 1
        assert "Rate exceeded" in str(parts.telemetry.the(LogEvent.INTERRUPTION_IGNORED)["reason"])
        assert {one.level for one in parts.telemetry.lines} == {"INFO"}
        assert parts.done == []

    @pytest.mark.parametrize("call", ASKED)
    def test_what_no_retry_can_mend_fails(self, call: str) -> None:
        answers = {"describe_instances": tagged(None, INSTANCE_ID), call: DENIED}
        with pytest.raises(type(DENIED), match="UnauthorizedOperation"):
            Handling(**answers).receive(spot_event(), age=5000)


OURS = {
    "describe_instances": tagged(GROUP, INSTANCE_ID),
    "describe_auto_scaling_instances": members({INSTANCE_ID: "InService"}),
}


class TestOurs:
    @pytest.mark.parametrize("call", ["deregister_instance", "describe_auto_scaling_instances"])
    def test_what_fails_is_tried_again_and_paged_before_ec2s_two_minutes_are_over(
        self, call: str
    ) -> None:
        parts = Handling(**{**OURS, call: THROTTLED})
        assert parts.receive(shutting_down_event(), count=2) == ["m0"]
        assert parts.pauses == [30]
        parts = Handling(**{**OURS, call: THROTTLED})
        event = shutting_down_event()
        assert parts.receive(event, age=45, count=3) == []
        [letter] = parts.messages
        assert letter["requestPayload"] == event
        assert "Rate exceeded" in letter["responsePayload"]["errorMessage"]
        assert parts.telemetry.the(LogEvent.INTERRUPTION_DEAD_LETTERED).level == "ERROR"
        assert parts.telemetry.total(Metric.MEMBERSHIP_UNKNOWN) == 0

    def test_what_a_slow_batch_has_not_begun_is_put_back(self) -> None:
        seen = tagged(GROUP, INSTANCE_ID, OTHER_INSTANCE_ID)
        parts = Handling(**{**OURS, "describe_instances": seen})

        def slowly(**_: Any) -> dict[str, Any]:
            parts.now += 41
            return {"OperationId": "deregister-1"}

        parts.client._answers["deregister_instance"] = [slowly]
        events = [shutting_down_event(one) for one in (INSTANCE_ID, OTHER_INSTANCE_ID)]
        assert parts.receive(*events) == ["m1"]
        assert parts.done == ["deregister"]

    @pytest.mark.parametrize("body", ["{}", "no JSON", "\ud800", '{"source": "aws.ec2"}'])
    def test_a_malformed_event_is_dead_lettered_at_once_beside_a_sound_one(self, body: str) -> None:
        parts = Handling(**OURS)
        assert parts.receive(body, shutting_down_event()) == []
        assert [letter["requestPayload"] for letter in parts.messages] != []
        assert "deregister" in parts.done
        assert "interruption event: " in str(parts.telemetry.the(LogEvent.INTERRUPTION_INVALID))


class TestAsynchronous:
    def test_the_end_of_an_instance_of_our_group_is_acted_upon(self) -> None:
        gone = tagged(GROUP, INSTANCE_ID, state="terminated")
        parts = Handling(describe_instances=gone)
        assert parts.handler.handle(termination_event()) is None
        assert parts.telemetry.total(Metric.UNCLEAN_TERMINATION) == 1
        assert parts.asked[0] == "describe_auto_scaling_instances"

    @pytest.mark.parametrize("event", [None, [], "text", {}, {"source": "aws.ec2"}])
    def test_a_malformed_event_is_named_and_raised(self, event: object) -> None:
        parts = Handling()
        with pytest.raises(Malformed, match="interruption event: "):
            parts.handler.handle(event)
        assert "interruption event: " in str(parts.telemetry.the(LogEvent.INTERRUPTION_INVALID))
        assert parts.done == []

    @pytest.mark.parametrize(
        ("event", "error"),
        [(termination_event(), type(THROTTLED)), (spot_event(), MembershipUnknown)],
    )
    def test_what_cannot_be_looked_up_is_raised(
        self, event: dict[str, Any], error: type[Exception]
    ) -> None:
        parts = Handling(describe_auto_scaling_instances=THROTTLED)
        with pytest.raises(error):
            parts.handler.handle(event)
        assert parts.telemetry.flushed == 1
