"""The buffer on disk: nothing is forgotten, and what is held is always known."""

import os
from collections.abc import Callable

import pytest

from sandbox.fleet.fluentd.protocol import count_entries
from tests.sandbox.fleet.kit import BufferKit, entries


def test_an_append_that_fails_midway_leaves_no_trace(
    kit: BufferKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer = kit.open()
    buffer.append(entries(3), 3)
    real_write: Callable[[int, memoryview], int] = os.write
    monkeypatch.setattr(os, "write", _fails_after(10, real_write))
    with pytest.raises(OSError, match="No space left"):
        buffer.append(entries(2), 2)
    monkeypatch.undo()
    [path] = kit.files()
    assert path.read_bytes() == entries(3)
    buffer.append(entries(1, first=4), 1)
    assert path.read_bytes() == entries(4)
    assert buffer.state().lines == 4


def _fails_after(limit: int, write: Callable[[int, memoryview], int]) -> Callable[..., int]:
    written = 0

    def fail(descriptor: int, content: memoryview) -> int:
        nonlocal written
        if written >= limit:
            raise OSError(28, "No space left on device")
        written += limit
        return write(descriptor, content[:limit])

    return fail


def test_a_staged_chunk_is_enqueued_when_its_flush_interval_is_over(kit: BufferKit) -> None:
    buffer = kit.open(flush_interval_seconds=5.0)
    buffer.append(entries(1), 1)
    kit.clock.now += 4.9
    buffer.enqueue_due()
    assert buffer.state().staged_chunks == 1
    kit.clock.now += 0.1
    buffer.enqueue_due()
    state = buffer.state()
    assert (state.staged_chunks, state.queued_chunks) == (0, 1)
    assert [path.name[:8] for path in kit.files()] == ["buffer.q"]


def test_a_lazy_buffer_keeps_its_chunk_until_the_hour_is_over(kit: BufferKit) -> None:
    buffer = kit.open(timekey_seconds=3600, timekey_wait_seconds=60)
    buffer.append(entries(1), 1)
    hour_end = int(kit.clock.now) // 3600 * 3600 + 3600
    kit.clock.now = hour_end + 59
    buffer.enqueue_due()
    assert buffer.state().staged_chunks == 1
    kit.clock.now = hour_end + 60
    buffer.enqueue_due()
    assert buffer.state().queued_chunks == 1


def test_a_chunk_given_back_is_the_next_to_be_taken(kit: BufferKit) -> None:
    buffer = kit.open(chunk_limit_bytes=1)
    buffer.append(entries(1), 1)
    buffer.append(entries(2), 2)
    first = buffer.take()
    assert first is not None
    assert buffer.state().in_flight_bytes == first.size
    buffer.give_back(first)
    assert buffer.take() is first


def test_a_backed_up_chunk_leaves_the_gauges_but_is_still_held(kit: BufferKit) -> None:
    buffer = kit.open(chunk_limit_bytes=1)
    buffer.append(entries(2), 2)
    chunk = buffer.take()
    assert chunk is not None
    buffer.set_aside(chunk)
    state = buffer.state()
    assert (state.buffer_bytes, state.held_bytes, state.lines) == (0, len(entries(2)), 2)
    [path] = (kit.directory / "backup").glob("*.log")
    assert path.read_bytes() == entries(2)
    assert kit.files("*") == []


def test_a_new_process_takes_over_what_an_earlier_one_left(kit: BufferKit) -> None:
    earlier = kit.open(chunk_limit_bytes=1)
    earlier.append(entries(1), 1)
    earlier.append(entries(2), 2)
    chunk = earlier.take()
    assert chunk is not None
    earlier.set_aside(chunk)
    kit.open().append(entries(3), 3)
    state = kit.open().state()
    assert (state.queued_chunks, state.staged_chunks, state.set_aside_chunks) == (2, 0, 1)
    assert state.lines == 6


def test_an_entry_cut_off_by_a_kill_is_dropped_and_the_whole_ones_are_kept(kit: BufferKit) -> None:
    kit.open().append(entries(3), 3)
    [path] = kit.files()
    path.write_bytes(entries(3)[:-7])
    assert kit.open().state().lines == 2
    [path] = kit.files()
    assert count_entries(path.read_bytes()) == 2


def test_every_change_is_reported_with_the_state_it_led_to(kit: BufferKit) -> None:
    buffer = kit.open()
    buffer.append(entries(1), 1)
    buffer.enqueue_all()
    chunk = buffer.take()
    assert chunk is not None
    buffer.commit(chunk)
    size = len(entries(1))
    seen = [(event, state.staged_bytes, state.queued_bytes, state.in_flight_bytes)
            for event, state in kit.moments]  # fmt: skip
    assert seen == [
        ("started", 0, 0, 0),
        ("staged", size, 0, 0),
        ("enqueued", 0, size, 0),
        ("in_flight", 0, 0, size),
        ("written", 0, 0, 0),
    ]
