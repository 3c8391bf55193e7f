"""A reader finds a module's tests by its path, and a test's module by its own."""

from pathlib import Path

import pytest

PACKAGE = Path("lifecycle")
TESTS = Path("tests/unit")
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


@pytest.mark.parametrize("folder", [".", "decisions", "adapters", "flows"])
def test_every_module_has_a_test_file_of_its_own(folder: str) -> None:
    tested = {one.removeprefix("test_") for one in modules(TESTS / folder)}
    assert modules(PACKAGE / folder) <= tested


@pytest.mark.parametrize("folder", [".", "decisions", "adapters", "flows"])
def test_every_test_file_names_its_module(folder: str) -> None:
    """A second file of one module has a word more: ``test_prometheus_answers.py``."""
    strays = {
        one
        for one in modules(TESTS / folder) - OF_ALL - {"conftest"}
        if not any(f"{one}_".startswith(f"test_{name}_") for name in modules(PACKAGE / folder))
    }
    assert strays == set()


def test_no_folder_of_the_package_is_left_out() -> None:
    folders = {one.name for one in PACKAGE.iterdir() if (one / "__init__.py").exists()}
    assert folders == {"decisions", "adapters", "flows"}
