"""When a waiter polls again, and when a stage times out."""

import pytest

from lifecycle.decisions.polling import PollPolicy, longest_interval
from tests.support.messages import NOW

POLICY = PollPolicy(interval_seconds=15, longest_interval_seconds=120, timeout_seconds=600)


@pytest.mark.parametrize(("waited", "is_over"), [(0, False), (600, False), (600.5, True)])
def test_a_stage_times_out_after_its_timeout_and_not_at_it(waited: float, *, is_over: bool) -> None:
    assert POLICY.has_timed_out(NOW - waited, NOW) is is_over


@pytest.mark.parametrize(
    ("pause", "left", "seconds"),
    [
        (None, 600, 15),
        (-100, 600, 15),
        (0, 600, 15),
        (0.2, 600, 1),
        (15, 600, 15),
        (42.4, 600, 43),
        (120.4, 600, 120),
        (300, 600, 120),
        (120, 100, 100),
        (120, 0.4, 1),
        (None, 0, 1),
        (120, 99.5, 100),
    ],
)
def test_the_next_poll_is_when_the_answer_could_be_yes_within_bounds_and_the_deadline(
    pause: float | None, left: float, seconds: int
) -> None:
    not_before = None if pause is None else NOW + pause
    assert POLICY.pause_seconds(not_before, NOW + left, NOW) == seconds


def test_a_pause_is_never_longer_than_the_hooks_allow() -> None:
    policy = PollPolicy(15, longest_interval_seconds=50.5, timeout_seconds=600)
    assert policy.pause_seconds(NOW + 300, NOW + 600, NOW) == 50


@pytest.mark.parametrize(
    ("wanted", "timeouts", "seconds"),
    [
        (120, [3600], 120),
        (1000, [3600], 600),
        (1000, [7200], 600),
        (120, [300], 50),
        (120, [3600, 300], 50),
    ],
)
def test_polls_come_at_least_every_ten_minutes_and_six_times_in_a_hooks_timeout(
    wanted: float, timeouts: list[float], seconds: float
) -> None:
    assert longest_interval(wanted, *timeouts) == pytest.approx(seconds)
