"""Which way a lifecycle event goes; what is done there is in test_entrance.py."""

from typing import Any

import pytest

from lifecycle.decisions.marks import MarkKind
from lifecycle.errors import Malformed
from lifecycle.flows.entrance import Entrance
from lifecycle.flows.lifecycle import LifecycleHandler
from lifecycle.settings import LifecycleHandlerSettings, load_settings
from lifecycle.telemetry import LogEvent
from tests.support import environments
from tests.support.messages import INSTANCE_ID, launch_event, terminate_event
from tests.support.parts import Parts, described, listed, marked, members


def handle(parts: Parts, event: object) -> None:
    LifecycleHandler(
        settings=load_settings(LifecycleHandlerSettings, environments.lifecycle_handler()),
        scope=parts.scope,
        entrance=Entrance(
            parts.autoscaling, parts.instances, parts.marker, parts.discovery, parts.runtime
        ),
        runtime=parts.runtime,
    ).handle(event)


@pytest.mark.parametrize(
    ("event", "state", "done"),
    [
        (launch_event(), "Pending:Wait", ["register", "send operation", "tag launching"]),
        (launch_event(Destination="WarmPool"), "Warmed:Pending:Wait", ["complete", "tag pooled"]),
        (terminate_event(), "Terminating:Wait", ["send operation", "tag terminating"]),
    ],
)
def test_an_event_of_ours_starts_its_pipeline(
    event: dict[str, Any], state: str, done: list[str]
) -> None:
    parts = Parts(
        describe_auto_scaling_instances=members({INSTANCE_ID: state}),
        list_instances=listed(INSTANCE_ID),
    )
    handle(parts, event)
    assert parts.done == done
    assert parts.telemetry.events[0] is LogEvent.LIFECYCLE_EVENT_RECEIVED


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (terminate_event(LifecycleHookName="others"), "another lifecycle hook"),
        (terminate_event(LifecycleHookName="pipeline-launch"), "another lifecycle hook"),
        (launch_event(LifecycleHookName="pipeline-terminate"), "another lifecycle hook"),
    ],
)
def test_an_event_of_others_is_ignored_aloud(event: dict[str, Any], reason: str) -> None:
    parts = Parts(describe_auto_scaling_instances=members({INSTANCE_ID: "Terminating:Wait"}))
    handle(parts, event)
    assert parts.client.calls == []
    assert parts.telemetry.the(LogEvent.LIFECYCLE_EVENT_IGNORED)["reason"] == reason


@pytest.mark.parametrize(
    ("event", "state", "mark", "is_ours"),
    [
        (terminate_event(AutoScalingGroupName="others"), "Terminating:Wait", True, True),
        (terminate_event(AutoScalingGroupName="others"), "Terminating:Wait", False, False),
        (terminate_event(AutoScalingGroupName="others"), "InService", True, False),
        (launch_event(AutoScalingGroupName="others"), "Pending:Wait", True, False),
    ],
)
def test_of_another_group_only_what_is_ours_and_leaves_is_drained(
    event: dict[str, Any], state: str, mark: bool, is_ours: bool
) -> None:
    """A hook of ours in the group that the module had before."""
    parts = Parts(
        describe_auto_scaling_instances=members({INSTANCE_ID: state}, group="others"),
        list_instances=listed(INSTANCE_ID),
        describe_instances=marked(MarkKind.LAUNCHING) if mark else described(INSTANCE_ID),
    )
    handle(parts, event)
    assert parts.done == (["send operation", "tag terminating"] if is_ours else [])
    ignored = parts.telemetry.of(LogEvent.LIFECYCLE_EVENT_IGNORED)
    assert [one["reason"] for one in ignored] == [] if is_ours else ["another Auto Scaling group"]


def test_a_late_launch_does_not_register_one_that_serves_in_another_group() -> None:
    elsewhere = members({INSTANCE_ID: "InService"}, group="others")
    parts = Parts(describe_auto_scaling_instances=elsewhere)
    handle(parts, launch_event())
    assert parts.done == []


@pytest.mark.parametrize("event", [None, {}, terminate_event(EC2InstanceId="not-an-id")])
def test_an_event_of_another_form_is_logged_and_raised(event: object) -> None:
    parts = Parts()
    with pytest.raises(Malformed):
        handle(parts, event)
    assert parts.telemetry.events == [LogEvent.LIFECYCLE_EVENT_INVALID]
    assert parts.client.calls == []
