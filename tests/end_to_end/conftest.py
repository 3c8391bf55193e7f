"""One local cloud for all runbooks of the same stages: applying the module takes a minute."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from sandbox.demo.scenarios import Setting
from tests.support.runbook_scene import Scene, scene
from tests.support.runbooks import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
