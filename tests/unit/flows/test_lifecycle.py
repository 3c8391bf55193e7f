"""Which way a lifecycle event goes; what is done there is in test_entrance.py."""

from typing import Any

import pytest

from lifecycle.errors import Malformed
from lifecycle.flows.entrance import Entrance
from lifecycle.flows.lifecycle import LifecycleHandler
from lifecycle.settings import LifecycleHandlerSettings, load_settings
from lifecycle.telemetry import LogEvent
from tests.support import environments
from tests.support.messages import INSTANCE_ID, launch_event, terminate_event
from tests.support.parts import Parts, listed, members


def handle(parts: Parts, event: object) -> None:
    LifecycleHandler(
        settings=load_settings(LifecycleHandlerSettings, environments.lifecycle_handler()),
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
        (terminate_event(AutoScalingGroupName="others"), "another Auto Scaling group"),
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


@pytest.mark.parametrize("event", [None, {}, terminate_event(EC2InstanceId="not-an-id")])
def test_an_event_of_another_form_is_logged_and_raised(event: object) -> None:
    parts = Parts()
    with pytest.raises(Malformed):
        handle(parts, event)
    assert parts.telemetry.events == [LogEvent.LIFECYCLE_EVENT_INVALID]
    assert parts.client.calls == []
