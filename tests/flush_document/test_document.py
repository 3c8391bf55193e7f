"""The document and the script fit together: the same variables, one sound shell program.

What the document holds beside the script is tested in terraform/tests/flush_document.tftest.hcl.
"""

import re
import subprocess
import sys
from pathlib import Path

from tests.flush_document.conftest import SCRIPT

DOCUMENT = SCRIPT.with_name("flush_document.tf").read_text()


def test_the_document_sets_exactly_the_variables_that_the_script_needs() -> None:
    given = re.findall(r'^ +variable += "([A-Z_]+)"$', DOCUMENT, re.MULTILINE)
    needed = re.findall(r"\$\{([A-Z_]+):?\?\}", SCRIPT.read_text())
    assert sorted(given) == sorted(set(needed))
    assert len(given) == 11


def test_the_script_is_sound_behind_what_the_document_puts_before_it(tmp_path: Path) -> None:
    # What runs has no shebang in its first line; /bin/sh it is.
    variables = re.findall(r'^ +variable += "([A-Z_]+)"$', DOCUMENT, re.MULTILINE)
    rendered = tmp_path / "rendered.sh"
    rendered.write_text("".join(f"{name}='1'\n" for name in variables) + SCRIPT.read_text())
    shellcheck = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run(
        # SC2096, SC1128: the shebang is a comment there.
        [shellcheck, "--shell=sh", "--exclude=SC1128", "--enable=all",
         "--exclude=SC2250,SC2310,SC2312,SC2244,SC2248,SC2249", rendered],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.stdout == ""
    assert done.returncode == 0


def test_the_script_holds_nothing_that_ssm_would_replace() -> None:
    script = SCRIPT.read_text()
    assert "{{" not in script
    assert "}}" not in script
