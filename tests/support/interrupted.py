"""One event of an instance that ends without its hook, acted upon on a scripted client."""

from typing import Any

from lifecycle.adapters.run_command import RunCommand
from lifecycle.decisions.marks import OWNER_TAG_KEY
from lifecycle.decisions.ownership import Ownership
from lifecycle.events import parse_interruption
from lifecycle.flows.sudden_end import SuddenEnds
from lifecycle.telemetry import LogEvent, Metric
from tests.support.messages import GROUP, INSTANCE_ID, OTHER_INSTANCE_ID
from tests.support.parts import Parts, described, listed, members

AT = "2023-11-14T22:13:20Z"


def shown(
    state: str = "running", mark: str | None = None, *, counted: bool = False
) -> dict[str, Any]:
    tags: dict[str, Any] = {
        "fluentd-lifecycle": mark,
        "fluentd-lifecycle-unclean": AT if counted else None,
    }
    return described(INSTANCE_ID, state=state, **{key: one for key, one in tags.items() if one})


class Handled:
    """One event, handled while the instance is in this state of our group."""

    def __init__(
        self,
        event: object,
        state: str | None = "InService",
        instance: Any = None,
        *,
        other: str | None = None,
        in_cloud_map: bool = True,
        ownership: Ownership = Ownership.MEMBER,
        **answers: Any,
    ) -> None:
        found = {INSTANCE_ID: state, OTHER_INSTANCE_ID: other}
        states = {one: state for one, state in found.items() if state}
        self.parts = Parts(
            **{
                "describe_auto_scaling_instances": members(states),
                "describe_instances": instance or shown(),
                "list_instances": listed(INSTANCE_ID, *states),
                **answers,
            }
        )
        self.telemetry, self.slept = self.parts.telemetry, self.parts.slept
        client: Any = self.parts.client
        self.error: Exception | None = None
        ends = SuddenEnds(
            autoscaling_group_name=GROUP,
            instances=self.parts.instances,
            marker=self.parts.marker,
            discovery=self.parts.discovery if in_cloud_map else None,
            run_command=RunCommand(client, "pipeline-flush", 30),
            runtime=self.parts.runtime,
        )
        try:
            ends.act_on(parse_interruption(event), state, ownership)
        except Exception as error:  # noqa: BLE001 (the tests look at it)
            self.error = error

    @property
    def done(self) -> list[str]:
        """What was changed, in order; tags apart."""
        asked = ("describe_", "list_", "get_", "create_tags")
        return [name for name, _ in self.parts.client.calls if not name.startswith(asked)]

    @property
    def tags(self) -> list[str]:
        calls = self.parts.client.arguments_of("create_tags")
        tags = [tag for call in calls for tag in call["Tags"]]
        return [tag["Value"] for tag in tags if tag["Key"] != OWNER_TAG_KEY]

    @property
    def counted(self) -> float:
        return self.telemetry.total(Metric.UNCLEAN_TERMINATION)

    @property
    def ignored(self) -> object:
        return self.reason(LogEvent.INTERRUPTION_IGNORED)

    def reason(self, event: LogEvent) -> object:
        return self.telemetry.the(event)["reason"]
