"""The true record of an aggregator's buffer."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.fleet.fluentd.history import BufferState, HistoryFile, HistoryWriter

EMPTY = BufferState()
STAGED = BufferState(staged_bytes=100, staged_chunks=1, lines=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.jsonl"


@pytest.fixture
def writer(path: Path) -> Iterator[HistoryWriter]:
    writer = HistoryWriter(path)
    yield writer
    writer.close()


def test_the_state_at_a_time_is_the_last_change_before_it(
    path: Path, writer: HistoryWriter
) -> None:
    writer.record(10.0, "started", EMPTY)
    writer.record(20.0, "staged", STAGED)
    history = HistoryFile(path).read()
    assert history.state_at(9.9) is None
    assert history.state_at(19.9) == EMPTY
    assert history.state_at(20.0) == STAGED
    assert history.latest() == STAGED


def test_a_buffer_is_empty_since_the_last_byte_left(path: Path, writer: HistoryWriter) -> None:
    for at, state in [(1.0, EMPTY), (2.0, STAGED), (3.0, EMPTY), (4.0, STAGED)]:
        writer.record(at, "change", state)
    file = HistoryFile(path)
    assert file.read().empty_for_good_at() is None
    writer.record(5.0, "written", EMPTY)
    writer.record(6.0, "terminated", EMPTY)
    assert file.read().empty_for_good_at() == 5.0
    assert file.read().after(1.0).empty_for_good_at() == 4.0
    assert (file.read().last_received_at, file.read().ended_at) == (None, 6.0)


def test_what_is_recorded_after_the_end_does_not_make_a_buffer_empty(
    path: Path, writer: HistoryWriter
) -> None:
    writer.record(1.0, "staged", STAGED)
    writer.record(5.0, "terminated", STAGED)
    writer.record(6.0, "written", EMPTY)
    assert HistoryFile(path).read().empty_for_good_at() is None
    assert HistoryFile(path).read().last_received_at == 1.0


def test_a_line_that_is_still_being_written_is_read_when_it_is_complete(path: Path) -> None:
    writer = HistoryWriter(path)
    writer.record(1.0, "started", EMPTY)
    writer.record(2.0, "staged", STAGED)
    writer.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    file = HistoryFile(path)
    assert file.read().latest() == EMPTY
    path.write_bytes(whole)
    assert file.read().latest() == STAGED
