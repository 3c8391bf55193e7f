"""A history that failed fails again."""

from typing import Any

from tests.model.counting import uncounted
from tests.model.machine import Histories, play


def test_the_same_seed_gives_the_same_histories() -> None:
    assert _journals(seed=7) == _journals(seed=7)


def _journals(seed: int) -> list[list[dict[str, Any]]]:
    journals: list[list[dict[str, Any]]] = []

    class Recorded(Histories):
        def teardown(self) -> None:
            journals.append(list(self.cloud.world.journal))
            super().teardown()

    with uncounted():
        play(Recorded, seed, 5)
    return journals
