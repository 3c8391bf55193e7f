"""Until when a hook keeps an instance whose heartbeats fail, whatever is known of them."""

import math

import pytest

from lifecycle.decisions.heartbeats import (
    Failing,
    HookClock,
    Receive,
    Silence,
    Urgency,
    failing_now,
    is_in_a_row,
    read_failing,
    unknown_silence,
)
from tests.support.messages import NOW

HOOK = HookClock(timeout_seconds=3600, longest_pause_seconds=120, visibility_timeout_seconds=360)
SENT_AT, STARTED_AT = NOW - 1000, NOW - 5000


def received(
    count: int = 8, at: float = NOW, message_id: str = "m1", sent_at: float = SENT_AT
) -> Receive:
    return Receive(message_id, count, sent_at, at)


def tagged(
    count: int = 7, last_at: float = NOW - 15, message_id: str = "m1", since: float = NOW - 900
) -> Failing:
    return Failing(since, last_at, count, message_id)


def in_a_row(before: Failing | None, receive: Receive, started_at: float = STARTED_AT) -> bool:
    return is_in_a_row(before, receive, HOOK, started_at)


class TestTag:
    def test_it_reads_what_it_wrote(self) -> None:
        assert read_failing(str(tagged())) == tagged()

    def test_a_fraction_of_a_second_makes_the_silence_longer_never_shorter(self) -> None:
        read = read_failing(str(tagged(since=NOW - 0.25)))
        assert read is not None
        assert read.since == NOW - 1

    def test_no_tag_is_no_failure(self) -> None:
        assert read_failing(None) is None

    @pytest.mark.parametrize(
        "value",
        [
            "",
            "2023-11-14T22:13:20Z",
            "since 2023-11-14T22:13:20Z",
            "since now last 2023-11-14T22:13:20Z receive 7 of m1",
            "since 2023-11-14T22:13:20Z last 2023-11-14T22:13:20Z receive many of m1",
            f"{tagged()} and more",
        ],
    )
    def test_another_form_is_unknown_not_the_first_failure(self, value: str) -> None:
        with pytest.raises(ValueError, match=r".+"):
            read_failing(value)


class TestInARow:
    """No heartbeat was recorded between the failure of the tag and this one."""

    def test_without_a_tag_it_is_the_first_failure(self) -> None:
        assert not in_a_row(None, received())

    def test_the_next_receive_is_in_a_row_however_late_it_comes(self) -> None:
        assert in_a_row(tagged(), received())
        assert in_a_row(tagged(last_at=NOW - 3000), received())

    def test_a_receive_in_between_that_was_not_lost_was_recorded(self) -> None:
        assert not in_a_row(tagged(last_at=NOW - 30), received(9))
        assert not in_a_row(tagged(last_at=NOW - 359), received(9))
        assert not in_a_row(tagged(last_at=NOW - 719), received(10))

    def test_a_receive_in_between_that_was_lost_recorded_nothing(self) -> None:
        assert in_a_row(tagged(last_at=NOW - 360), received(9))
        assert in_a_row(tagged(last_at=NOW - 375), received(9))
        assert in_a_row(tagged(last_at=NOW - 735), received(10))

    def test_the_first_receive_of_the_next_stage_is_in_a_row(self) -> None:
        assert in_a_row(tagged(), received(1, message_id="m2", sent_at=NOW - 10))

    def test_a_later_receive_of_the_next_stage_is_not(self) -> None:
        assert not in_a_row(tagged(), received(2, message_id="m2", sent_at=NOW - 10))

    def test_a_duplicate_message_that_is_older_than_the_failure_is_in_doubt(self) -> None:
        assert in_a_row(tagged(), received(9, message_id="m2", sent_at=NOW - 500))

    def test_the_same_receive_twice_is_in_doubt(self) -> None:
        assert in_a_row(tagged(), received(7))

    def test_a_tag_of_an_earlier_wait_tells_nothing(self) -> None:
        assert not in_a_row(tagged(), received(), started_at=NOW - 10)
        assert in_a_row(tagged(last_at=NOW - 10), received(), started_at=NOW - 9.5)


