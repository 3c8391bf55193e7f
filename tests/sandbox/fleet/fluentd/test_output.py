"""Back-off, SIGUSR1 and failures, as Fluentd treats them."""

import threading
from collections.abc import Callable

import pytest

from sandbox.fleet.fluentd.backoff import Backoff, BackoffPolicy
from sandbox.fleet.fluentd.buffer import Buffer, StagingPolicy
from sandbox.fleet.fluentd.destination import SecondaryFile
from sandbox.fleet.fluentd.output import Output
from sandbox.fleet.fluentd.sampling import sample_output
from tests.sandbox.fleet.kit import BufferKit, FakeDestination, batch, wait_until


@pytest.fixture
def destination() -> FakeDestination:
    return FakeDestination()


@pytest.fixture
def output(kit: BufferKit, destination: FakeDestination) -> Output:
    return Output(kit.open(), destination, BackoffPolicy(), clock=kit.clock)


def exact(seconds: float) -> float:
    return seconds


def test_waits_double_from_failure_to_failure() -> None:
    backoff = Backoff(BackoffPolicy(first_wait_seconds=1), now=0, spread=exact)
    waits = [backoff.next_attempt_at]
    for _ in range(4):
        now = backoff.next_attempt_at
        backoff.failed(now)
        waits.append(backoff.next_attempt_at - now)
    assert waits == [1, 2, 4, 8, 16]
    assert backoff.retry_wait == 31


def test_waits_are_capped_by_the_longest_interval_and_otherwise_not() -> None:
    assert BackoffPolicy(longest_wait_seconds=30).wait(10) == 30
    assert BackoffPolicy().wait(10) == 512


def test_a_refused_chunk_is_kept_and_tried_again_only_after_the_wait(
    kit: BufferKit, output: Output, destination: FakeDestination
) -> None:
    destination.refuse()
    output.emit(batch(2))
    output.flush()
    assert not output.write_next()
    destination.accept()
    assert not output.write_next()
    assert output.buffer.state().queued_chunks == 1
    kit.clock.now += 2
    assert output.write_next()
    assert destination.written == [batch(2).entries]
    assert output.backoff is None


def test_sigusr1_enqueues_what_is_staged_but_does_not_cut_a_back_off_short(
    output: Output, destination: FakeDestination
) -> None:
    destination.refuse()
    output.emit(batch(2))
    output.flush()
    output.write_next()
    destination.accept()
    output.emit(batch(3))
    output.flush()
    state = output.buffer.state()
    assert (state.staged_chunks, state.queued_chunks) == (0, 2)
    assert not output.write_next()
    assert destination.written == []


def test_an_unrecoverable_chunk_is_backed_up_with_the_gauges_of_a_success(
    output: Output, destination: FakeDestination
) -> None:
    destination.reject()
    output.emit(batch(2))
    output.flush()
    output.write_next()
    assert output.buffer.state().buffer_bytes == 0
    assert output.buffer.state().set_aside_chunks == 1
    counters = output.counters
    assert (counters.write_count, counters.num_errors, counters.rollback_count) == (1, 0, 0)


def test_sigusr1_enqueues_even_while_a_chunk_is_being_written(
    kit: BufferKit, destination: FakeDestination
) -> None:
    release = threading.Event()
    destination.watch = lambda: release.wait(90)
    output = Output(kit.open(flush_interval_seconds=3600), destination, BackoffPolicy())
    output.start()
    output.emit(batch(1))
    output.flush()
    wait_until(lambda: output.buffer.state().in_flight_chunks == 1)
    output.emit(batch(2))
    output.flush()
    assert output.buffer.state().queued_chunks == 1
    release.set()
    wait_until(lambda: output.buffer.state().held_bytes == 0)
    output.stop()


def in_flight(
    output: Output, destination: FakeDestination, meanwhile: Callable[[], object]
) -> None:
    """Write the next chunk, and do something while it is under way."""
    destination.watch = meanwhile
    output.flush()
    output.write_next()
    destination.watch = lambda: None


def test_a_retry_limit_evacuates_the_queue_and_leaves_the_count_below_zero(
    kit: BufferKit, destination: FakeDestination
) -> None:
    limited = BackoffPolicy(most_retries=1)
    output = Output(kit.open(), destination, limited, clock=kit.clock)
    output.emit(batch(1))
    size = output.buffer.state().staged_bytes

    def reach_the_limit() -> None:
        output.emit(batch(2))
        destination.watch = lambda: None
        destination.refuse()
        output.flush()
        for _ in range(2):
            output.write_next()
            kit.clock.now += 5
        assert sample_output(output, "out", "http").values["buffer_total_bytes"] == 0
        destination.accept()

    in_flight(output, destination, reach_the_limit)
    assert output.buffer.state().buffer_bytes == 0
    assert sample_output(output, "out", "http").values["buffer_total_bytes"] == -size
    assert len(list((kit.directory / "backup").glob("buffer.q*"))) == 2
    assert output.counters.num_errors == 2


def test_a_secondary_takes_the_chunk_when_most_of_the_time_is_over(
    kit: BufferKit, destination: FakeDestination
) -> None:
    policy, failed = BackoffPolicy(timeout_seconds=10), kit.directory / "failed"
    secondary = SecondaryFile(failed)
    output = Output(kit.open(), destination, policy, secondary=secondary, clock=kit.clock)
    destination.refuse()
    output.emit(batch(2))
    output.flush()
    output.write_next()
    kit.clock.now += 7.5
    output.write_next()
    assert not failed.exists()
    kit.clock.now += 1
    assert output.write_next()
    assert len(list(failed.iterdir())) == output.counters.write_secondary_count == 1
    assert output.buffer.state().buffer_bytes == 0


def test_a_buffer_in_memory_has_no_file_and_backs_up_into_one(
    kit: BufferKit, destination: FakeDestination
) -> None:
    backup = kit.directory / "backup"
    output = Output(Buffer(None, backup, StagingPolicy()), destination, BackoffPolicy())
    destination.reject()
    output.emit(batch(2))
    assert not list(kit.directory.rglob("*"))
    output.flush()
    output.write_next()
    assert [file.read_bytes() for file in backup.iterdir()] == [batch(2).entries]


def test_flush_mode_immediate_leaves_nothing_staged(
    kit: BufferKit, destination: FakeDestination
) -> None:
    output = Output(kit.open(immediate=True), destination, BackoffPolicy())
    output.emit(batch(2))
    assert (output.buffer.state().staged_chunks, output.buffer.state().queued_chunks) == (0, 1)
