"""One lifecycle event, handled on scripted clients."""

from datetime import UTC, datetime
from typing import Any

from lifecycle.decisions.marks import TAG_KEY, Mark, MarkKind
from lifecycle.errors import UnexpectedState
from lifecycle.flows.entrance import Entrance
from lifecycle.flows.lifecycle import LifecycleHandler
from lifecycle.flows.stage import Discovery, NextStage
from lifecycle.messages import BufferCheck, FlushCheck
from lifecycle.settings import LifecycleHandlerSettings, load_settings
from tests.support import environments
from tests.support.messages import INSTANCE_ID, NOW
from tests.support.parts import NOT_REGISTERED, Parts, members

INSTANCE = {
    "InstanceId": INSTANCE_ID,
    "State": {"Name": "running"},
    "PrivateIpAddress": "10.0.0.7",
    "Placement": {"AvailabilityZone": "ap-northeast-1a"},
    "LaunchTime": datetime.fromtimestamp(NOW - 500, UTC),
}


def at_rest(mark: MarkKind, age: float = 100, **members: Any) -> dict[str, Any]:
    """What EC2 knows of a stopped instance that was marked so long before now."""
    tags = [{"Key": TAG_KEY, "Value": str(Mark(mark, NOW - age))}]
    return {**INSTANCE, "State": {"Name": "stopped"}, "Tags": tags, **members}


class Handled:
    """One event, handled while the instance is in this state.

    ``first_stage`` is where a fleet that is not in Cloud Map starts.
    """

    def __init__(
        self,
        event: dict[str, Any],
        state: str | None,
        completion: Any = None,
        *,
        tagging: Any = None,
        instance: Any = INSTANCE,
        registration: Any = NOT_REGISTERED,
        first_stage: type[FlushCheck] | type[BufferCheck] | None = None,
    ) -> None:
        # The rule of the last aggregator: test_placement.py
        self.parts = parts = Parts(
            allow_empty=True,
            describe_auto_scaling_instances=members({INSTANCE_ID: state} if state else {}),
            complete_lifecycle_action=completion or {},
            get_instance=registration,
            describe_instances=instance
            if isinstance(instance, Exception)
            else {"Reservations": [{"Instances": [instance]}]},
            create_tags=tagging or {},
        )
        self.telemetry = parts.telemetry
        environment = environments.lifecycle_handler()
        start: Discovery | NextStage = parts.discovery
        if first_stage is not None:
            environment = environments.without_cloud_map(
                environment, FLUSH_QUEUE_URL=environments.queue_url("flush")
            )
            start = NextStage(first_stage, parts.queue("first"), parts.runtime)
        self.error: Exception | None = None
        try:
            LifecycleHandler(
                settings=load_settings(LifecycleHandlerSettings, environment),
                scope=parts.scope,
                entrance=Entrance(
                    parts.autoscaling, parts.instances, parts.marker, start, parts.runtime
                ),
                runtime=parts.runtime,
            ).handle(event)
        except UnexpectedState as error:
            self.error = error

    @property
    def marks(self) -> list[str]:
        calls = self.parts.client.arguments_of("create_tags")
        return [call["Tags"][0]["Value"] for call in calls]

    @property
    def done(self) -> list[str]:
        """What was done to Cloud Map and the queue, in order."""
        in_cloud_map = {"register_instance", "deregister_instance", "get_instance"}
        calls = [name for name, _ in self.parts.client.calls]
        return [name for name in calls if name in {*in_cloud_map, "send_message"}]

    @property
    def is_completed(self) -> bool:
        return bool(self.parts.client.arguments_of("complete_lifecycle_action"))
