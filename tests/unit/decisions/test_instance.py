"""What EC2 knows of an instance, and what follows from it."""

from dataclasses import replace

import pytest

from lifecycle.decisions.instance import Address, Instance
from lifecycle.decisions.marks import Mark, MarkKind, written
from tests.support.messages import INSTANCE_ID, NOW

RESTING = Instance(INSTANCE_ID, "stopped", NOW - 100, None, Mark(MarkKind.PROVEN, NOW - 50))


@pytest.mark.parametrize(("address", "is_ipv6"), [("10.0.0.7", False), ("2001:db8::7", True)])
def test_the_family_of_an_address_is_read_from_it(address: str, *, is_ipv6: bool) -> None:
    assert Address(address, "ap-northeast-1a").is_ipv6 is is_ipv6


@pytest.mark.parametrize(
    ("state", "is_running", "is_stopped", "is_ending"),
    [
        ("pending", False, False, False),
        ("running", True, False, False),
        ("stopping", False, True, False),
        ("stopped", False, True, False),
        ("shutting-down", False, False, True),
        ("terminated", False, False, True),
        ("a state of next year", False, False, False),
    ],
)
def test_each_state_of_ec2_means_one_thing(
    state: str, *, is_running: bool, is_stopped: bool, is_ending: bool
) -> None:
    instance = replace(RESTING, state=state)
    assert instance.is_running is is_running
    assert instance.is_stopped is is_stopped
    assert instance.is_ending is is_ending
    assert instance.is_down is (is_stopped or is_ending)


@pytest.mark.parametrize(
    ("change", "rests"),
    [
        ({}, True),
        ({"state": "stopping"}, True),
        ({"mark": Mark(MarkKind.POOLED, NOW - 50)}, True),
        ({"launched_at": NOW - 50}, True),
        ({"launched_at": NOW - 49}, False),  # it has run since
        ({"state": "running"}, False),
        ({"mark": None}, False),
        ({"mark": Mark(MarkKind.TERMINATING, NOW - 50)}, False),
    ],
)
def test_one_stopped_since_its_proof_only_if_it_has_not_run_since(
    change: dict[str, object], *, rests: bool
) -> None:
    assert replace(RESTING, **change).stopped_since_its_proof is rests  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("looked", "is_looked_at"),
    [
        (None, False),
        ("yesterday", False),
        (written(RESTING.launched_at - 1), False),  # it was started anew since
        (written(RESTING.launched_at), True),
        (written(NOW), True),
    ],
)
def test_a_look_counts_since_the_last_start(looked: str | None, *, is_looked_at: bool) -> None:
    assert replace(RESTING, looked=looked).is_looked_at is is_looked_at


@pytest.mark.parametrize(
    ("cleared", "may_hold"),
    [
        (None, False),
        ("yesterday", True),  # whatever it means
        (written(RESTING.launched_at - 1), False),  # it was started anew since
        (written(RESTING.launched_at), True),
        (written(NOW - 60), True),
    ],
)
def test_a_cleared_queue_counts_until_the_instance_is_started_anew(
    cleared: str | None, *, may_hold: bool
) -> None:
    instance = replace(RESTING, queue_cleared=cleared, mark=Mark(MarkKind.LAUNCHING, NOW))
    assert instance.may_hold_what_was_cleared is may_hold


@pytest.mark.parametrize(
    ("not_ready", "since"),
    [
        (None, NOW - 400),
        ("yesterday", NOW - 400),
        (written(NOW - 500), NOW - 400),  # in an earlier launch
        (written(NOW - 60), NOW - 60),
    ],
)
def test_nothing_is_known_since_it_was_last_known_not_to_be_ready(
    not_ready: str | None, since: float
) -> None:
    assert replace(RESTING, not_ready=not_ready).unknown_since(NOW - 400) == since


@pytest.mark.parametrize(
    ("kind", "has_launched", "has_begun", "served_unproven"),
    [
        (MarkKind.LAUNCHING, True, True, True),
        (MarkKind.TERMINATING, False, True, True),
        (MarkKind.RECLAIMED, False, False, True),
        (MarkKind.PROVEN, False, False, False),
        (MarkKind.POOLED, False, False, False),
    ],
)
def test_a_mark_says_what_the_instance_has_been_through(
    kind: MarkKind, *, has_launched: bool, has_begun: bool, served_unproven: bool
) -> None:
    instance = replace(RESTING, mark=Mark(kind, NOW))
    assert instance.has_launched_since(NOW - 1) is has_launched
    assert instance.has_begun_since(NOW - 1) is has_begun
    assert instance.served_unproven_before(NOW + 1) is served_unproven
    assert not instance.has_launched_since(NOW)
    assert not instance.has_begun_since(NOW)
    assert not instance.served_unproven_before(NOW + 0.9)
