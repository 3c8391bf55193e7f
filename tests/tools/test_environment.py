"""An environment is made anew when it has to be, and only then."""

from dataclasses import replace
from pathlib import Path

import pytest

from tools.environment import STAMP, Stamp, dealt_out, is_ready, main

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.txt"
    path.write_text("requests==1\n")
    return path


@pytest.fixture
def environment(tmp_path: Path, requirements: Path) -> Path:
    folder = tmp_path / "environment"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").touch()
    stamp = Stamp.of(requirements)
    (folder / STAMP).write_text(f"{stamp.requirements}\n{stamp.python}\n")
    return folder


def test_an_environment_that_is_up_to_date_is_left_alone(
    environment: Path, requirements: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(environment), str(requirements), "--this-python"]) == 0
    assert capsys.readouterr().out == ""


def test_other_requirements_make_it_stale(environment: Path, requirements: Path) -> None:
    requirements.write_text("requests==2\n")
    assert not is_ready(environment, Stamp.of(requirements), any_python=True)


def test_another_python_makes_it_stale_only_if_one_was_asked_for(
    environment: Path, requirements: Path
) -> None:
    other = replace(Stamp.of(requirements), python="/elsewhere 3.13.0")
    assert is_ready(environment, other, any_python=True)
    assert not is_ready(environment, other, any_python=False)


def test_an_environment_whose_python_is_gone_is_stale(
    environment: Path, requirements: Path
) -> None:
    (environment / "bin" / "python").unlink()
    assert not is_ready(environment, Stamp.of(requirements), any_python=True)


def test_an_unfinished_environment_is_stale(environment: Path, requirements: Path) -> None:
    (environment / STAMP).unlink()
    assert not is_ready(environment, Stamp.of(requirements), any_python=True)


def test_every_requirement_is_installed_once_and_keeps_its_hashes() -> None:
    written = (PROJECT / "requirements-dev.txt").read_text()
    parts = dealt_out(written, 2)
    lines = [line for line in written.splitlines() if not line.startswith("#")]
    assert sorted(line for part in parts for line in part.splitlines()) == sorted(lines)
    for line in (line for part in parts for line in part.splitlines() if "==" in line):
        assert line.endswith("\\"), "a requirement has lost its hashes"


def test_a_link_to_an_environment_elsewhere_is_not_written_to(
    environment: Path, requirements: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    link = environment.with_name("link")
    link.symlink_to(environment)
    requirements.write_text("requests==2\n")
    assert main([str(link), str(requirements)]) == 1
    assert "remove the link" in capsys.readouterr().out
    assert (environment / "bin" / "python").exists()
