"""A wait ends in time, and a failed one says what was missing."""

import re

import pytest

from sandbox.host.waiting import CheckFailed, wait_until


def test_a_failed_wait_names_what_was_waited_for_and_how_things_stood() -> None:
    with pytest.raises(CheckFailed) as failure:
        wait_until("the alarm", lambda: None, 0, situation=lambda: "Last seen: nothing.")
    said = str(failure.value)
    assert re.fullmatch(r"Waited 0 s .*for the alarm\. Last seen: nothing\.", said)


def test_a_probe_is_asked_at_least_once_even_without_time() -> None:
    assert wait_until("it", lambda: 7, 0) == 7
