"""Terraform gets its provider from this machine if it can, and leaves nothing in the tree."""

from pathlib import Path

import pytest

from sandbox import terraform as module
from sandbox.terraform import Terraform, TerraformError, find_mirror, main

CONFIGURATION = """
variable "word" { type = string }
resource "terraform_data" "kept" { input = var.word }
output "word" { value = terraform_data.kept.output }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "configuration"
    folder.mkdir()
    (folder / "main.tf").write_text(CONFIGURATION)
    return folder


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any mirror."""
    for name in ("TF_PLUGIN_DIR", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path / "share"))
    monkeypatch.setattr(module, "ADD_ON_SOFTWARE", tmp_path / "add-on")
    return tmp_path


def mirror(folder: Path) -> Path:
    (folder / "registry.terraform.io/hashicorp/aws/5.100.0/linux_amd64").mkdir(parents=True)
    return folder


class TestMirror:
    def test_the_folder_named_in_the_environment_comes_first(
        self, machine: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        mirror(machine / "home/.terraform.d/plugins")
        monkeypatch.setenv("TF_PLUGIN_DIR", str(mirror(machine / "chosen")))
        assert find_mirror() == machine / "chosen"

    @pytest.mark.parametrize(
        "place",
        [
            "home/.terraform.d/plugins",
            "home/.local/share/terraform/plugins",
            "share/terraform/plugins",
            "add-on/vendor/mirror",
        ],
    )
    def test_mirrors_are_found_where_terraform_or_add_on_software_has_them(
        self, machine: Path, place: str
    ) -> None:
        assert find_mirror() is None
        assert mirror(machine / place) == find_mirror()

    def test_the_search_ends_a_few_levels_down(self, machine: Path) -> None:
        mirror(machine / "add-on/a/b/c/d/e/f/g")
        assert find_mirror() is None


class TestRunning:
    def test_two_runs_of_one_folder_do_not_meet_and_leave_nothing_in_it(
        self, folder: Path, tmp_path: Path
    ) -> None:
        runs = [Terraform(folder, tmp_path / name) for name in ("first", "second")]
        for run, word in zip(runs, ("one", "two"), strict=True):
            run.init()
            run.apply({"word": word})
        assert [run.outputs()["word"] for run in runs] == ["one", "two"]
        assert [runs[0].plan({"word": word}).status for word in ("one", "two")] == [0, 2]
        assert [path.name for path in folder.iterdir()] == ["main.tf"]

    def test_a_failure_says_what_terraform_said(self, folder: Path, tmp_path: Path) -> None:
        (folder / "main.tf").write_text('output "x" { value = var.unknown }')
        terraform = Terraform(folder, tmp_path / "work")
        terraform.init()
        with pytest.raises(TerraformError, match=r"(?s)terraform apply failed.*undeclared"):
            terraform.apply({})


class TestVerbs:
    def test_untidy_files_fail_the_format_check(self, folder: Path) -> None:
        (folder / "main.tf").write_text(CONFIGURATION.lstrip().replace("output", "output "))
        assert main(["fmt-check", str(folder)]) == 1
        (folder / "main.tf").write_text(CONFIGURATION.lstrip())
        assert main(["fmt-check", str(folder)]) == 0

    def test_validation_reaches_the_examples(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["validate", str(folder)]) == 0
        example = folder / "examples" / "broken"
        example.mkdir(parents=True)
        (example / "main.tf").write_text("nonsense {}")
        assert main(["validate", str(folder)]) == 1
        assert "nonsense" in capsys.readouterr().err

    def test_what_is_deprecated_fails_validation(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        quoted = 'input = var.word\n lifecycle {\n  ignore_changes = ["input"]\n }\n'
        body = CONFIGURATION.replace("{ input = var.word }", f"{{\n {quoted}}}")
        (folder / "main.tf").write_text(body)
        assert main(["validate", str(folder)]) == 1
        assert "deprecated" in capsys.readouterr().err

    def test_failing_tests_fail(self, folder: Path) -> None:
        (folder / "tests").mkdir()
        (folder / "tests" / "word.tftest.hcl").write_text(
            'variables { word = "a" }\n'
            'run "word" {\n assert {\n  condition = output.word == "b"\n'
            '  error_message = "not b"\n }\n}\n'
        )
        assert main(["test", str(folder)]) == 1
