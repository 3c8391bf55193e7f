"""What is handed over to a draining stage."""

import pytest

from lifecycle.flows.stage import NextStage
from lifecycle.messages import BufferCheck, FlushCheck
from lifecycle.telemetry import LogEvent
from tests.support.messages import INSTANCE_ID, NOW, action
from tests.support.parts import Parts


@pytest.mark.parametrize(("model", "stage"), [(FlushCheck, "flush"), (BufferCheck, "buffer")])
def test_a_stage_gets_its_own_message_with_the_time_of_the_deregistration(
    model: type[FlushCheck] | type[BufferCheck], stage: str
) -> None:
    parts = Parts()
    NextStage(model, parts.queue(stage), parts.runtime).enqueue(
        action(), deregistered_at=NOW - 5, requested_again=2
    )
    assert parts.done == [f"send {stage}"]
    [message] = parts.messages
    assert model.model_validate(message) == model(
        action=action(), deregistered_at=NOW - 5, requested_again=2
    )
    line = parts.telemetry.the(LogEvent.CHECK_MESSAGE_ENQUEUED)
    assert (line["stage"], line["instance_id"]) == (stage, INSTANCE_ID)
