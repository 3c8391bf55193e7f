"""Who belongs where in service discovery, in one or in several services."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from lifecycle.decisions.shards import (
    MOST_IN_A_SHARD,
    Standing,
    Step,
    StepKind,
    overflow,
    shard_for,
    steps_into,
    steps_to_balance,
)

JOIN, LEAVE = StepKind.JOIN, StepKind.LEAVE


def some(first: int, count: int) -> set[str]:
    return {f"i-{number:03}" for number in range(first, first + count)}


def vacancies_left_by(
    instance_id: str, members: dict[str, set[str]], successors: set[str]
) -> list[str]:
    states = {instance_id: "Terminating:Wait", **dict.fromkeys(successors, "InService")}
    held = {one: frozenset(ids) for one, ids in members.items()}
    return sorted(Standing(held, states, frozenset(), frozenset()).vacancies_left_by(instance_id))


def test_an_instance_goes_where_the_fewest_are() -> None:
    assert shard_for("i-9", {"a": {"i-1", "i-2"}, "b": {"i-3"}, "c": {"i-4", "i-5"}}) == "b"


def test_an_instance_stays_where_it_is() -> None:
    assert shard_for("i-9", {"a": set(), "b": {"i-3", "i-9"}}) == "b"


def test_instances_that_launch_together_spread_over_equally_empty_shards() -> None:
    empty: dict[str, set[str]] = {"a": set(), "b": set(), "c": set()}
    chosen = Counter(shard_for(f"i-{number:017x}", empty) for number in range(300))
    assert set(chosen) == {"a", "b", "c"}
    assert min(chosen.values()) > 60


def test_overflow_counts_those_beyond_eight_in_each_shard() -> None:
    assert overflow({"a": some(0, 8), "b": some(10, 8)}) == 0
    assert overflow({"a": some(0, 9), "b": some(10, 11), "c": set()}) == 4


def test_the_last_that_serves_leaves_a_vacancy() -> None:
    members = {"a": {"i-1", "i-2"}, "b": {"i-3"}}
    assert vacancies_left_by("i-1", members, {"i-2", "i-3"}) == []
    assert vacancies_left_by("i-1", members, {"i-3"}) == ["a"]
    assert vacancies_left_by("i-3", members, {"i-1", "i-2"}) == ["b"]


def test_two_that_leave_together_do_not_count_each_other() -> None:
    members = {"a": {"i-1", "i-2"}}
    assert vacancies_left_by("i-1", members, set()) == ["a"]
    assert vacancies_left_by("i-2", members, set()) == ["a"]


def test_who_is_not_registered_leaves_no_vacancy() -> None:
    assert vacancies_left_by("i-9", {"a": {"i-1"}, "b": set()}, set()) == []


def test_what_is_in_no_group_serves_and_one_that_has_left_cannot_be_held() -> None:
    members = {"a": frozenset({"i-1", "i-2"})}
    both = {"i-1": "Terminating:Wait", "i-2": "InService"}
    assert not Standing(members, both, frozenset(), frozenset()).vacancies_left_by("i-1")
    left = Standing(members, both, frozenset(), frozenset()).vacancies_left_by("i-1", {"i-2"})
    assert left == {"a"}
    alone = {"i-1": "Terminating:Wait"}
    assert not Standing(members, alone, frozenset({"i-2"}), frozenset()).vacancies_left_by("i-1")
    assert not Standing(members, {}, frozenset(), frozenset()).vacancies_left_by("i-1")


def test_only_members_of_the_group_move_and_only_in_the_shards_that_are_asked_about() -> None:
    held = {"a": frozenset(some(0, 9)), "b": frozenset[str](), "c": frozenset({"i-040"})}
    states = dict.fromkeys(some(0, 9), "InService")
    standing = Standing(held, states, frozenset(), frozenset(some(0, 9)))
    assert standing.steps_near("i-000") == [Step(JOIN, "i-008", "b"), Step(JOIN, "i-007", "c")]
    assert standing.steps_near("i-040") == []
    assert standing.steps_into(frozenset("c")) == [Step(JOIN, "i-008", "c")]
    assert Standing(held, states, frozenset(), frozenset()).steps_to_balance() == []


def test_a_vacancy_is_filled_from_the_fullest_other_shard() -> None:
    members = {"a": {"i-1"}, "b": {"i-2", "i-3"}, "c": {"i-4", "i-5", "i-6", "i-7"}}
    in_service = {"i-2", "i-3", "i-4", "i-5", "i-6"}
    assert steps_into({"a"}, members, in_service) == [Step(JOIN, "i-6", "a")]


def test_none_moves_out_of_a_shard_that_would_be_vacant_then() -> None:
    assert steps_into({"a"}, {"a": {"i-1"}, "b": {"i-2", "i-3"}}, {"i-2"}) == []
    assert steps_into({"a"}, {"a": {"i-1"}}, {"i-1"}) == []
    assert steps_into({"a", "b"}, {"a": {"i-1"}, "b": {"i-2", "i-3"}}, {"i-2", "i-3"}) == []


def test_the_surplus_of_a_shard_moves_newcomers_first() -> None:
    members = {"a": some(0, 10), "b": some(20, 7), "c": some(40, 8)}
    movable = set().union(*members.values())
    in_service = movable - {"i-003", "i-004"}
    # One finds room; the other shards are full then.
    assert steps_to_balance(members, movable, in_service) == [Step(JOIN, "i-004", "b")]
    assert steps_to_balance({"a": some(0, 9), "b": set()}, some(0, 9), some(0, 9)) == [
        Step(JOIN, "i-008", "b")
    ]


def test_a_vacant_shard_gets_an_instance() -> None:
    members = {"a": {"i-1", "i-2", "i-3"}, "b": set[str](), "c": {"i-9"}}
    movable = {"i-1", "i-2", "i-3"}
    assert steps_to_balance(members, movable, movable) == [
        Step(JOIN, "i-3", "b"),
        Step(JOIN, "i-2", "c"),
    ]
    assert steps_to_balance(members, movable, {"i-1"}) == []  # none to spare yet


def test_an_instance_that_leaves_does_not_move() -> None:
    members = {"a": some(0, 9), "b": set()}
    assert steps_to_balance(members, some(0, 8), some(0, 8)) == [Step(JOIN, "i-007", "b")]
    assert steps_to_balance(members, set(), set()) == []


def test_a_fleet_that_fits_stays_as_it_is() -> None:
    members = {"a": some(0, 8), "b": some(20, 1)}
    everybody = set().union(*members.values())
    assert steps_to_balance(members, everybody, everybody) == []
    full = {"a": some(0, 9), "b": some(20, 8)}
    everybody = set().union(*full.values())
    assert steps_to_balance(full, everybody, everybody) == []


def test_a_move_under_way_ends_with_leaving_the_fullest_shard() -> None:
    members = {"a": {"i-1", "i-2"}, "b": {"i-2", "i-3", "i-4"}}
    everybody = {"i-1", "i-2", "i-3", "i-4"}
    assert steps_to_balance(members, everybody, everybody) == [Step(LEAVE, "i-2", "b")]


def test_who_is_the_only_one_that_serves_in_a_shard_stays_in_it() -> None:
    members = {"a": {"i-1", "i-2", "i-3"}, "b": {"i-2", "i-4"}}
    movable = {"i-1", "i-2", "i-3", "i-4"}
    assert steps_to_balance(members, movable, {"i-2", "i-4"}) == [Step(LEAVE, "i-2", "b")]
    assert steps_to_balance(members, movable, {"i-2"}) == []


def test_one_that_both_shards_need_is_not_moved_to_where_it_is() -> None:
    members = {"a": some(0, 9), "b": {"i-000"}}
    assert steps_to_balance(members, {"i-000"}, {"i-000"}) == []


ids = st.sampled_from(sorted(some(0, 40)))


@given(
    members=st.lists(st.sets(ids, max_size=20), min_size=1, max_size=5).map(
        lambda shards: {f"srv-{number}": held for number, held in enumerate(shards)}
    ),
    leaving=st.sets(ids, max_size=5),
    launching=st.sets(ids, max_size=5),
)
def test_whatever_the_fleet_looks_like_the_steps_end_in_order(
    members: dict[str, set[str]], leaving: set[str], launching: set[str]
) -> None:
    movable = set().union(*members.values()) - leaving
    in_service = movable - launching
    served = {name for name, held in members.items() if held & in_service}
    everywhere = set().union(*members.values())
    for _ in range(100):
        steps = steps_to_balance(members, movable, in_service)
        if not steps:
            break
        for step in steps:
            held = members[step.service_id]
            assert step.instance_id in movable
            held.add(step.instance_id) if step.kind is JOIN else held.discard(step.instance_id)
        assert all(members[name] & in_service for name in served), "emptied a shard"
        assert set().union(*members.values()) == everywhere, "lost an instance"
    else:
        raise AssertionError("never comes to rest")
    sizes = [len(held) for held in members.values()]
    if any(not held & movable for held in members.values()):
        assert all(len(held & in_service) < 2 for held in members.values()), "leaves one empty"
    if not leaving and not launching and max(sizes) > MOST_IN_A_SHARD:
        assert min(sizes) >= MOST_IN_A_SHARD or _each_stays(members)


def _each_stays(members: dict[str, set[str]]) -> bool:
    """An overfull shard of which every member is in a shard with room already."""
    overfull = [held for held in members.values() if len(held) > MOST_IN_A_SHARD]
    roomy = [held for held in members.values() if len(held) < MOST_IN_A_SHARD]
    return all(one in set().union(*roomy) for held in overfull for one in held)
