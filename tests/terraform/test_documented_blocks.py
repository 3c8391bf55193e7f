"""What the documents show works as it stands: HCL is planned, YAML passes promtool."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from sandbox.terraform import MODULE, Terraform
from tests.unit.test_documents import DOCUMENTS, ROOT, blocks

_ARGUMENT = re.compile(r"^  (\w+) += .*\n", re.MULTILINE)
_LEFT_OUT = "  # ...\n"
# What a reader has in the place of `# ...`.
_GROUP = """\
  min_size            = 1
  max_size            = 4
  vpc_zone_identifier = ["subnet-0123456789abcdef0"]
  launch_template {
    id = "lt-0123456789abcdef0"
  }
"""
# `instance_lifecycle_policy` came with provider 6: those tested here do not know it.
_NEWER_PROVIDER = "instance_lifecycle_policy"


def _shown(language: str) -> list[tuple[str, str]]:
    """Every block of a language: where it stands, and its text."""
    return [
        (f"{path.relative_to(ROOT)}#{number}", text)
        for path in DOCUMENTS
        for number, text in enumerate(blocks(path.read_text(), language))
    ]


def _completed(block: str, quickstart: str) -> str:
    """A configuration that can be planned: the block, and what it leaves to the reader."""
    if "module." in block and 'module "' not in block:
        block += quickstart.replace('= "fluentd-aggregators"', '= "another-group"')
    given = _ARGUMENT.findall(block[block.find('module "') :])
    rest = [m[0] for m in _ARGUMENT.finditer(quickstart) if m[1] not in given]
    parts = re.split(r"(?=^module )", block, flags=re.MULTILINE)
    return "".join(
        part.replace(_LEFT_OUT, "".join(rest) if part.startswith("module ") else _GROUP)
        for part in parts
    )


def test_every_block_of_hcl_can_be_planned(tmp_path: Path) -> None:
    module = tmp_path / "module"
    shutil.copytree(MODULE, module, ignore=shutil.ignore_patterns("*.tftest.hcl", "examples"))
    (quickstart,) = blocks((ROOT / "README.md").read_text(), "hcl")
    runs = ['mock_provider "aws" {\n  source = "./tests/mocks"\n}\n']
    planned = {where: block for where, block in _shown("hcl") if _NEWER_PROVIDER not in block}
    for number, block in enumerate(planned.values()):
        example = module / "examples" / f"block-{number}"
        example.mkdir(parents=True)
        (example / "main.tf").write_text(_completed(block, quickstart))
        shutil.copy(MODULE / "versions.tf", example)
        source = f'  module {{\n    source = "./examples/block-{number}"\n  }}\n'
        runs.append(f'run "block_{number}" {{\n  command = plan\n{source}}}\n')
    (module / "tests" / "blocks.tftest.hcl").write_text("\n".join(runs))
    terraform = Terraform(module, tmp_path / "work")
    package = tmp_path / "work" / "tree" / "build" / "package"
    package.mkdir(parents=True)
    (package / "fluentd-lifecycle-arm64-python3.13.zip").touch()
    terraform.init()
    output = terraform.run("test", "-no-color").output
    assert f"{len(planned)} passed, 0 failed" in output
    assert len(planned) >= 3


@pytest.mark.parametrize(("where", "block"), _shown("yaml"))
def test_every_scrape_configuration_passes_promtool(where: str, block: str, tmp_path: Path) -> None:
    configuration = tmp_path / "prometheus.yml"
    configuration.write_text(f"scrape_configs:\n{block}")
    check = ["promtool", "check", "config", str(configuration)]
    done = subprocess.run(check, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{where}: {done.stderr}"
