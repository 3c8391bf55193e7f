"""Documents and code use the terms of docs/glossary.md, not the words that it says to avoid."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("docs", "handlers", "lifecycle", "sandbox", "terraform", "tests", "tools", "waiters")
AVOIDED = re.compile(
    r"\b(nobody|somebody|anybody|whoever|a\s+person|for\s+good|in\s+vain|mercy|"
    r"(is|are|was|were)\s+told|(lets?|letting)\s+go|sets?\s+aside|g(ives?|ave|iven|iving)\s+up)\b",
    re.IGNORECASE,
)
NAMES_THEM = {"docs/glossary.md", "tests/unit/test_english.py"}


def _avoided_words() -> dict[str, list[str]]:
    paths = [*ROOT.glob("*.md"), *(path for one in FOLDERS for path in (ROOT / one).rglob("*.*"))]
    texts = {str(p.relative_to(ROOT)): p for p in paths if p.suffix in {".md", ".py", ".tf"}}
    found = {
        name: [word[0] for word in AVOIDED.finditer(path.read_text())]
        for name, path in texts.items()
        if name not in NAMES_THEM and ".terraform" not in path.parts
    }
    return {name: words for name, words in found.items() if words}


def test_no_word_is_used_that_the_glossary_avoids() -> None:
    assert _avoided_words() == {}
