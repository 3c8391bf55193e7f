"""What every unit test may lean on."""

import itertools
from typing import Any

import pytest

from lifecycle.telemetry import LogEvent, Metric
from tests.support.recording import SEEN

_services = itertools.count()
_seen, _never = pytest.StashKey[set[str]](), pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_seen] = set()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """What a worker of xdist has seen is sent to the process that started it."""
    node.config.stash[_seen] |= set(getattr(node, "workeroutput", {}).get("seen", ()))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Every event and metric is logged by the product in some test; of all unit tests, that is."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["seen"] = [str(one) for one in SEEN]
    elif session.config.args == ["tests/unit"]:
        seen = session.config.stash[_seen] | {str(one) for one in SEEN}
        never = {str(one) for one in (*LogEvent, *Metric)} - seen
        if never and not session.testsfailed:
            session.config.stash[_never] = sorted(never)
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    never = terminalreporter.config.stash.get(_never, [])
    if never:
        terminalreporter.write_line(f"No test saw the product log or measure: {', '.join(never)}")


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
