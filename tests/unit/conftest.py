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
