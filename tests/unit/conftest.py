"""What every unit test may lean on."""

import itertools

import pytest

_services = itertools.count()


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a service of the test's own.

    Powertools keeps one logger a service, bound to the standard output that it met first.
    """
    name = f"service-{next(_services)}"
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", name)
    return name


@pytest.fixture
def aws_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What boto3 needs to build a client without asking the network for it."""
    for name, value in (
        ("AWS_DEFAULT_REGION", "ap-northeast-1"),
        ("AWS_ACCESS_KEY_ID", "none"),
        ("AWS_SECRET_ACCESS_KEY", "none"),
    ):
        monkeypatch.setenv(name, value)
