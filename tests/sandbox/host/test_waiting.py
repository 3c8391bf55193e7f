"""A wait ends in time, and a failed one says what was missing."""

from __future__ import annotations

import pytest

from sandbox.host.waiting import CheckFailed, wait_until


def test_a_wait_returns_what_the_probe_found() -> None:
    answers = iter([None, None, "found"])

    assert wait_until("it", lambda: next(answers), 5) == "found"


def test_a_wait_without_success_names_what_was_waited_for_and_how_things_stood() -> None:
    with pytest.raises(CheckFailed) as failure:
        wait_until("the alarm", lambda: None, 0, situation=lambda: "Last seen: nothing.")

    assert str(failure.value) == "Waited 0 s without success for the alarm. Last seen: nothing."


def test_a_probe_is_asked_at_least_once_even_without_time() -> None:
    assert wait_until("it", lambda: 7, 0) == 7
