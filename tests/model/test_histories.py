"""Thousands of random histories, split into parts that run side by side, each with its own seed."""

import os

import pytest

from tests.model.machine import Histories, play

HISTORIES = int(os.environ.get("HISTORIES", "2000"))
PARTS = max(1, min(HISTORIES // 50, 40))
SEED = int(os.environ.get("SEED", "0"))


@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_breaks_no_instance_goes_before_the_proof(part: int) -> None:
    class Part(Histories):
        pass

    play(Part, SEED * 1000 + part, HISTORIES // PARTS + (part < HISTORIES % PARTS))
