"""What people see: every instance, why it is kept, and what went wrong."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from sandbox.demo.model import InstanceSample, JournalEntry, Notification, Sample
from sandbox.demo.view.apply_progress import ApplyProgress
from sandbox.demo.view.table import GONE
from sandbox.demo.view.view import View
from sandbox.demo.view.words import announced, told

KEPT = InstanceSample(
    "i-0123456789abcdef0", "Terminating:Wait", False, 48_200, "UNKNOWN", "scrape_failed"
)
SERVING = InstanceSample("i-0fedcba9876543210", "InService", True, 0)


def sample(*instances: InstanceSample, at: float = 12.0, alarms: tuple[str, ...] = ()) -> Sample:
    letters = {"demo-buffer-dlq": len(alarms), "demo-operation-dlq": 0}
    return Sample(at, "Draining", 1, instances, 1_200, 1_100, letters, alarms, len(alarms))


def rendered(width: int, *samples: Sample) -> str:
    console = Console(width=width, file=io.StringIO(), record=True, legacy_windows=False)
    view = View("exporter-dies", console, lambda: 83.0, live=True)
    view.phase(60.0, "Draining")
    view.note(70.0, "the operator looks")
    for seen in samples:
        view.sample(seen)
    console.print(view.render())
    return console.export_text()


def test_the_table_has_one_row_an_instance_with_all_that_is_known_of_it() -> None:
    row = next(
        line for line in rendered(100, sample(KEPT, SERVING)).splitlines() if "48.2 kB" in line
    )
    for expected in ("i-0123456789", "Terminating:Wait", "UNKNOWN", "scrape failed"):
        assert expected in row


def test_nothing_is_wider_than_a_terminal_of_100_columns() -> None:
    alarms = ("demo-buffer-dlq", "demo-lifecycle-action-expired")
    lines = rendered(100, sample(KEPT, SERVING, alarms=alarms)).splitlines()
    assert max(len(line) for line in lines) <= 100
    assert not any("…" in line for line in lines)


def test_a_wide_terminal_shows_whole_instance_ids() -> None:
    assert "i-0123456789abcdef0" in rendered(140, sample(KEPT))
    assert "i-0123456789abcdef0" not in rendered(100, sample(KEPT))


def test_the_clock_the_phase_and_the_line_counts_are_shown() -> None:
    text = rendered(100, sample(KEPT))
    for expected in ("Draining", "01:23", "lines sent 1,200", "in S3 1,100", "in transit 100"):
        assert expected in text


def test_a_dead_letter_and_its_alarm_are_named() -> None:
    text = rendered(100, sample(KEPT, alarms=("demo-buffer-dlq",)))
    assert "dead letters demo-buffer-dlq: 1" in text
    assert "alarms demo-buffer-dlq" in text
    assert "notifications 1" in text


def test_an_instance_that_is_gone_keeps_its_row_with_the_last_words_on_it() -> None:
    last_words = {KEPT.instance_id: ("DRAINED", "proven_empty")}
    lines = rendered(100, sample(KEPT, SERVING), replace(sample(SERVING), verdicts=last_words))
    (gone,) = (line for line in lines.splitlines() if KEPT.instance_id[:12] in line)
    words = [word for word in gone.split() if word.isascii()]
    assert words == [KEPT.instance_id[:12], GONE, "DRAINED", "proven", "empty"]
    (serving,) = (line for line in lines.splitlines() if SERVING.instance_id[:12] in line)
    assert "InService" in serving


def test_what_happens_is_a_line_above_the_table_and_a_row_that_changes_is_none() -> None:
    lines = rendered(100, sample(KEPT, SERVING)).splitlines()
    assert lines[:2] == ["[   60.0 s] == Draining", "[   70.0 s] the operator looks"]
    assert sum(KEPT.instance_id[:12] in line for line in lines) == 1


def plain(*samples: Sample) -> list[str]:
    stream = io.StringIO()
    with View("", Console(file=stream), lambda: 9.0, live=False) as view:
        for seen in samples:
            view.sample(seen)
    return stream.getvalue().splitlines()


def test_plain_output_writes_nothing_when_nothing_changed() -> None:
    assert len(plain(sample(KEPT), sample(KEPT, at=12.5))) == len(plain(sample(KEPT)))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            InstanceSample(KEPT.instance_id, "Terminating:Wait", False, 0, "DRAINED", "proven"),
            "buffer=0 bytes DRAINED proven",
        ),
        (SERVING, f"{KEPT.instance_id} {GONE}"),
    ],
)
def test_plain_output_writes_one_line_a_change(change: InstanceSample, expected: str) -> None:
    lines = plain(sample(KEPT), sample(change, at=20.0))
    assert [line for line in lines if line.startswith("[   20.0 s]") and expected in line]


def test_plain_output_ends_the_story_of_a_released_instance_with_its_last_verdict() -> None:
    last_words = {KEPT.instance_id: ("DRAINED", "proven_empty")}
    gone = replace(sample(SERVING, at=20.0), verdicts=last_words)
    lines = plain(sample(KEPT, SERVING), sample(SERVING, at=19.0), gone, gone)
    assert [line for line in lines if GONE in line] == [
        f"[   19.0 s] {KEPT.instance_id} {GONE} UNKNOWN scrape_failed",
        f"[   20.0 s] {KEPT.instance_id} {GONE} DRAINED proven_empty",
    ]


def test_plain_output_tells_the_progress_of_a_slow_step_now_and_then() -> None:
    stream = io.StringIO()
    with View("", Console(file=stream), lambda: 9.0, live=False) as view:
        view.progress("1 of 45 created")
        view.progress("2 of 45 created")
    assert stream.getvalue() == "[    9.0 s]    1 of 45 created\n"


def test_the_journal_is_told_in_words_and_heartbeats_are_not() -> None:
    completed = JournalEntry(1.0, "i-1", "completed", {"result": "CONTINUE"})
    assert told(completed) == "i-1 lifecycle action completed (CONTINUE)"
    assert told(JournalEntry(1.0, "i-1", "heartbeat")) is None


def test_a_notification_names_the_alarm_and_its_state() -> None:
    text = announced(Notification(1.0, "demo-buffer-dlq", "ALARM", "Do this."))
    assert "demo-buffer-dlq is ALARM" in text


def test_the_progress_of_terraform_counts_what_is_created() -> None:
    told_so_far: list[str] = []
    progress = ApplyProgress(told_so_far.append)
    for line in (
        "Plan: 45 to add, 0 to change, 0 to destroy.",
        'module.lifecycle.aws_sqs_queue.stage["buffer"]: Creating...',
        'module.lifecycle.aws_sqs_queue.stage["buffer"]: Still creating... [10s elapsed]',
        'module.lifecycle.aws_sqs_queue.stage["buffer"]: Creation complete after 25s [id=x]',
        "  + create",
    ):
        progress.line(line)
    assert told_so_far == [
        "0 of 45 resources created",
        '0 of 45 resources created, now aws_sqs_queue.stage["buffer"]',
        '0 of 45 resources created, now aws_sqs_queue.stage["buffer"]',
        "1 of 45 resources created",
    ]
