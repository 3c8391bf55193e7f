"""What documents claim about the repository is still true."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("terraform/**/*.md")], key=str
)


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def _anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    plain = [re.sub(r"[`*]", "", heading).strip().lower() for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


def test_the_quickstart_is_the_example_verbatim_and_short() -> None:
    (quickstart,) = blocks((ROOT / "README.md").read_text(), "hcl")
    example = ROOT / "terraform" / "examples" / "existing-group" / "main.tf"
    assert quickstart in example.read_text()
    assert len(quickstart.splitlines()) <= 15


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_inside_the_repository_leads_somewhere(document: Path) -> None:
    # Commands and examples may hold brackets of their own.
    text = re.sub(r"^ *```.*?^ *```$", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (document.parent / path).resolve() if path else document
        assert linked.exists(), f"{document.name}: {target}"
        if anchor:
            assert anchor in _anchors(linked.read_text()), f"{document.name}: {target}"


def test_every_verb_that_documents_mention_is_in_the_makefile() -> None:
    verbs = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    run = [ROOT / ".pre-commit-config.yaml", *ROOT.glob(".github/**/*.yml")]
    assert len(run) > 3
    for document in [*DOCUMENTS, *run]:
        for mentioned in re.findall(
            r"(?:`|^\s*|entry: |run: )make ([a-z-]+)", document.read_text(), re.MULTILINE
        ):
            assert mentioned in verbs, f"{document.name}: make {mentioned}"


def test_every_test_that_the_lifecycle_cases_name_is_there() -> None:
    cases = (ROOT / "docs" / "lifecycle-cases.md").read_text()
    paths = re.findall(r"`((?:integration|model|sandbox|unit)/[\w/]+\.py)", cases)
    named = set(re.findall(r"::(\w+)", cases))
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    written = set(re.findall(r"^ *(?:class|def) (\w+)", tests, flags=re.MULTILINE))
    assert len(named) > 30
    assert named - written == set()
    assert [path for path in paths if not (ROOT / "tests" / path).is_file()] == []
