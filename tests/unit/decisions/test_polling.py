"""When a waiter polls again, and when a stage times out."""

import pytest

from lifecycle.decisions.polling import PollPolicy
from tests.support.messages import NOW

POLICY = PollPolicy(interval_seconds=15, longest_interval_seconds=120, timeout_seconds=600)


@pytest.mark.parametrize(
    ("not_before", "seconds"),
    [
        (None, 15),
        (NOW - 100, 15),
        (NOW + 1, 15),
        (NOW + 15, 15),
        (NOW + 42.5, 42.5),
        (NOW + 120, 120),
        (NOW + 3000, 120),
    ],
)
def test_the_next_poll_is_when_the_answer_could_be_yes_within_the_bounds(
    not_before: float | None, seconds: float
) -> None:
    assert POLICY.pause_seconds(not_before, NOW) == seconds


@pytest.mark.parametrize(("waited", "is_over"), [(0, False), (600, False), (600.5, True)])
def test_a_stage_times_out_after_its_timeout_and_not_at_it(waited: float, *, is_over: bool) -> None:
    assert POLICY.has_timed_out(NOW - waited, NOW) is is_over
