"""Back-off, SIGUSR1 and failures, as Fluentd treats them."""

import threading

import pytest

from sandbox.fleet.fluentd.backoff import Backoff, BackoffPolicy
from sandbox.fleet.fluentd.output import Output
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
