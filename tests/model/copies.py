"""Runs checks on a copy of the sources, each time in a new process.

A server has imported what takes long and is the same for all copies; each run is a fork of it, and
imports from its copy what the copy is about.
"""

import gc
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).parents[2]
_OURS = ("lifecycle", "handlers", "waiters", "sandbox", "tests")
_PARTS = (*_OURS, "terraform", "pyproject.toml")
# No deliberate bug is for the checks in these. Bytecode comes along: a changed file's is not taken.
_NOT_NEEDED = (".terraform*", "end_to_end", "flush_document", "package")
# Nothing of the sources may be among them: it would be imported from here instead of from the copy.
_PRELOADED = (
    "_hypothesis_pytestplugin",
    "aws_lambda_powertools.logging",
    "aws_lambda_powertools.metrics",
    "aws_lambda_powertools.utilities.batch",
    "aws_lambda_powertools.utilities.parameters",
    "aws_lambda_powertools.utilities.parser.models",
    "boto3",
    "hypothesis.stateful",
    "moto.autoscaling.urls",
    "moto.cloudwatch.models",
    "moto.ec2.urls",
    "moto.s3.models",
    "moto.servicediscovery.urls",
    "moto.sqs.urls",
    "moto.ssm.urls",
    "prometheus_api_client.prometheus_connect",
    "prometheus_client.parser",
    "pydantic.main",
    "pydantic.networks",
    "pytest",
    "pytest_socket",
    "pytest_timeout",
    "responses",
    "xdist.looponfail",
)
# A process that crashes ends with 1, which is pytest's word for a test that failed.
_PYTEST_ENDED = 100
_STRAYED = 99


@dataclass(frozen=True)
class Outcome:
    """0: all passed, 1: one failed, anything else: they could not run."""

    status: int
    output: str


def copy_sources(target: Path) -> None:
    """Copy the sources and their tests."""
    ignored = shutil.ignore_patterns(*_NOT_NEEDED)
    for part in _PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, target / part, ignore=ignored)
        else:
            shutil.copy(ROOT / part, target)


def run(copy: Path, *checks: str, **settings: str) -> Outcome:
    """Run checks on the copy, with these environment variables on top of the present ones."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "COV_"))
    }
    sockets = ["--allow-hosts=127.0.0.1"] if "integration" in checks[0] else ["--disable-socket"]
    options = ["-q", "-x", "-p", "no:cacheprovider", "--allow-unix-socket", *sockets]
    # They are imported before pytest could rewrite their assertions; none of them is a test.
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    context = get_context("forkserver")
    context.set_forkserver_preload(list(_PRELOADED))
    process = context.Process(
        target=_run_pytest, args=(copy, [*options, *checks], {**inherited, **settings})
    )
    process.start()
    try:
        process.join()
        assert process.exitcode is not None
        return Outcome(process.exitcode - _PYTEST_ENDED, _output(copy).read_text())
    finally:
        process.kill()
        process.join()


def _output(copy: Path) -> Path:
    return copy / "output.txt"


def _run_pytest(copy: Path, arguments: list[str], environment: Mapping[str, str]) -> None:
    """What the new process does."""
    gc.freeze()  # what the server imported is shared, and stays so if no collection looks at it
    _redirect_output(_output(copy))
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(copy)
    _import_from(copy)
    _find_the_same_each_time()
    status = pytest.main(arguments)
    strays = _strays(copy)
    if strays:
        print("not imported from the copy:", *strays)  # noqa: T201 (for the one who reads why)
        sys.exit(_STRAYED)
    sys.exit(_PYTEST_ENDED + status)


def _redirect_output(path: Path) -> None:
    with path.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


def _import_from(copy: Path) -> None:
    """Forget the module that this function came in; all others come from the copy."""
    sys.path[:] = [str(copy), *(one for one in sys.path if Path(one or ".").resolve() != ROOT)]
    for name in [one for one in sys.modules if _is_ours(one)]:
        del sys.modules[name]


def _find_the_same_each_time() -> None:
    """Whether a bug is caught is no matter of dice or load; nobody needs its smallest form."""
    hypothesis.settings.register_profile(
        "copy",
        derandomize=True,
        deadline=None,
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
    hypothesis.settings.load_profile("copy")


def _strays(copy: Path) -> list[str]:
    """Modules of the sources, or all of them, that were not imported from the copy."""
    files = {name: getattr(one, "__file__", None) for name, one in sys.modules.items()}
    ours = {name: Path(file) for name, file in files.items() if file and _is_ours(name)}
    if "lifecycle" not in ours:
        return ["lifecycle"]
    return [str(file) for file in ours.values() if not file.is_relative_to(copy)]


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] in _OURS
