"""Runs checks with a deliberate bug in the product, each time in a new process.

A server has imported what takes long and is the same for all; each run is a fork of it, puts the
bug in, and only then imports the checks.
"""

import gc
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
_OURS = ("lifecycle", "handlers", "waiters", "tests")
_PRELOADED = (
    "_hypothesis_pytestplugin",
    "aws_lambda_powertools.logging",
    "aws_lambda_powertools.metrics",
    "hypothesis.stateful",
    "lifecycle.wiring",
    "moto.autoscaling.urls",
    "moto.cloudwatch.models",
    "moto.ec2.urls",
    "moto.s3.models",
    "moto.servicediscovery.urls",
    "moto.sqs.urls",
    "moto.ssm.urls",
    "prometheus_client.parser",
    "pytest_socket",
    "pytest_timeout",
    "responses",
    "tests.model.bugs",
    "tests.model.mutations",
    "xdist.looponfail",
)
# A process that crashes ends with 1, which is pytest's word for a test that failed.
_PYTEST_ENDED = 100


@dataclass(frozen=True)
class Mutation:
    """A bug: each function named in ``instead`` is replaced by the one beside it.

    A function is named by the module that it is called in, a colon, and its name there: defined
    there, it is replaced wherever it was imported; imported there, it is replaced there only. The
    replacement takes the very same parameters. ``caught_by`` is the check that must fail;
    histories may find a bug by any of their promises, ``breaks`` is the one that they must name.
    """

    name: str
    instead: Mapping[str, Callable[..., object]]
    caught_by: str
    breaks: str = ""

    def apply(self) -> None:
        """Put the bug into this process."""
        for target, replacement in self.instead.items():
            _replace(target, replacement)


def each(
    caught_by: str, bugs: Mapping[str, Mapping[str, Callable[..., object]]]
) -> Iterator[Mutation]:
    """Bugs by their names, all to be caught by one check."""
    for name, instead in bugs.items():
        yield Mutation(name, instead, caught_by)


@dataclass(frozen=True)
class Outcome:
    """0: all passed, 1: one failed, anything else: they could not run."""

    status: int
    output: str


def run(bug: Mutation | None, folder: Path, *checks: str, **settings: str) -> Outcome:
    """Run checks in a folder of their own, with these variables on top of the environment."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "COV_"))
    }
    sockets = ["--allow-hosts=127.0.0.1"] if "integration" in checks[0] else ["--disable-socket"]
    options = ["-q", "-x", "-p", "no:cacheprovider", "--allow-unix-socket", *sockets]
    options += [f"--rootdir={ROOT}", f"--config-file={ROOT / 'pyproject.toml'}"]
    # They are imported before pytest could rewrite their assertions; none of them is a test.
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    arguments = [*options, *(str(ROOT / check) for check in checks)]
    context = get_context("forkserver")
    context.set_forkserver_preload(list(_PRELOADED))
    name = None if bug is None else bug.name
    process = context.Process(
        target=_run_pytest, args=(name, folder, arguments, {**inherited, **settings})
    )
    process.start()
    try:
        process.join()
        assert process.exitcode is not None
        return Outcome(process.exitcode - _PYTEST_ENDED, _output(folder).read_text())
    finally:
        process.kill()
        process.join()


def _output(folder: Path) -> Path:
    return folder / "output.txt"


def _run_pytest(
    bug: str | None, folder: Path, arguments: list[str], environment: Mapping[str, str]
) -> None:
    """What the new process does."""
    gc.freeze()  # what the server imported is shared, and stays so if no collection looks at it
    with _output(folder).open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    if bug is not None:
        mutations = import_module("tests.model.mutations").MUTATIONS
        next(one for one in mutations if one.name == bug).apply()
    sys.exit(_PYTEST_ENDED + pytest.main(arguments))


def _replace(target: str, replacement: Callable[..., object]) -> None:
    module_name, _, path = target.partition(":")
    *owners, name = path.split(".")
    module = import_module(module_name)
    owner: object = module
    for one in owners:
        owner = vars(owner)[one]
    original = vars(owner)[name]
    _must_match(target, original, replacement)
    setattr(owner, name, property(replacement) if isinstance(original, property) else replacement)
    if owner is module and original.__module__ == module_name:
        for importer in [one for one in sys.modules.values() if _is_ours(one)]:
            for alias in [alias for alias, value in vars(importer).items() if value is original]:
                setattr(importer, alias, replacement)


def _must_match(target: str, original: object, replacement: Callable[..., object]) -> None:
    """A replacement that could not be called would be caught by any check whatever."""
    function = original.fget if isinstance(original, property) else original
    assert inspect.isfunction(function), f"{target} is no function: give the decision a name"
    expected, given = (list(inspect.signature(one).parameters) for one in (function, replacement))
    assert expected == given, f"{target} takes {expected}, its replacement {given}"


def _is_ours(module: ModuleType) -> bool:
    """The deliberate bugs keep the originals: they call them."""
    name = module.__name__
    return name.partition(".")[0] in _OURS and not name.startswith("tests.model.mutations")
