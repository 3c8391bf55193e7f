"""A Fluentd that cannot be held to the list is refused, with one message that says why."""

from pathlib import Path

import pytest

from sandbox.conformance.__main__ import main
from sandbox.conformance.program import Program, UnusableError, real

SCRIPT = """#!/bin/sh
case "$*" in
  --version) echo '{version}' ;;
  --dry-run*) grep -q prometheus_output_monitor "$3" && echo '{dry_run}' ;;
esac
"""
FINISHED = "[info]: finished dry run mode"


def fluentd(
    tmp_path: Path, version: str = "fluentd 1.18.0", dry_run: str = FINISHED, mode: int = 0o755
) -> str:
    """A program that answers as a Fluentd does."""
    path = tmp_path / "fluentd"
    path.write_text(SCRIPT.format(version=version, dry_run=dry_run))
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize("version", ["fluentd 1.16.0", "fluentd 1.19.3", "fluentd 2.0.1"])
def test_any_version_from_1_16_on_is_used(tmp_path: Path, version: str) -> None:
    program = real(fluentd(tmp_path, version), tmp_path)
    assert (program.name, program.process) == (version, "ruby")
    assert program.command[0] == str(tmp_path / "fluentd")


@pytest.mark.parametrize(
    ("made", "why"),
    [
        ({"version": "fluentd 1.15.3"}, "it is fluentd 1.15.3"),
        ({"version": "fluentd 0.14.25"}, "it is fluentd 0.14.25"),
        ({"version": "td-agent: unknown"}, "--version is answered with 'td-agent: unknown'"),
        (
            {"dry_run": "Unknown input plugin 'prometheus'"},
            "does not load fluent-plugin-prometheus",
        ),
        ({"mode": 0o644}, "it is not executable"),
    ],
)
def test_what_is_no_such_fluentd_is_named_with_what_is_needed(
    tmp_path: Path, made: dict[str, str], why: str
) -> None:
    path = fluentd(tmp_path, **made)  # type: ignore[arg-type]  # a mode among texts
    with pytest.raises(UnusableError) as refusal:
        real(path, tmp_path)
    assert str(refusal.value).startswith(f"FLUENTD={path}: ")
    assert why in str(refusal.value)
    assert "Fluentd 1.16 or later with the gem fluent-plugin-prometheus" in str(refusal.value)


def test_a_file_that_no_system_can_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fluentd"
    path.write_bytes(b"\x00\x01")
    path.chmod(0o755)
    with pytest.raises(UnusableError, match="it cannot be run"):
        real(str(path), tmp_path)


def test_a_missing_fluentd_ends_the_check_with_status_2_and_nothing_played(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--fluentd", f"{tmp_path}/none", "--output", f"{tmp_path}/out"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert f"FLUENTD={tmp_path}/none: there is no such file" in told.err


def test_a_program_is_what_a_site_starts(tmp_path: Path) -> None:
    assert isinstance(real(fluentd(tmp_path), tmp_path), Program)
    assert "update_monitor_info" in (tmp_path / "freezing.rb").read_text()
