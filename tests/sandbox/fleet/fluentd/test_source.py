"""A web server's lines are numbered without gaps, and counted even if they die at once."""

from pathlib import Path

import pytest

from sandbox.fleet.fluentd.protocol import Batch, format_lines
from sandbox.fleet.fluentd.source import LineSource, lines_sent
from sandbox.fleet.lines import parse_lines


def numbers(batches: list[Batch]) -> list[tuple[str, int] | None]:
    lines = b"".join(line for batch in batches for line in format_lines(batch.entries))
    return list(parse_lines(lines))


def test_lines_are_numbered_and_written_down(tmp_path: Path) -> None:
    batches: list[Batch] = []
    source = LineSource("i-1", batches.append, tmp_path / "sent")
    source.set_rate(10)
    source.work(0.25)
    source.work(0.25)
    assert numbers(batches) == [("i-1", n) for n in range(1, 6)]
    assert lines_sent(tmp_path / "sent") == 5


def test_a_line_that_fluentd_does_not_take_was_sent_all_the_same(tmp_path: Path) -> None:
    def refuse(_batch: Batch) -> None:
        raise OSError("the disk is full")

    source = LineSource("i-1", refuse, tmp_path / "sent")
    source.set_rate(4)
    with pytest.raises(OSError, match="the disk is full"):
        source.work(1)
    assert lines_sent(tmp_path / "sent") == 4


def test_a_process_that_starts_again_goes_on_counting(tmp_path: Path) -> None:
    batches: list[Batch] = []
    for _ in range(2):
        source = LineSource("i-1", batches.append, tmp_path / "sent")
        source.set_rate(2)
        source.work(1)
    assert numbers(batches) == [("i-1", n) for n in range(1, 5)]
