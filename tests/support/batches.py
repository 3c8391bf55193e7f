"""A stage whose checks a test decides, with scripted AWS clients around it."""

from collections.abc import Callable, Sequence
from typing import Any

from lifecycle.messages import BufferCheck
from tests.support.messages import INSTANCE_ID, NOW, OTHER_INSTANCE_ID, described, sqs_event
from tests.support.parts import Parts


def done(message: BufferCheck) -> None:
    """The message is done with."""


def raising(error: Exception) -> Callable[[BufferCheck], None]:
    def check(message: BufferCheck) -> None:
        raise error

    return check


_ANSWERS = {
    "heartbeat": "record_lifecycle_action_heartbeat",
    "described": "describe_instances",
    "visibility": "change_message_visibility",
    "dead_letter": "send_message",
}


class World:
    def __init__(
        self,
        check: Callable[[BufferCheck], None] = done,
        waited_for: Callable[[BufferCheck], bool] = lambda _message: True,
        now: float = NOW,
        **answers: Any,
    ) -> None:
        known = {"described": described(INSTANCE_ID, OTHER_INSTANCE_ID), **answers}
        self.parts = Parts(**{_ANSWERS[name]: answer for name, answer in known.items()})
        self.parts.now = now
        self.telemetry = self.parts.telemetry
        self.begun_with: list[list[BufferCheck]] = []
        self._check = check
        self.still_waited_for = waited_for

    def run(self, *records: dict[str, Any]) -> list[str]:
        answer = self.parts.stage(BufferCheck, self).handle(sqs_event(*records))
        assert list(answer) == ["batchItemFailures"]
        return [str(item["itemIdentifier"]) for item in answer["batchItemFailures"]]

    @property
    def dead(self) -> list[tuple[str, str]]:
        return self.parts.dead_letters("buffer")

    def begin(self, messages: Sequence[BufferCheck]) -> Callable[[BufferCheck], None]:
        self.begun_with.append(list(messages))
        return self._check
