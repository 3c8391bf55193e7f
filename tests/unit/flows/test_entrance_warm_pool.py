"""The handler and the warm pool: what is at rest there was judged when it was stopped."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from lifecycle.decisions.marks import MarkKind
from lifecycle.messages import BufferCheck, FlushCheck
from lifecycle.telemetry import LogEvent
from tests.support.handled import INSTANCE, Handled, at_rest
from tests.support.messages import launch_event, terminate_event
from tests.support.scripted import NO_ACTIVE_ACTION, THROTTLED

LEAVING_POOL = "Warmed:Terminating:Wait"


class TestAtRestInThePool:
    """A stopped instance cannot answer: what it was when it was stopped has to do."""

    @pytest.mark.parametrize("kind", [MarkKind.PROVEN, MarkKind.POOLED])
    @pytest.mark.parametrize("halting", ["stopped", "stopping"])
    def test_one_that_held_nothing_and_has_not_run_since_is_released(
        self, kind: MarkKind, halting: str
    ) -> None:
        instance = at_rest(kind, State={"Name": halting})
        handled = Handled(terminate_event(Origin="WarmPool"), LEAVING_POOL, instance=instance)
        assert handled.is_completed
        assert (handled.error, handled.marks) == (None, [])
        assert handled.done == ["get_instance"]

    @pytest.mark.parametrize(
        "instance",
        [
            INSTANCE,
            {**INSTANCE, "State": {"Name": "stopped"}},
            at_rest(MarkKind.TERMINATING),
            at_rest(MarkKind.LAUNCHING),
            at_rest(MarkKind.RECLAIMED),
            at_rest(MarkKind.PROVEN, State={"Name": "running"}),
            at_rest(MarkKind.PROVEN, State={"Name": "terminated"}),
            at_rest(MarkKind.PROVEN, age=501),  # started after it
            at_rest(MarkKind.POOLED, age=501),
        ],
    )
    def test_any_other_one_is_drained(self, instance: dict[str, Any]) -> None:
        handled = Handled(terminate_event(Origin="WarmPool"), LEAVING_POOL, instance=instance)
        assert handled.done == ["deregister_instance", "send_message"]
        assert not handled.is_completed

    @pytest.mark.parametrize("state", ["Terminating:Wait", "Warmed:Pending:Wait"])
    def test_one_that_comes_from_the_group_is_drained_whatever_its_mark_says(
        self, state: str
    ) -> None:
        handled = Handled(terminate_event(), state, instance=at_rest(MarkKind.PROVEN))
        assert handled.done == ["deregister_instance", "send_message"]

    def test_one_that_is_registered_is_drained(self) -> None:
        instance = at_rest(MarkKind.PROVEN)
        handled = Handled(terminate_event(), LEAVING_POOL, instance=instance, registration={})
        assert handled.done == ["get_instance", "deregister_instance", "send_message"]

    @pytest.mark.parametrize(
        "unknown", [{"instance": THROTTLED}, {"registration": THROTTLED}], ids=str
    )
    def test_while_that_is_unknown_the_event_comes_again(self, unknown: dict[str, Any]) -> None:
        with pytest.raises(ClientError, match="Rate exceeded"):
            Handled(
                terminate_event(), LEAVING_POOL, **{"instance": at_rest(MarkKind.PROVEN), **unknown}
            )

    @pytest.mark.parametrize("first_stage", [FlushCheck, BufferCheck])
    def test_a_fleet_in_no_service_discovery_is_released_like_any_other(
        self, first_stage: type[FlushCheck] | type[BufferCheck]
    ) -> None:
        instance = at_rest(MarkKind.PROVEN)
        handled = Handled(
            terminate_event(), LEAVING_POOL, instance=instance, first_stage=first_stage
        )
        assert handled.done == []
        assert handled.is_completed

    def test_what_is_launched_into_the_pool_is_marked_once_it_is_in(self) -> None:
        event = launch_event(Destination="WarmPool")
        [mark] = Handled(event, "Warmed:Pending:Wait").marks
        assert mark.startswith("pooled ")

    def test_a_late_duplicate_of_that_tags_none_that_may_have_served_since(self) -> None:
        event = launch_event(Destination="WarmPool")
        assert Handled(event, "InService", NO_ACTIVE_ACTION).marks == []

    def test_a_late_duplicate_of_a_return_into_the_pool_is_ignored(self) -> None:
        instance = at_rest(MarkKind.PROVEN, age=0)  # the event's time is NOW
        handled = Handled(terminate_event(), "Warmed:Stopped", instance=instance)
        assert (handled.error, handled.done) == (None, [])
        assert LogEvent.LIFECYCLE_EVENT_IGNORED in handled.telemetry.events
