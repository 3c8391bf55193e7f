"""Thousands of random histories, split into parts that run side by side, each with its own seed."""

import os

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.machine import Histories

HISTORIES = int(os.environ.get("HISTORIES", "2000"))
PARTS = max(1, min(HISTORIES // 50, 40))
STEPS = 10
SEED = int(os.environ.get("SEED", "0"))
# Whoever only wants to know that there is a failure need not wait for its smallest form.
SHRINKS = os.environ.get("SHRINK", "1") == "1"


@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_breaks_no_instance_goes_before_the_proof(part: int) -> None:
    number = HISTORIES // PARTS + (part < HISTORIES % PARTS)

    class Part(Histories):
        pass

    run_state_machine_as_test(
        seed(SEED * 1000 + part)(Part),
        settings=settings(
            max_examples=number,
            stateful_step_count=STEPS,
            database=None,
            deadline=None,
            phases=[Phase.generate, *([Phase.shrink] if SHRINKS else [])],
            suppress_health_check=list(HealthCheck),
        ),
    )
