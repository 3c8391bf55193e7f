"""What people see: every instance, why it is kept, and what went wrong."""

import io
from dataclasses import replace

from rich.console import Console

from sandbox.demo.model import InstanceSample, Sample
from sandbox.demo.view.table import GONE
from sandbox.demo.view.view import View

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


def test_an_instance_that_is_gone_keeps_its_row_with_the_last_words_on_it() -> None:
    last_words = {KEPT.instance_id: ("DRAINED", "proven_empty")}
    lines = rendered(100, sample(KEPT, SERVING), replace(sample(SERVING), verdicts=last_words))
    (gone,) = (line for line in lines.splitlines() if KEPT.instance_id[:12] in line)
    words = [word for word in gone.split() if word.isascii()]
    assert words == [KEPT.instance_id[:12], GONE, "DRAINED", "proven", "empty"]
    (serving,) = (line for line in lines.splitlines() if SERVING.instance_id[:12] in line)
    assert "InService" in serving


def plain(*samples: Sample) -> list[str]:
    stream = io.StringIO()
    with View("", Console(file=stream), lambda: 9.0, live=False) as view:
        for seen in samples:
            view.sample(seen)
    return stream.getvalue().splitlines()


def test_plain_output_ends_the_story_of_a_released_instance_with_its_last_verdict() -> None:
    last_words = {KEPT.instance_id: ("DRAINED", "proven_empty")}
    gone = replace(sample(SERVING, at=20.0), verdicts=last_words)
    lines = plain(sample(KEPT, SERVING), sample(SERVING, at=19.0), gone, gone)
    assert [line for line in lines if GONE in line] == [
        f"[   19.0 s] {KEPT.instance_id} {GONE} UNKNOWN scrape_failed",
        f"[   20.0 s] {KEPT.instance_id} {GONE} DRAINED proven_empty",
    ]
