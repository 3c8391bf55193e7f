"""The pipeline that every integration test drives.

It checks in every test that no instance is released early or while registered.
"""

from collections.abc import Iterator

import pytest

from tests.support.account import running
from tests.support.pipeline import Pipeline
from tests.support.queues import REGION


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")  # servers of tests are reached directly
    with running(Pipeline) as started:
        yield started
