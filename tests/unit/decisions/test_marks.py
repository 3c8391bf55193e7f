"""The mark that tells what was done with an instance last."""

import pytest

from lifecycle.decisions.marks import Mark, MarkKind, read_mark, was_proven
from tests.support.messages import NOW


@pytest.mark.parametrize("kind", MarkKind)
def test_a_mark_is_read_as_it_was_written(kind: MarkKind) -> None:
    assert read_mark(str(Mark(kind, NOW))) == Mark(kind, NOW)


def test_a_state_tag_can_be_read_by_an_operator() -> None:
    assert str(Mark(MarkKind.PROVEN, NOW + 0.9)) == "proven 2023-11-14T22:13:20Z"


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "proven",
        "proven ",
        "proven yesterday",
        "PROVEN 2023-11-14T22:13:20Z",
        "safe 2023-11-14T22:13:20Z",
        "proven 2023-11-14T22:13:20",
        "proven 2023-11-14T22:13:20Z and more",
    ],
)
def test_what_another_program_wrote_says_nothing(value: str | None) -> None:
    assert read_mark(value) is None


@pytest.mark.parametrize(
    ("mark", "is_proven"),
    [
        (None, False),
        (Mark(MarkKind.PROVEN, NOW), True),
        (Mark(MarkKind.REPLACED, NOW), True),
        (Mark(MarkKind.RETAINED, NOW), True),
        (Mark(MarkKind.PROVEN, NOW - 1), False),
        (Mark(MarkKind.POOLED, NOW), False),
    ],
)
def test_only_a_proof_since_that_moment_counts(mark: Mark | None, *, is_proven: bool) -> None:
    assert was_proven(mark, since=NOW) is is_proven
