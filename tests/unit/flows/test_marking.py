"""State tags, and the report of a completion."""

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
    assert [tag["Value"] for tag in call["Tags"]] == ["proven 2023-11-14T22:13:20Z"]


def test_a_tag_that_cannot_be_written_is_logged_and_holds_nothing_up() -> None:
    parts = Parts(create_tags=THROTTLED)
    parts.marker.write(action(), MarkKind.PROVEN)
    line = parts.telemetry.the(LogEvent.MARK_FAILED)
    assert (line["instance_id"], line["mark"]) == (INSTANCE_ID, MarkKind.PROVEN)
    assert "Rate exceeded" in str(line["reason"])


@pytest.mark.parametrize(
    ("kind", "at", "is_proof"),
    [
        (MarkKind.PROVEN, NOW, True),
        (MarkKind.RETAINED, NOW + 60, True),
        (MarkKind.PROVEN, NOW - 1, False),  # of an earlier life in a warm pool
        (MarkKind.TERMINATING, NOW, False),
        (MarkKind.POOLED, NOW, False),
    ],
)
def test_only_a_proof_since_this_wait_began_counts(
    kind: MarkKind, at: float, *, is_proof: bool
) -> None:
    marker = Parts(describe_instances=marked(kind, at)).marker
    end = marker.known_end(action(started_at=NOW + 0.9), None)
    assert end == ("proven" if is_proof else None)


def test_an_instance_that_ec2_does_not_know_was_not_proven() -> None:
    assert Parts(describe_instances=described()).marker.known_end(action(), None) is None


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
