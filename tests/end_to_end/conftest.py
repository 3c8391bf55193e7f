"""One local cloud for all runbooks of the same stages: applying the module takes a minute."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from sandbox.demo.scenarios.catalog import Setting
from tests.support.runbook_scene import Scene, scene
from tests.support.runbooks import PROJECT

# Tests that share a cloud, by the beginning of their files' names; all others have their own.
GROUPS = ("test_runbooks_of_sudden_ends", "test_runbook_of_flush", "test_runbook")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hook of pytest-xdist: one worker gets all that share a cloud, any worker everything else."""
    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = group_of
    return scheduler


def group_of(nodeid: str) -> str:
    """The tests that a test has to run with."""
    file = nodeid.partition("::")[0].rpartition("/")[-1]
    return next((group for group in GROUPS if file.startswith(group)), nodeid)


@pytest.fixture(scope="session")
def place() -> Iterator[Scene]:
    """The module applied beside a group, for all tests of one worker."""
    with scene(empty_folder("runbooks"), Setting()) as made:
        yield made


@pytest.fixture(scope="session")
def flushed_place() -> Iterator[Scene]:
    """The same with the flush stage in place of Prometheus: the last before a release."""
    with scene(empty_folder("runbook-flush"), Setting(flush=True, prometheus=False)) as made:
        yield made


def empty_folder(name: str) -> Path:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "alone")
    folder = PROJECT / "build" / "end-to-end" / f"{name}-{worker}"
    shutil.rmtree(folder, ignore_errors=True)
    return folder
