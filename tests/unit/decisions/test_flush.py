"""The verdict on a flush: FLUSHED for nothing but a success that leaves nothing open."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.decisions.flush import FlushReason, FlushState, FlushVerdict, Invocation, judge_flush
from tests.support.machines import answer, monitor

SOUND = answer(monitor=monitor(emit_records=190422))


def judged(said: object, status: str = "Success") -> FlushVerdict:
    output = said if isinstance(said, str) else json.dumps(said)
    return judge_flush(Invocation(status, status, output))


def outcome(said: object) -> tuple[FlushState, FlushReason]:
    verdict = judged(said)
    return verdict.state, verdict.reason


@pytest.mark.parametrize(
    "said",
    [
        answer(),
        SOUND,
        # A retry state can outlive its last chunk; what counts is what is left.
        answer(monitor=monitor(retrying=1, retry_next_at=1.7e9)),
    ],
)
@pytest.mark.parametrize("end", ["", "\n", "\r\n", "  \n"])
def test_an_instance_with_nothing_left_is_flushed(said: dict[str, Any], end: str) -> None:
    verdict = judged(json.dumps(said) + end)
    assert (verdict.state, verdict.reason) == (FlushState.FLUSHED, FlushReason.NOTHING_LEFT)
    assert (verdict.chunks, verdict.bytes, verdict.set_aside) == (0, 0, 0)


REMAINING, UNKNOWN, SET_ASIDE = FlushState.REMAINING, FlushState.UNKNOWN, FlushState.SET_ASIDE


@pytest.mark.parametrize(
    ("changes", "state", "reason"),
    [
        ({"chunks": 1}, REMAINING, "chunks_left"),
        ({"bytes": 1}, REMAINING, "chunks_left"),
        ({"chunks": 1, "quiet": False}, REMAINING, "chunks_left"),
        ({"monitor": monitor(staged=1)}, REMAINING, "chunks_left"),
        ({"monitor": monitor(queued=1)}, REMAINING, "chunks_left"),
        ({"monitor": monitor(bytes=1)}, REMAINING, "chunks_left"),
        # Drifted below zero: who knows what it would be without the drift?
        ({"monitor": monitor(bytes=-1)}, REMAINING, "chunks_left"),
        ({"chunks": 1, "monitor": monitor()}, REMAINING, "chunks_left"),
        ({"chunks": 2, "monitor": monitor(queued=2, retrying=1)}, REMAINING, "retrying"),
        ({"monitor": monitor(queued=2, retrying=2)}, REMAINING, "retrying"),
        ({"quiet": False}, REMAINING, "receiving"),
        ({"quiet": False, "monitor": monitor(emit_records=5)}, REMAINING, "receiving"),
        ({"signalled": False}, UNKNOWN, "not_signalled"),
        ({"signalled": False, "quiet": False}, UNKNOWN, "not_signalled"),
        ({"signalled": False, "chunks": 4}, UNKNOWN, "not_signalled"),
        ({"set_aside": 1}, SET_ASIDE, "chunks_set_aside"),
        ({"set_aside": 1, "chunks": 7, "quiet": False}, SET_ASIDE, "chunks_set_aside"),
        ({"set_aside": 1, "signalled": False}, SET_ASIDE, "chunks_set_aside"),
        ({"set_aside": 1, "monitor": monitor(retrying=1)}, SET_ASIDE, "chunks_set_aside"),
        ({"monitor": monitor(secondary=1)}, SET_ASIDE, "chunks_set_aside"),
        ({"restartable": False}, FlushState.FLUSHED, "nothing_left"),
    ],
)
def test_a_sound_answer_is_taken_at_its_word(
    changes: dict[str, Any], state: FlushState, reason: str
) -> None:
    assert outcome(answer(**changes)) == (state, reason)


def test_the_verdict_says_when_fluentd_tries_again_and_what_is_left() -> None:
    left = monitor(staged=1, queued=2, bytes=4096, retrying=1, retry_next_at=1_700_000_060.5)
    verdict = judged(answer(chunks=3, bytes=4096, quiet=False, monitor=left))
    assert verdict.retry_next_at == 1_700_000_060.5
    assert (verdict.chunks, verdict.bytes, verdict.set_aside) == (3, 4096, 0)
    for part in ("3 chunk files (4096 bytes)", "1 staged", "2 queued", "retry back-off"):
        assert part in verdict.detail


def test_a_verdict_names_the_output_that_moved_and_by_how_much() -> None:
    moving = answer(
        quiet=False,
        outputs_before={"out_s3": 7, "out_copy": 3},
        monitor=monitor(emit_records=12, outputs={"out_s3": 9, "out_copy": 3}),
    )
    assert judged(moving).detail.endswith("between two looks: into out_s3 (+2)")


def test_what_is_flushed_names_what_was_looked_at() -> None:
    verdict = judged(answer(looked_at=["/var/log/fluentd", "the open files of process 7"]))
    assert verdict.detail.endswith("looked at /var/log/fluentd, the open files of process 7")


def test_a_dead_fluentd_with_chunks_is_told_apart_from_a_slow_one() -> None:
    verdict = judged(answer(signalled=False, chunks=3, bytes=4096, quiet=False))
    assert verdict.detail == (
        "3 chunk files (4096 bytes): fluentd took no signal: it may not run, or hang"
    )
    assert verdict.chunks == 3


@pytest.mark.parametrize(
    ("status", "details", "reason"),
    [
        ("Pending", "Pending", "not_finished"),
        ("Pending", "InvocationDoesNotExist", "not_finished"),
        ("InProgress", "InProgress", "not_finished"),
        ("Delayed", "Delayed", "not_finished"),
        ("Cancelling", "Cancelling", "not_finished"),
        ("Cancelled", "Cancelled", "command_failed"),
        ("Failed", "Failed", "command_failed"),
        ("Failed", "Undeliverable", "not_delivered"),
        ("Failed", "Terminated", "command_failed"),
        ("Failed", "Access Denied", "command_failed"),
        ("Failed", "InvalidPlatform", "command_failed"),
        ("Failed", "", "command_failed"),
        ("TimedOut", "DeliveryTimedOut", "not_delivered"),
        ("TimedOut", "Delivery Timed Out", "not_delivered"),
        ("TimedOut", "ExecutionTimedOut", "timed_out"),
        ("TimedOut", "", "timed_out"),
        ("", "", "command_failed"),
        ("Sucess", "Success", "command_failed"),
    ],
)
@pytest.mark.parametrize("output", ["", json.dumps(SOUND)])
def test_nothing_but_success_is_an_answer(
    status: str, details: str, reason: str, output: str
) -> None:
    verdict = judge_flush(Invocation(status, details, output))
    assert (verdict.state, verdict.reason) == (FlushState.UNKNOWN, reason)
    assert verdict.chunks is None
    assert (details or status) in verdict.detail


def test_what_the_script_says_of_its_failure_is_shown_but_not_all_of_it() -> None:
    said = "flush: no such folder: /var/log/fluent"
    failed = Invocation("Failed", "Failed", "noise", said + "\n")
    assert judge_flush(failed).detail == f"Failed: {said}"
    endless = Invocation("Failed", "Failed", "", "x" * 8000)
    assert len(judge_flush(endless).detail) < 400


@pytest.mark.parametrize("missing", sorted(SOUND))
def test_an_answer_with_a_part_missing_is_none(missing: str) -> None:
    part = {name: value for name, value in SOUND.items() if name != missing}
    assert outcome(part) == (FlushState.UNKNOWN, FlushReason.MALFORMED_ANSWER)


@pytest.mark.parametrize("missing", sorted(monitor()))
def test_a_monitor_with_a_part_missing_is_none(missing: str) -> None:
    part = {name: value for name, value in monitor().items() if name != missing}
    assert outcome(answer(monitor=part)) == (FlushState.UNKNOWN, FlushReason.MALFORMED_ANSWER)


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"version": "1"},
        {"signalled": 1},
        {"signalled": "true"},
        {"signalled": None},
        {"quiet": "yes"},
        {"quiet": None},
        {"looked_at": []},
        {"looked_at": "/var/log"},
        {"looked_at": None},
        {"restartable": "yes"},
        {"chunks": -1},
        {"chunks": 0.0},
        {"chunks": "0"},
        {"chunks": None},
        {"chunks": False},
        {"bytes": -1},
        {"bytes": None},
        {"set_aside": -1},
        {"set_aside": "0"},
        {"service": None},
        {"more": 1},
        {"monitor": {}},
        {"monitor": []},
        {"monitor": False},
        {"monitor": monitor(staged=-1)},
        {"monitor": monitor(queued=0.5)},
        {"monitor": monitor(bytes="0")},
        {"monitor": monitor(emit_records=None)},
        {"monitor": monitor(retrying=True)},
        {"monitor": monitor(retry_next_at=0)},
        {"monitor": monitor(retry_next_at=-1)},
        {"monitor": monitor(retry_next_at="soon")},
        {"monitor": monitor(retry_next_at=float("nan"))},
        {"monitor": monitor(retry_next_at=float("inf"))},
        {"monitor": monitor(more=1)},
    ],
)
def test_an_answer_of_another_form_is_none(changes: dict[str, Any]) -> None:
    assert outcome(answer(**changes)) == (FlushState.UNKNOWN, FlushReason.MALFORMED_ANSWER)


@pytest.mark.parametrize(
    "output",
    [
        "",
        "\n",
        "null",
        "[]",
        "true",
        "hello",
        json.dumps(SOUND)[:-1],
        json.dumps(SOUND) * 2,
        json.dumps(SOUND) + "\n" + json.dumps(SOUND),
        "warning: something\n" + json.dumps(SOUND),
        json.dumps([SOUND]),
        json.dumps(json.dumps(SOUND)),
        "\x00",
        "\ud800",
        json.dumps(SOUND).replace('"fluentd"', '"\ud800"'),
        json.dumps(SOUND).replace('"fluentd"', '"\\ud800"'),
        json.dumps(SOUND).replace('"chunks": 0', f'"chunks": {"9" * 20_000}'),
        "[" * 24_000,
        "--output truncated--",
    ],
)
def test_anything_else_is_none_and_shown_in_part(output: str) -> None:
    verdict = judged(output)
    assert (verdict.state, verdict.reason) == (FlushState.UNKNOWN, FlushReason.MALFORMED_ANSWER)
    assert len(verdict.detail) < 2000


def is_flushed(invocation: Invocation) -> bool:
    """What has to be true, said a second time and in other words."""
    if invocation.status != "Success":
        return False
    said = json.loads(invocation.output)
    counters = said["monitor"] or {}
    return (
        said["version"] == 1
        and said["signalled"] is True
        and said["quiet"] is True
        and not any(said[name] for name in ("chunks", "bytes", "set_aside"))
        and not any(counters.get(name) for name in ("staged", "queued", "bytes", "secondary"))
    )


# Mostly 0, so that the one wrong thing is often the only one.
few = st.sampled_from([0, 0, 0, 0, 1, 7, -1, None, "0", 0.0, True, 2**70])
flags = st.sampled_from([True, True, True, False, None, 1, "true"])
monitors = st.none() | st.fixed_dictionaries(
    {
        "staged": few,
        "queued": few,
        "bytes": few,
        "retrying": few,
        "retry_next_at": st.none() | st.floats() | few,
        "emit_records": few,
    }
)
answers = st.fixed_dictionaries(
    {
        "version": st.sampled_from([1, 1, 1, 2, None]),
        "service": st.text(max_size=5),
        "signalled": flags,
        "chunks": few,
        "bytes": few,
        "set_aside": few,
        "quiet": flags,
        "monitor": monitors,
    }
)
statuses = st.sampled_from(["Success"] * 5 + ["Failed", "TimedOut", "InProgress"])


@given(answers, statuses)
def test_nothing_is_flushed_that_is_not_all_zero_signalled_quiet_and_a_success(
    said: dict[str, Any], status: str
) -> None:
    invocation = Invocation(status, status, json.dumps(said))
    verdict = judge_flush(invocation)
    if verdict.state is FlushState.FLUSHED:
        assert is_flushed(invocation)
        assert verdict.reason is FlushReason.NOTHING_LEFT
    if verdict.state is FlushState.SET_ASIDE:
        assert verdict.set_aside
    if verdict.retry_next_at is not None:
        assert 0 < verdict.retry_next_at < float("inf")


texts = st.text() | st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape"))


def test_a_sound_answer_that_may_have_been_cut_off_is_none() -> None:
    whole = judged(json.dumps(SOUND).ljust(23_999))
    assert whole.state is FlushState.FLUSHED
    cut = judged(json.dumps(SOUND).ljust(24_000))
    assert (cut.state, cut.reason) == (FlushState.UNKNOWN, FlushReason.MALFORMED_ANSWER)
    assert "cut off after 24000 characters" in cut.detail


@given(texts, texts, texts, texts)
def test_whatever_aws_and_the_instance_say_nothing_raises(
    status: str, details: str, output: str, error_output: str
) -> None:
    for how in (status, "Success"):
        verdict = judge_flush(Invocation(how, details, output, error_output))
        assert verdict.state is FlushState.UNKNOWN


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists))
def test_no_other_json_is_an_answer(said: object) -> None:
    assert outcome(said) == (FlushState.UNKNOWN, FlushReason.MALFORMED_ANSWER)
