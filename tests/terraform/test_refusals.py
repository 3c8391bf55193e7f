"""Each wrong input of the module is refused for one reason, which names an input to change.

`expect_failures` in the module's own tests says only that some condition failed. Here the same runs
are made to fail, one file each since Terraform stops at the first, and their messages are read.
"""

import json
import re
import shutil
from pathlib import Path

from sandbox.terraform import MODULE, Terraform

_RUN = re.compile(r'^run "(\w+)" \{\n(.*?)^\}\n', re.MULTILINE | re.DOTALL)
_EXPECTED = re.compile(r"^  expect_failures = \[.*?\]\n", re.MULTILINE | re.DOTALL)
_INPUT = re.compile(r'^variable "(\w+)"', re.MULTILINE)
# These are about both hooks at once.
TWICE = {
    "hooks_must_outlast_a_longer_visibility_timeout",
    "hooks_must_outlast_a_longer_poll_interval",
    "interval_must_not_be_longer",
    "grace_counts",
}


def _split(tests: Path) -> dict[str, list[str]]:
    """Leave one file for each run that expects a refusal; by its name, the messages to come."""
    messages: dict[str, list[str]] = {}
    for path in sorted(tests.glob("*.tftest.hcl")):
        text = path.read_text()
        path.unlink()
        head = text[: text.index("\nrun ") + 1]
        for name, body in _RUN.findall(text):
            if "expect_failures" in body and "without_provider" in body:
                alone = f"{path.name.partition('.')[0]}__{name}"
                run = f'run "{name}" {{\n{_EXPECTED.sub("", body)}}}\n'
                (tests / f"{alone}.tftest.hcl").write_text(head + run)
                messages[alone] = []
    return messages


def test_each_refusal_has_one_message_that_names_an_input(tmp_path: Path) -> None:
    module = tmp_path / "module"
    shutil.copytree(MODULE, module)
    messages = _split(module / "tests")
    variables = "".join(path.read_text() for path in module.glob("variables*.tf"))
    an_input = re.compile(rf"\b({'|'.join(_INPUT.findall(variables))})\b")
    terraform = Terraform(module, tmp_path / "work")
    terraform.init()
    for line in terraform.run("test", "-json", allowed=(1,)).output.splitlines():
        event = json.loads(line)
        if event.get("type") == "diagnostic" and event["diagnostic"]["severity"] == "error":
            alone = Path(event["@testfile"]).name.partition(".")[0]
            messages[alone].append(event["diagnostic"]["detail"])
    assert len(messages) > 140
    for alone, told in messages.items():
        expected = 2 if alone.partition("__")[2] in TWICE else 1
        assert len(told) == expected, (alone, told)
        assert all(an_input.search(message) for message in told), (alone, told)
