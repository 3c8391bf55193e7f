"""Where instances belong when a fleet is spread over several services."""

from collections import Counter

from lifecycle.shards import shard_for


def test_an_instance_goes_where_the_fewest_are() -> None:
    assert shard_for("i-9", {"a": {"i-1", "i-2"}, "b": {"i-3"}, "c": {"i-4", "i-5"}}) == "b"


def test_an_instance_stays_where_it_is() -> None:
    assert shard_for("i-9", {"a": set(), "b": {"i-3", "i-9"}}) == "b"


def test_instances_that_launch_together_spread_over_equally_empty_shards() -> None:
    empty: dict[str, set[str]] = {"a": set(), "b": set(), "c": set()}
    chosen = Counter(shard_for(f"i-{number:017x}", empty) for number in range(300))
    assert set(chosen) == {"a", "b", "c"}
    assert min(chosen.values()) > 60