class TestSince:
    """The oldest moment at which the last heartbeat can have been recorded."""

    def test_the_first_failure_counts_from_the_poll_before(self) -> None:
        failing = failing_now(None, received(), HOOK, STARTED_AT)
        assert failing == Failing(NOW - 120, NOW, 8, "m1")

    def test_nothing_was_recorded_before_the_wait_began(self) -> None:
        assert failing_now(None, received(), HOOK, NOW - 30).since == NOW - 30

    def test_a_first_receive_may_be_the_first_of_the_wait_however_late_it_comes(self) -> None:
        late = received(1, sent_at=NOW - 10)
        assert failing_now(None, late, HOOK, NOW - 3599).since == NOW - 3599

    def test_receives_that_may_all_be_lost_are_none(self) -> None:
        lost = received(3, sent_at=NOW - 720)
        assert failing_now(None, lost, HOOK, NOW - 1500).since == NOW - 1500
        assert failing_now(None, received(3, sent_at=NOW - 719), HOOK, NOW - 1500).since == (
            NOW - 120
        )

    def test_a_wait_longer_than_the_hooks_time_had_a_heartbeat_in_the_stage_before(self) -> None:
        late = received(1, sent_at=NOW - 2000)
        assert failing_now(None, late, HOOK, NOW - 3600).since == NOW - 2120

    def test_a_failure_in_a_row_counts_from_the_first_one_never_from_now(self) -> None:
        failing = failing_now(tagged(), received(), HOOK, STARTED_AT)
        assert failing == Failing(NOW - 900, NOW, 8, "m1")

    def test_a_failure_after_a_recorded_one_counts_afresh(self) -> None:
        failing = failing_now(tagged(last_at=NOW - 30), received(9), HOOK, STARTED_AT)
        assert failing.since == NOW - 120

    @pytest.mark.parametrize(("started_at", "since"), [(NOW - 5000, 5000), (NOW - 10, 1000)])
    def test_without_a_tag_it_counts_from_the_oldest_moment_that_is_possible(
        self, started_at: float, since: float
    ) -> None:
        silence = unknown_silence(received(), HOOK, started_at)
        assert silence == Silence(NOW - since, is_repeated=True, hook=HOOK)


class TestDeadline:
    def silence(self, *, is_repeated: bool = True) -> Silence:
        return Silence(NOW, is_repeated, HOOK)

    @pytest.mark.parametrize(
        ("seconds", "is_repeated", "urgency"),
        [
            (0, False, Urgency.FIRST),
            (3000, False, Urgency.FIRST),
            (0, True, Urgency.REPEATED),
            (1799, True, Urgency.REPEATED),
            (1800, True, Urgency.OVERDUE),
        ],
    )
    def test_a_failure_is_the_more_urgent_the_longer_none_was_recorded(
        self, seconds: float, urgency: Urgency, *, is_repeated: bool
    ) -> None:
        assert self.silence(is_repeated=is_repeated).urgency(NOW + seconds) is urgency

    def test_a_single_failure_is_tried_again_before_the_stage_times_out(self) -> None:
        assert not self.silence(is_repeated=False).has_timed_out(NOW + 3000)

    def test_alarms_can_compare_the_urgency(self) -> None:
        assert [int(one) for one in Urgency] == [1, 2, 3]

    @pytest.mark.parametrize(("seconds", "timed_out"), [(2399.9, False), (2400, True)])
    def test_the_stage_times_out_when_a_third_of_the_hooks_time_is_left(
        self, seconds: float, *, timed_out: bool
    ) -> None:
        silence = self.silence()
        assert silence.has_timed_out(NOW + seconds) is timed_out
        assert math.isclose(silence.kept_until - silence.times_out_at, 1200)

    def test_the_page_says_until_when_the_instance_is_kept(self) -> None:
        assert str(self.silence()) == (
            "heartbeats fail: none is known to be recorded after 2023-11-14T22:13:20Z, "
            "so the instance is kept until 2023-11-14T23:13:20Z at least"
        )
