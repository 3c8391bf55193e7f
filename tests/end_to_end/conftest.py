"""One local cloud for all runbooks: applying the module takes a minute."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.runbook_scene import Scene, scene
from tests.support.runbooks import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def place() -> Iterator[Scene]:
    """The module applied beside a group, for all tests of one worker."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "alone")
    folder = PROJECT / "build" / "end-to-end" / f"runbooks-{worker}"
    shutil.rmtree(folder, ignore_errors=True)
    with scene(folder) as made:
        yield made
