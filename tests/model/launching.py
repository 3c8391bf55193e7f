"""What is promised of launches: registered means listening, as far as Prometheus can know."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lifecycle.decisions.buffer import State
from lifecycle.decisions.marks import NOT_READY_TAG_KEY, read_moment
from lifecycle.decisions.readiness import Admission
from lifecycle.messages import Transition
from lifecycle.telemetry import LogEvent
from tests.model.fluentd import Fluentd
from tests.model.grouped import Grouped
from tests.model.monitoring import Answering, Monitoring
from tests.model.promises import Life, Promises
from tests.model.shapes import READINESS_UNKNOWN
from tests.support.functions import Invoking
from tests.support.messages import LAUNCH_HOOK
from tests.support.recording import Line


@dataclass
class Launches:
    """The promises about launches, checked by the world's journal and the functions' log."""

    cloud: Grouped
    promises: Promises
    monitoring: Monitoring
    _asked: set[str] = field(default_factory=set)  # whose registration this launch has asked for
    _begun: dict[str, float] = field(default_factory=dict)  # when a function began to wait for it
    _lines_seen: int = 0

    def witness(self, life: Life, entry: Mapping[str, Any]) -> None:
        """Look at an entry of the journal."""
        event, is_of_launch = entry["event"], life.waits_in == LAUNCH_HOOK
        if event == "pending_wait":
            self._asked.discard(life.instance_id)
        elif event == "completed" and entry["lifecycle_hook_name"] == LAUNCH_HOOK:
            goes_on = entry["result"] == "CONTINUE"
            self.promises.check("no function abandons a launch", goes_on, life.instance_id)
        elif event == "operation_submitted" and is_of_launch:
            self._check_request(life.instance_id, entry["operation_type"])
        elif event == "registered" and "attributes" in entry:
            family = "IPV6" if self.cloud.shape.ipv6_only else "IPV4"
            is_its_own = f"AWS_INSTANCE_{family}" in entry["attributes"]
            self.promises.check("registered by the address that it has", is_its_own)

    def _check_request(self, instance_id: str, kind: str) -> None:
        """Look at the first registration that a launch asks for."""
        cloud = self.cloud
        if kind != "REGISTER_INSTANCE" or instance_id in self._asked | cloud.registered_ids():
            return
        self._asked.add(instance_id)
        is_answered = cloud.evidence.invoking is Invoking.SOUND
        if cloud.shape.readiness and is_answered and self.monitoring.answering is Answering.SOUND:
            self.monitoring.catch_up()
            is_down = self.monitoring.targets[instance_id].is_seen_down(cloud.now)
            promise = "never registered while its target is seen down"
            self.promises.check(promise, not is_down, instance_id)

    def read_log(self) -> None:
        """Look at what the functions said of readiness since the last time."""
        lines = self.cloud.telemetry.lines
        for line in lines[self._lines_seen :]:
            if line.event is LogEvent.READINESS_VERDICT:
                self._check_patience(line)
            elif (
                line.event is LogEvent.CHECK_MESSAGE_ENQUEUED
                and line["transition"] is Transition.LAUNCHING
            ):
                self._begun[str(line["instance_id"])] = line.at
        self._lines_seen = len(lines)

    def _check_patience(self, line: Line) -> None:
        """A launch of which nothing is known waits for so long, and no longer."""
        self.cloud.count(f"readiness: {line['verdict']}, {line['admission']}")
        if line["verdict"] is not State.UNKNOWN:
            return
        instance_id = str(line["instance_id"])
        since = self._begun.setdefault(instance_id, line.at)
        if line["admission"] is Admission.WAIT and line.at - since > READINESS_UNKNOWN:
            known_down = self.cloud.tags(instance_id).get(NOT_READY_TAG_KEY)
            since = max(since, read_moment(known_down) if known_down else since)
        is_over = line["admission"] is Admission.WAIT and line.at - since > READINESS_UNKNOWN + 1
        self.promises.check("what nothing is known of is registered", not is_over, instance_id)


def keep_agents_off(
    faults: Any, fluentds: Mapping[str, Fluentd], count: Callable[[str], None]
) -> None:
    """Let no agent be online on an instance that boots."""
    concerns = faults.concerns

    def concerns_or_boots(names: list[str], instance_id: str) -> bool:
        fluentd = fluentds.get(instance_id)
        boots = fluentd is not None and fluentd.boots_at is not None
        if boots and names is faults.agents_off:
            count("SSM: agent of an instance that boots")
            return True
        return bool(concerns(names, instance_id))

    faults.concerns = concerns_or_boots
