"""A cold start costs nothing but imports, and needs nothing from outside."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import environments

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for folder in ("lifecycle", "handlers", "waiters")
    for path in (ROOT / folder).rglob("*.py")
)
SETTINGS = {
    *environments.lifecycle_handler(),
    *environments.operation_waiter(),
    *environments.buffer_waiter(),
    *environments.evidence(),
}


def imported(*modules: str) -> subprocess.CompletedProcess[str]:
    """Import modules in a Python of their own, whose environment is empty."""
    return subprocess.run(
        [sys.executable, "-m", "tests.support.import_guard", *modules],
        cwd=ROOT,
        env={"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_importing_the_whole_product_builds_nothing_connects_nowhere_and_reads_no_setting() -> None:
    assert {"handlers.lifecycle", "waiters.buffer", "lifecycle.adapters.clients"} <= set(MODULES)
    result = imported(*MODULES)
    assert (result.returncode, result.stderr) == (0, "")
    assert SETTINGS.isdisjoint(json.loads(result.stdout))


def test_decisions_need_the_standard_library_and_pydantic_alone() -> None:
    decisions = [name for name in MODULES if name.startswith("lifecycle.decisions.")]
    print_all = "import importlib, sys; [importlib.import_module(one) for one in sys.argv[1:]]; "
    print_all += (
        "print(*{name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names)"
    )
    done = subprocess.run(
        [sys.executable, "-c", print_all, *decisions],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    of_pydantic = {"pydantic", "pydantic_core", "annotated_types", "typing_extensions"}
    allowed = {"lifecycle", *of_pydantic, "typing_inspection", "__main__"}
    assert {one for one in done.stdout.split() if not one.startswith("_")} <= allowed


@pytest.mark.parametrize("bad", ["builds_a_client", "connects"])
def test_the_guard_notices_an_import_that_reaches_outside(bad: str) -> None:
    result = imported(f"tests.support.bad_imports.{bad}")
    assert result.returncode != 0
    assert "an import reached outside" in result.stderr


def test_the_guard_notices_an_import_that_reads_a_setting() -> None:
    result = imported("tests.support.bad_imports.reads_a_setting")
    assert "PROMETHEUS_URL" in SETTINGS & set(json.loads(result.stdout))
