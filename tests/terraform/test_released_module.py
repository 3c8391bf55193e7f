"""A released module finds its own zips, and refuses any other with one message."""

import hashlib
import shutil
from pathlib import Path

import pytest

from sandbox.terraform import MODULE, Terraform, TerraformError

_ZIP = "fluentd-lifecycle-arm64-python3.13.zip"
_OTHER_ZIP = "fluentd-lifecycle-x86_64-python3.13.zip"
_CALL = """\
mock_provider "aws" {
  source = "./tests/mocks"
}
variables {
  name                   = "fluentd"
  autoscaling_group_name = "aggregators"
  flush                  = { buffer_paths = ["/var/log/fluent"] }
  alarms                 = { actions = ["arn:aws:sns:eu-west-1:123456789012:on-call"] }
}
"""


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> tuple[Terraform, Path]:
    """The module as its tag has it, and where the runs of its tests are read from."""
    folder = tmp_path_factory.mktemp("released")
    module = folder / "module"
    shutil.copytree(MODULE, module, ignore=shutil.ignore_patterns("*.tftest.hcl", "examples"))
    (module / "VERSION").write_text("1.2.3\n")
    (module / "package").mkdir()
    sums = ""
    for name in (_ZIP, _OTHER_ZIP):
        content = f"{name} of 1.2.3".encode()
        (module / "package" / name).write_bytes(content)
        sums += f"{hashlib.sha256(content).hexdigest()}  {name}\n"
    (module / "package" / "SHA256SUMS").write_text(sums)
    (module / "package" / "RUNBOOKS").write_text("https://git.a.com/b/blob/v1.2.3/docs/runbooks\n")
    (module / "other.zip").write_bytes(b"the zip of 1.2.2")
    shutil.copy(module / "package" / _ZIP, module / "mirrored.zip")
    terraform = Terraform(module, folder / "work")
    terraform.init()
    return terraform, folder / "work" / "tree" / module.name / "tests"


def _run(released: tuple[Terraform, Path], given: str, assertion: str = "") -> str:
    """Plan the module with these inputs of `lambda`; return what Terraform wrote."""
    terraform, tests = released
    inputs = f"  variables {{\n    lambda = {given}\n  }}\n"
    run = f'run "it" {{\n  command = plan\n{inputs}{assertion}}}\n'
    (tests / "released.tftest.hcl").write_text(_CALL + run)
    return terraform.run("test", "-no-color", "-filter=tests/released.tftest.hcl").output


def _assert(condition: str) -> str:
    return f'  assert {{\n    condition = {condition}\n    error_message = "no"\n  }}\n'


@pytest.mark.parametrize("given", ["{}", '{ package = { local_path = "mirrored.zip" } }'])
def test_its_own_zip_is_taken_from_the_tag_or_from_a_mirror(
    released: tuple[Terraform, Path], given: str
) -> None:
    same = "alltrue([for one in aws_lambda_function.this : one.source_code_hash == "
    condition = f'{same}filebase64sha256("package/{_ZIP}")])'
    tag = 'one.tags.fluentd-lifecycle-version == "1.2.3"'
    version = f"alltrue([for one in aws_lambda_function.this : {tag}])"
    runbook = "https://git.a.com/b/blob/v1.2.3/docs/runbooks/function-errors.md"
    description = "aws_cloudwatch_metric_alarm.function_errors.alarm_description"
    links = f'endswith({description}, "Runbook: {runbook}")'
    assertion = _assert(condition) + _assert(version) + _assert(links)
    assert "1 passed, 0 failed" in _run(released, given, assertion)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ('{ package = { local_path = "other.zip" } }', "other.zip is not the one of version 1.2.3"),
        ('{ runtime = "python3.11" }', "There is no Lambda package"),
        ('{ package = { local_path = "mirrored.zip" }, architecture = "x86_64" }', "for x86_64"),
        ('{ package = { local_path = "mirrored.zip" }, runtime = "python3.12" }', "python3.12"),
        ('{ package = { local_path = "nowhere.zip" } }', "There is no Lambda package nowhere.zip"),
    ],
)
def test_any_other_zip_is_refused_once_with_what_to_do(
    released: tuple[Terraform, Path], given: str, said: str
) -> None:
    with pytest.raises(TerraformError) as refused:
        _run(released, given)
    words = " ".join(str(refused.value).split())
    assert words.count("Error:") == 1
    assert said in words
    assert "leave lambda.package and lambda.runtime out" in words
