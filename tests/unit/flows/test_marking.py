"""State tags, and the report of a completion."""

from typing import Any

import pytest

from lifecycle.adapters.autoscaling import Completion
from lifecycle.decisions.marks import MarkKind
from lifecycle.flows.marking import report_completion
from lifecycle.telemetry import LogEvent, Metric
from tests.support.messages import INSTANCE_ID, NOW, action
from tests.support.parts import Parts, described, marked
from tests.support.scripted import THROTTLED


def test_a_tag_says_what_was_done_and_when() -> None:
    parts = Parts()
    parts.marker.write(action(), MarkKind.PROVEN)
    [call] = parts.client.arguments_of("create_tags")
    assert call["Resources"] == [INSTANCE_ID]
    assert call["Tags"] == [
        {"Key": "fluentd-lifecycle", "Value": "proven 2023-11-14T22:13:20Z"},
        {"Key": "fluentd-lifecycle-owner", "Value": "pipeline"},
    ]


def test_a_tag_that_cannot_be_written_is_logged_and_holds_nothing_up() -> None:
    parts = Parts(create_tags=THROTTLED)
    parts.marker.write(action(), MarkKind.PROVEN)
    parts.marker.own([INSTANCE_ID])
    lines = parts.telemetry.of(LogEvent.MARK_FAILED)
    assert [line["mark"] for line in lines] == [MarkKind.PROVEN, "owner"]
    assert all(line["instance_id"] == INSTANCE_ID for line in lines)
    assert all("Rate exceeded" in str(line["reason"]) for line in lines)


@pytest.mark.parametrize(
    ("kind", "at", "state", "end"),
    [
        (MarkKind.PROVEN, NOW, None, "proven"),
        (MarkKind.RETAINED, NOW + 60, "Terminating:Retained", "proven"),
        (MarkKind.PROVEN, NOW - 1, None, None),  # of an earlier life in a warm pool
        (MarkKind.TERMINATING, NOW, None, None),
        (MarkKind.POOLED, NOW, None, None),
        (MarkKind.LAUNCHING, NOW + 60, "InService", "launched_again"),
        (MarkKind.LAUNCHING, NOW - 60, "InService", None),
        (MarkKind.LAUNCHING, NOW + 60, "Terminated", None),
    ],
)
def test_only_a_tag_since_this_wait_began_says_how_it_ended(
    kind: MarkKind, at: float, state: str | None, end: str | None
) -> None:
    marker = Parts(describe_instances=marked(kind, at)).marker
    assert marker.known_end(action(started_at=NOW + 0.9), state) == end


def test_of_an_instance_that_ec2_does_not_know_no_end_is_known() -> None:
    assert Parts(describe_instances=described()).marker.known_end(action(), None) is None


@pytest.mark.parametrize("known", [described(), marked(MarkKind.TERMINATING), THROTTLED])
def test_an_end_that_no_tag_explains_is_counted_as_expired(known: Any) -> None:
    parts = Parts(describe_instances=known)
    parts.marker.report_end(action(), None)
    assert parts.telemetry.of(LogEvent.LIFECYCLE_ACTION_EXPIRED)
    assert parts.telemetry.total(Metric.LIFECYCLE_ACTION_EXPIRED) == 1


def test_an_end_that_a_tag_explains_is_only_logged() -> None:
    parts = Parts(describe_instances=marked(MarkKind.PROVEN))
    parts.marker.report_end(action(), None)
    assert parts.telemetry.the(LogEvent.LIFECYCLE_ACTION_ALREADY_ENDED)["ended"] == "proven"
    assert parts.telemetry.values == []


@pytest.mark.parametrize(
    ("known", "has_begun"),
    [
        (described(), False),
        (marked(MarkKind.TERMINATING, NOW), False),
        (marked(MarkKind.TERMINATING, NOW + 60), True),
        (marked(MarkKind.LAUNCHING, NOW + 60), True),
        (marked(MarkKind.PROVEN, NOW + 60), False),
    ],
)
def test_what_began_later_is_told_from_what_ended_later(
    known: dict[str, Any], *, has_begun: bool
) -> None:
    assert Parts(describe_instances=known).marker.has_begun_since(action(), NOW) is has_begun


def test_a_completion_of_ours_is_logged_with_its_fields_and_counted() -> None:
    parts = Parts()
    report_completion(action(), Completion.COMPLETED, parts.runtime, drain_seconds=7)
    assert parts.telemetry.the(LogEvent.LIFECYCLE_ACTION_COMPLETED)["drain_seconds"] == 7
    assert parts.telemetry.total(Metric.LIFECYCLE_ACTION_COMPLETED) == 1


@pytest.mark.parametrize("ended", [one for one in Completion if one is not Completion.COMPLETED])
def test_a_completion_of_another_is_logged_and_not_counted(ended: Completion) -> None:
    parts = Parts()
    report_completion(action(), ended, parts.runtime, drain_seconds=7)
    assert parts.telemetry.the(LogEvent.LIFECYCLE_ACTION_ALREADY_ENDED)["ended"] == ended
    assert parts.telemetry.values == []
