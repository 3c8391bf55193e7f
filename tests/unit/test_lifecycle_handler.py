"""The handler in every lifecycle state; what it does with AWS is in tests/integration."""

from typing import Any

import pytest

from handlers.lifecycle import LifecycleHandler
from lifecycle.autoscaling import AutoScaling
from lifecycle.cloud_map import CloudMap
from lifecycle.drain import Registration
from lifecycle.errors import Surprise
from lifecycle.instances import Instances
from lifecycle.queues import Queue
from lifecycle.settings import LifecycleHandlerSettings, load_settings
from lifecycle.telemetry import LogEvent
from tests.support import environments
from tests.support.messages import INSTANCE_ID, launch_event, terminate_event
from tests.support.recording import RecordingTelemetry
from tests.support.scripted import NO_ACTIVE_ACTION, scripted

INSTANCE = {
    "InstanceId": INSTANCE_ID,
    "State": {"Name": "running"},
    "PrivateIpAddress": "10.0.0.7",
    "Placement": {"AvailabilityZone": "ap-northeast-1a"},
}


class Handled:
    """One event, handled while the instance is in this state."""

    def __init__(self, event: dict[str, Any], state: str | None, completion: Any = None) -> None:
        instances = [{"InstanceId": INSTANCE_ID, "LifecycleState": state}] if state else []
        self.autoscaling = scripted(
            describe_auto_scaling_instances={"AutoScalingInstances": instances},
            complete_lifecycle_action=completion or {},
        )
        self.cloud_map = scripted(
            register_instance={"OperationId": "operation-1"},
            deregister_instance={"OperationId": "operation-2"},
        )
        self.queue = scripted(send_message={})
        self.telemetry = RecordingTelemetry()
        ec2 = scripted(describe_instances={"Reservations": [{"Instances": [INSTANCE]}]})
        self.error: Exception | None = None
        try:
            LifecycleHandler(
                settings=load_settings(LifecycleHandlerSettings, environments.lifecycle_handler()),
                autoscaling=AutoScaling(self.autoscaling),
                instances=Instances(ec2),
                start=Registration(
                    CloudMap(self.cloud_map, "srv-1"), Queue(self.queue, "https://sqs/operation")
                ),
                telemetry=self.telemetry,
                clock=lambda: 0.0,
            ).handle(event)
        except Surprise as error:
            self.error = error

    @property
    def done(self) -> list[str]:
        """What was done to Cloud Map and the queue, in order."""
        return [name for name, _ in (*self.cloud_map.calls, *self.queue.calls)]


@pytest.mark.parametrize("state", ["Pending", "Pending:Wait", "Pending:Proceed", "InService"])
def test_an_instance_on_its_way_into_service_is_registered(state: str) -> None:
    handled = Handled(launch_event(), state)
    assert handled.done == ["register_instance", "send_message"]


@pytest.mark.parametrize(
    "state",
    [
        None,
        "Standby",
        "Detached",
        "Terminating",
        "Terminating:Wait",
        "Terminating:Proceed",
        "Terminating:Retained",
        "Terminated",
        "Warmed:Running",
        "Warmed:Stopped",
        "Warmed:Terminating:Wait",
    ],
)
def test_an_instance_that_is_not_on_its_way_into_service_is_never_registered(
    state: str | None,
) -> None:
    handled = Handled(launch_event(), state)
    assert handled.done == []
    line = handled.telemetry.the(LogEvent.LIFECYCLE_EVENT_IGNORED)
    assert line["reason"] == f"the instance is {state or 'gone'}"


@pytest.mark.parametrize("origin", ["EC2", "AutoScalingGroup"])
def test_a_launch_into_a_warm_pool_is_completed_without_a_look_at_cloud_map(origin: str) -> None:
    event = launch_event(Origin=origin, Destination="WarmPool")
    handled = Handled(event, "Warmed:Pending:Wait")
    assert handled.done == []
    assert [name for name, _ in handled.autoscaling.calls] == ["complete_lifecycle_action"]
    assert LogEvent.LIFECYCLE_ACTION_COMPLETED in handled.telemetry.events


@pytest.mark.parametrize(
    "state", ["Warmed:Pending:Proceed", "Warmed:Stopped", "Warmed:Running", "InService", None]
)
def test_a_launch_into_a_warm_pool_that_was_completed_before_is_no_error(
    state: str | None,
) -> None:
    handled = Handled(launch_event(Destination="WarmPool"), state, NO_ACTIVE_ACTION)
    assert (handled.error, handled.done) == (None, [])
    assert LogEvent.LIFECYCLE_ACTION_ALREADY_ENDED in handled.telemetry.events


def test_an_instance_that_leaves_the_pool_for_the_group_is_registered() -> None:
    event = launch_event(Origin="WarmPool", Destination="AutoScalingGroup")
    assert Handled(event, "Pending:Wait").done == ["register_instance", "send_message"]


@pytest.mark.parametrize(
    "state",
    [
        None,
        "Terminating",
        "Terminating:Wait",
        "Terminating:Proceed",
        "Terminating:Retained",
        "Terminated",
        "Warmed:Terminating",
        "Warmed:Terminating:Wait",
        "Warmed:Pending",
        "Warmed:Pending:Wait",
    ],
)
@pytest.mark.parametrize("destination", ["EC2", "WarmPool"])
def test_an_instance_that_leaves_is_deregistered_wherever_it_goes(
    state: str | None, destination: str
) -> None:
    handled = Handled(terminate_event(Destination=destination), state)
    assert handled.done == ["deregister_instance", "send_message"]


@pytest.mark.parametrize(
    "state",
    ["Pending", "Pending:Wait", "InService", "Standby", "Warmed:Stopped", "Warmed:Running"],
)
def test_an_instance_that_does_not_leave_is_never_deregistered(state: str) -> None:
    handled = Handled(terminate_event(), state)
    assert handled.done == []
    assert f"{INSTANCE_ID} is {state}, not terminating" in str(handled.error)


def test_the_token_of_a_lifecycle_action_is_not_logged() -> None:
    handled = Handled(terminate_event(), "Terminating:Wait")
    token = terminate_event()["detail"]["LifecycleActionToken"]
    assert token not in str(handled.telemetry.lines)
