"""What a runbook quotes is what the product says: each phrase is had from the product itself."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from lifecycle.adapters import prometheus
from lifecycle.adapters.run_command import RunCommand
from lifecycle.decisions.flush import Invocation, judge_flush
from lifecycle.errors import LifecycleError, NotReady
from lifecycle.events import parse_lifecycle_event
from lifecycle.flows.entrance import Entrance
from lifecycle.flows.operation import OperationWaiter
from lifecycle.messages import BufferCheck, OperationCheck, Transition, parse_check_message
from lifecycle.settings import EvidenceSettings, load_settings
from tests.support import runbooks
from tests.support.machines import answer, monitor
from tests.support.messages import (
    INSTANCE_ID,
    NOW,
    action,
    buffer_check,
    operation_check,
    record,
    sqs_event,
)
from tests.support.parts import POLLS, Parts, described, listed, members
from tests.support.scripted import NO_ACTIVE_ACTION, aws_error, scripted

STAGES = ("operation", "flush", "buffer")


class Unready:
    """A waiter whose every message has to wait."""

    def begin(self, messages: object) -> Callable[[BufferCheck], None]:
        def check(message: BufferCheck) -> None:
            raise NotReady("not drained")

        return check

    def still_waited_for(self, message: BufferCheck) -> bool:
        return True


def dead_lettered(message: BufferCheck, sent_at: float = NOW, **answers: Any) -> str:
    parts = Parts(**answers)
    parts.stage(BufferCheck, Unready()).handle(sqs_event(record(message, sent_at=sent_at)))
    [(_, reason)] = parts.dead_letters("buffer")
    return reason


def flushed(**report: Any) -> str:
    return judge_flush(Invocation("Success", output=json.dumps(answer(**report)))).detail


def raised(call: Callable[[], object]) -> str:
    with pytest.raises(LifecycleError) as caught:
        call()
    return str(caught.value)


def operated(message: OperationCheck, **answers: Any) -> str:
    parts = Parts(services=("srv-1", "srv-2"), **answers)
    waiter = OperationWaiter(
        parts.autoscaling,
        parts.instances,
        parts.marker,
        parts.discovery,
        parts.next_stage,
        POLLS,
        parts.runtime,
    )
    return raised(lambda: waiter.begin([message])(message))


def entered(state: str) -> str:
    parts = Parts(
        describe_auto_scaling_instances=members({INSTANCE_ID: state}),
        describe_instances=described(),
    )
    entrance = Entrance(
        parts.autoscaling, parts.instances, parts.marker, parts.discovery, parts.runtime
    )
    begin = entrance.launch if state.startswith("Pending") else entrance.terminate
    return raised(lambda: begin(action()))


def completed() -> str:
    parts = Parts(
        complete_lifecycle_action=NO_ACTIVE_ACTION,
        describe_auto_scaling_instances=members({INSTANCE_ID: "Terminating:Retained"}),
    )
    return raised(lambda: parts.autoscaling.complete(action(), "CONTINUE"))


def asked() -> str:
    class Odd:
        def custom_query(self, query: str, params: object = None) -> object:
            raise ValueError("the HTML of a login page")

    selection = prometheus.Selection([INSTANCE_ID], "instance_id", "", 300)
    return raised(lambda: prometheus.fetch(Odd(), selection, NOW))


def sent() -> str:
    client = scripted(send_command=aws_error("InvalidInstanceId"))
    return raised(lambda: RunCommand(client, "pipeline-flush", 60).send(INSTANCE_ID))


def operation(status: str) -> dict[str, Any]:
    return {"Operation": {"Type": "REGISTER_INSTANCE", "Status": status}}


def overfull() -> str:
    crowd = [f"i-{number:08x}" for number in range(8)]
    held = {"srv-1": [*crowd, INSTANCE_ID], "srv-2": []}
    states = dict.fromkeys(crowd, "InService") | {INSTANCE_ID: "Pending:Wait"}
    return operated(
        operation_check(Transition.LAUNCHING),
        get_operation=operation("SUCCESS"),
        get_instance={},
        list_instances=lambda **asked: listed(*held[asked["ServiceId"]]),
        describe_auto_scaling_instances=members(states),
    )


TIMED_OUT = dead_lettered(buffer_check(), sent_at=NOW - POLLS.timeout_seconds - 1)
UNHEARD = dead_lettered(
    buffer_check(),
    sent_at=NOW - POLLS.timeout_seconds - 1,
    record_lifecycle_action_heartbeat=aws_error("AccessDenied"),
)
FOREIGN = dead_lettered(buffer_check(autoscaling_group_name="others"))
MALFORMED = raised(lambda: parse_check_message(BufferCheck, "{}"))
RETAINED = completed()
GIVEN_UP = operated(
    operation_check(requested_again=3),
    get_operation=aws_error("OperationNotFound"),
    get_instance={},
)
LAST = operated(
    operation_check(operation_id=None),
    get_instance={},
    list_instances=lambda **asked: listed(*[INSTANCE_ID][: asked["ServiceId"] == "srv-1"]),
    describe_auto_scaling_instances=members({INSTANCE_ID: "Terminating:Wait"}),
)
SETTINGS = raised(lambda: load_settings(EvidenceSettings, {}))
BACKED_OFF = flushed(chunks=1, monitor=monitor(queued=1, retrying=1, retry_next_at=NOW))


@pytest.mark.parametrize(
    ("name", "phrase", "said"),
    [
        ("buffer-dlq", "not done after ", TIMED_OUT),
        ("buffer-dlq", "its lifecycle action ended before the proof", RETAINED),
        ("buffer-dlq", "check message: ", MALFORMED),
        ("buffer-dlq", "is not this pipeline's group", FOREIGN),
        ("buffer-dlq", "not a Prometheus answer", asked()),
        ("flush-dlq", "not done after ", TIMED_OUT),
        ("flush-dlq", "would die with the instance", flushed(set_aside=1)),
        ("flush-dlq", "its lifecycle action ended before the proof", RETAINED),
        ("flush-dlq", "check message: ", MALFORMED),
        ("flush-dlq", "is not this pipeline's group", FOREIGN),
        ("flush-dlq", "SSM knows no running agent on ", sent()),
        ("flush-dlq", "took no signal: it may not run", flushed(signalled=False)),
        ("flush-dlq", "in retry back-off and ignores signals", BACKED_OFF),
        ("operation-dlq", "Cloud Map did not do it in ", GIVEN_UP),
        ("operation-dlq", "unknown to Cloud Map", GIVEN_UP),
        (
            "operation-dlq",
            "is still under way",
            operated(operation_check(), get_operation=operation("PENDING")),
        ),
        ("operation-dlq", "the last aggregator in service discovery; waits for a successor", LAST),
        ("operation-dlq", "instances move to another shard", overfull()),
        ("operation-dlq", "check message: ", MALFORMED),
        ("operation-dlq", "is not this pipeline's group", FOREIGN),
        ("lifecycle-dlq", "lifecycle event: ", raised(lambda: parse_lifecycle_event({}))),
        ("lifecycle-dlq", "wrong settings: ", SETTINGS),
        ("lifecycle-dlq", "not terminating", entered("InService")),
        ("lifecycle-dlq", "but EC2 does not know it (yet)", entered("Pending:Wait")),
        ("lifecycle-dlq", "which this version does not know", entered("Hibernating")),
        ("lifecycle-dlq", "keep the instance, discard nothing", entered("Hibernating")),
        ("function-errors", "which this version does not know", entered("Hibernating")),
        ("function-errors", "wrong settings: ", SETTINGS),
        *((f"{stage}-dlq", "heartbeats fail: ", UNHEARD) for stage in STAGES),
        ("heartbeats-failing", "heartbeats fail", UNHEARD),
        ("heartbeats-overdue", "heartbeats fail", UNHEARD),
    ],
    ids=lambda one: one[:40],
)
def test_what_a_runbook_quotes_is_what_the_product_says(name: str, phrase: str, said: str) -> None:
    assert phrase in said
    assert phrase in re.sub(r"\s+", " ", runbooks.text(name))
