"""The buffer waiter: one question a batch, and what each verdict leads to."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from lifecycle.adapters.evidence import EvidenceFunction
from lifecycle.decisions.buffer import Reason, State
from lifecycle.decisions.marks import QUEUE_CLEARED_TAG_KEY, written
from lifecycle.errors import NotReady, Permanent
from lifecycle.flows.buffer import BufferWaiter
from lifecycle.flows.evidence import Prover
from lifecycle.flows.proof import Proof
from lifecycle.flows.release import Exit
from lifecycle.messages import BufferCheck
from lifecycle.settings import BufferWaiterSettings, load_settings
from lifecycle.telemetry import LogEvent, Metric
from tests.support import environments
from tests.support.functions import InProcess, Invoking
from tests.support.fuzz_cloud import NOW, SOUND_SERIES
from tests.support.messages import INSTANCE_ID, OTHER_INSTANCE_ID, buffer_check
from tests.support.parts import Parts, described
from tests.support.scripted import THROTTLED

LONG_AGO = NOW - 1000
DRAINED = buffer_check(deregistered_at=LONG_AGO, started_at=LONG_AGO)


class Prometheus:
    """Answers each question with these series."""

    def __init__(self, series: Any) -> None:
        self.series = series
        self.questions: list[str] = []

    def custom_query(self, query: str, params: object = None) -> Any:
        self.questions.append(query)
        return self.series


def waiter_of(
    parts: Parts, answers: Prometheus, invoking: Invoking = Invoking.SOUND, /, **settings: str
) -> BufferWaiter:
    parts.now = NOW
    functions: Any = InProcess(Prover(lambda: answers, parts.runtime).handle)
    functions.invoking = invoking
    return BufferWaiter(
        instances=parts.instances,
        exit=Exit(parts.autoscaling, parts.marker, None, None, parts.runtime),
        proof=Proof(
            load_settings(BufferWaiterSettings, environments.buffer_waiter(**settings)),
            parts.instances,
            EvidenceFunction(functions, "evidence", parts.runtime.clock),
            parts.runtime,
        ),
        runtime=parts.runtime,
    )


def test_a_drained_instance_is_released() -> None:
    parts = Parts()
    waiter_of(parts, Prometheus(SOUND_SERIES)).begin([DRAINED])(DRAINED)
    assert parts.done == ["tag proven", "complete"]
    line = parts.telemetry.the(LogEvent.BUFFER_VERDICT)
    assert (line["verdict"], line["not_before"]) == (State.DRAINED, None)


def test_a_batch_is_one_question_and_each_instance_gets_its_own_verdict() -> None:
    parts, prometheus = Parts(), Prometheus(SOUND_SERIES)
    other = buffer_check(instance_id=OTHER_INSTANCE_ID)
    check = waiter_of(parts, prometheus).begin([DRAINED, other])
    check(DRAINED)
    with pytest.raises(NotReady, match=Reason.NO_SERIES):
        check(other)
    assert len(prometheus.questions) == 1
    assert INSTANCE_ID[2:] in prometheus.questions[0]
    assert OTHER_INSTANCE_ID[2:] in prometheus.questions[0]


def test_a_batch_without_a_sound_message_asks_nothing() -> None:
    prometheus = Prometheus(SOUND_SERIES)
    waiter_of(Parts(), prometheus).begin([])
    assert prometheus.questions == []


def test_it_comes_back_when_the_whole_window_can_be_proof() -> None:
    parts = Parts()
    just_now = buffer_check(deregistered_at=NOW - 330)
    with pytest.raises(NotReady, match=Reason.SETTLING) as not_yet:
        waiter_of(parts, Prometheus(SOUND_SERIES)).begin([just_now])(just_now)
    # 75 s to settle and 300 s of silence since then
    assert not_yet.value.not_before == NOW + 45
    assert parts.telemetry.the(LogEvent.BUFFER_VERDICT)["not_before"] == NOW + 45


@pytest.mark.parametrize("invoking", [one for one in Invoking if one is not Invoking.SOUND])
def test_whatever_goes_wrong_with_the_question_keeps_every_instance(invoking: Invoking) -> None:
    parts = Parts()
    messages = [DRAINED, buffer_check(instance_id=OTHER_INSTANCE_ID)]
    check = waiter_of(parts, Prometheus(SOUND_SERIES), invoking).begin(messages)
    for message in messages:
        with pytest.raises(NotReady, match=Reason.EVIDENCE_FAILED):
            check(message)
    assert parts.telemetry.of(LogEvent.EVIDENCE_FAILED)
    assert parts.done == []


def test_of_two_messages_of_an_instance_the_later_deregistration_counts() -> None:
    parts = Parts()
    later = buffer_check(deregistered_at=NOW - 330)
    check = waiter_of(parts, Prometheus(SOUND_SERIES)).begin([later, DRAINED])
    for message in (later, DRAINED):
        with pytest.raises(NotReady, match=Reason.SETTLING):
            check(message)


def test_an_instance_is_asked_for_by_its_address_where_that_is_its_label() -> None:
    parts, prometheus = Parts(describe_instances=described(INSTANCE_ID)), Prometheus([])
    by_address = {"PROMETHEUS_IDENTIFY_BY": "private_ip_address"}
    gone = buffer_check(instance_id=OTHER_INSTANCE_ID)
    check = waiter_of(parts, prometheus, **by_address).begin([DRAINED, gone])
    assert "10\\\\.0\\\\.0\\\\.7" in prometheus.questions[0]
    with pytest.raises(NotReady, match=Reason.NO_SERIES):
        check(DRAINED)
    with pytest.raises(NotReady, match=Reason.INSTANCE_NOT_IDENTIFIED):
        check(gone)


@pytest.mark.parametrize("answer", [THROTTLED, described()])
def test_without_any_address_nothing_is_asked_and_everybody_stays(answer: Any) -> None:
    parts, prometheus = Parts(describe_instances=answer), Prometheus(SOUND_SERIES)
    by_address = {"PROMETHEUS_IDENTIFY_BY": "private_ip_address"}
    with pytest.raises(NotReady, match="UNKNOWN"):
        waiter_of(parts, prometheus, **by_address).begin([DRAINED])(DRAINED)
    assert prometheus.questions == []


def test_errors_of_an_output_are_reported_beside_the_verdict() -> None:
    parts = Parts()
    errors = {
        "metric": {"__name__": "fluentd_output_status_num_errors", "instance_id": INSTANCE_ID},
        "values": [[NOW - 20, "1"], [NOW - 5, "4"]],
    }
    waiter_of(parts, Prometheus([*SOUND_SERIES, errors])).begin([DRAINED])(DRAINED)
    assert parts.telemetry.the(LogEvent.OUTPUT_ERRORS_ROSE)["errors"] == 3
    assert parts.telemetry.total(Metric.OUTPUT_ERRORS) == 3


def test_whether_it_is_still_waited_for_is_the_exits_to_say() -> None:
    parts = Parts()
    message: BufferCheck = buffer_check()
    assert not waiter_of(parts, Prometheus([])).still_waited_for(message)
    assert parts.telemetry.total(Metric.LIFECYCLE_ACTION_EXPIRED) == 1


# Of the last scrape but one: the output is empty, by a failed write alone.
CLEARED = [
    {"metric": {**one["metric"], "__name__": name}, "values": values}
    for one in SOUND_SERIES
    if one["metric"]["__name__"].endswith("buffer_total_bytes")
    for name, values in (
        (one["metric"]["__name__"], [[one["values"][0][0], "139"], *one["values"][1:]]),
        (
            one["metric"]["__name__"].replace("buffer_total_bytes", "num_errors"),
            [[one["values"][0][0], "1"], *([at, "2"] for at, _ in one["values"][1:])],
        ),
    )
]
WITH_A_CLEARED_QUEUE = [
    one
    for one in SOUND_SERIES
    if not one["metric"]["__name__"].endswith(("buffer_total_bytes", "num_errors", "write_count"))
] + CLEARED


def test_a_queue_that_may_have_been_cleared_is_remembered() -> None:
    parts = Parts()
    with pytest.raises(NotReady, match=Reason.QUEUE_CLEARED):
        waiter_of(parts, Prometheus(WITH_A_CLEARED_QUEUE)).begin([DRAINED])(DRAINED)
    [tagged] = parts.client.arguments_of("create_tags")
    assert tagged["Tags"] == [{"Key": QUEUE_CLEARED_TAG_KEY, "Value": written(NOW)}]


def test_one_that_cannot_be_remembered_pages_at_once() -> None:
    parts = Parts(create_tags=THROTTLED)
    with pytest.raises(Permanent, match=r"queue_cleared.*cannot be written"):
        waiter_of(parts, Prometheus(WITH_A_CLEARED_QUEUE)).begin([DRAINED])(DRAINED)
    assert parts.telemetry.the(LogEvent.MARK_FAILED)["mark"] == "queue_cleared"
    assert "complete" not in parts.done


def test_one_that_ec2_does_not_know_is_not_proven_to_hold_nothing() -> None:
    parts = Parts(describe_instances={"Reservations": []})
    with pytest.raises(NotReady, match=Reason.INSTANCE_NOT_IDENTIFIED):
        waiter_of(parts, Prometheus(SOUND_SERIES)).begin([DRAINED])(DRAINED)
    assert parts.done == []


def test_it_keeps_the_instance_when_no_sample_shows_it_any_more() -> None:
    tags: dict[str, Any] = {QUEUE_CLEARED_TAG_KEY: written(NOW - 400)}
    parts = Parts(describe_instances=described(INSTANCE_ID, **tags))
    with pytest.raises(NotReady, match=Reason.QUEUE_CLEARED):
        waiter_of(parts, Prometheus(SOUND_SERIES)).begin([DRAINED])(DRAINED)
    assert parts.done == []


def test_what_ec2_does_not_answer_is_no_proof_that_no_queue_was_cleared() -> None:
    parts = Parts(describe_instances=THROTTLED)
    with pytest.raises(ClientError):
        waiter_of(parts, Prometheus(SOUND_SERIES)).begin([DRAINED])(DRAINED)
    assert parts.done == []
