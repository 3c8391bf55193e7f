"""Documents and code use the terms of docs/glossary.md, not the words that it says to avoid."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
AVOIDED = re.compile(
    r"\b(nobody|somebody|anybody|whoever|a\s+person|for\s+good|in\s+vain|mercy|"
    r"(is|are|was|were)\s+told|(lets?|letting)\s+((it|them|one|an?)\s+)?go|"
    r"sets?\s+(\w+\s+)?aside|g(ives?|ave|iven|iving)\s+up)\b",
    re.IGNORECASE,
)
NAMES_THEM = {"docs/glossary.md", "tests/unit/test_english.py"}
WRITTEN = {".conf", ".hcl", ".in", ".md", ".py", ".sh", ".tf", ".toml", ".yaml", ".yml"}


def test_no_word_is_used_that_the_glossary_avoids() -> None:
    listed = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
    written = [one for one in listed if Path(one).suffix in WRITTEN or "." not in Path(one).name]
    assert {"Makefile", ".ci/run", "README.md", "terraform/alarms.tf"} <= set(written)
    found = {
        name: [word[0] for word in AVOIDED.finditer((ROOT / name).read_text())]
        for name in written
        if name not in NAMES_THEM and (ROOT / name).is_file()
    }
    assert {name: words for name, words in found.items() if words} == {}
