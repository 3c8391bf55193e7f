"""A reader finds a module's tests by its path, and a test's module by its own."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "lifecycle"
TESTS = ROOT / "tests" / "unit"
FOLDERS = [".", *sorted(one.parent.name for one in PACKAGE.glob("*/__init__.py"))]
LONGEST = 350
LONGEST_ENTRY = 80
# Of no module: what holds for all of them, for the documents or for Terraform.
OF_ALL = {
    "test_documents",
    "test_english",
    "test_fuzz",
    "test_fuzz_handlers",
    "test_imports",
    "test_layout",
    "test_runbook_quotes",
    "test_runbooks",
    "test_terraform_agrees",
}


def modules(folder: Path) -> set[str]:
    return {one.stem for one in folder.glob("*.py")} - {"__init__"}


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_module_has_a_test_file_of_its_own(folder: str) -> None:
    tested = {one.removeprefix("test_") for one in modules(TESTS / folder)}
    assert modules(PACKAGE / folder) <= tested


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_test_file_names_its_module(folder: str) -> None:
    """A second file of one module has a word more: ``test_prometheus_session_answers.py``."""
    strays = {
        one
        for one in modules(TESTS / folder) - OF_ALL - {"conftest"}
        if not any(f"{one}_".startswith(f"test_{name}_") for name in modules(PACKAGE / folder))
    }
    assert strays == set()


def test_every_file_can_be_read_in_one_sitting() -> None:
    """Terraform's own tests are lists of runs, and may be longer."""
    parts = ("lifecycle", "handlers", "waiters", "sandbox", "tools", "tests", "terraform")
    files = [
        path
        for part in parts
        for path in (ROOT / part).rglob("*")
        if ".terraform" not in path.parts
    ]
    lines = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in files
        if path.suffix in {".py", ".tf"}
    }
    assert len(lines) > 300
    assert {name: number for name, number in lines.items() if number > LONGEST} == {}


def test_entry_points_wire_and_call_one_flow() -> None:
    entries = [*(ROOT / "handlers").glob("*.py"), *(ROOT / "waiters").glob("*.py")]
    assert len(entries) > 7
    assert [one.name for one in entries if len(one.read_text().splitlines()) > LONGEST_ENTRY] == []
