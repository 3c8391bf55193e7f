"""The summary of `make test` tells the truth."""

from pathlib import Path

import pytest

from tools import run_checks

MAKEFILE = """
.PHONY: good fine bad idle twice slow
good: ; @echo "3 passed in 0.12s"
fine: ; @echo "5 passed in 0.12s"
bad: ; @echo "assert 1 == 2"; echo "1 failed, 4 passed in 1.20s"; exit 1
idle: ; @echo "2 passed, 1 skipped in 0.30s"
slow: ; @sleep 2; echo "1 passed in 2.00s"
twice: ; @echo "2 passed, 1 skipped in 0.30s"; echo "4 passed in 0.40s"
"""


@pytest.fixture(autouse=True)
def _makefile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Makefile").write_text(MAKEFILE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MAKEFLAGS", raising=False)


def test_all_checks_passing_is_success(capsys: pytest.CaptureFixture[str]) -> None:
    status = run_checks.main(["good"])
    assert status == 0
    assert capsys.readouterr().out.splitlines()[-1] == "3 passed, 0 failed"


def test_a_failure_shows_its_output_and_the_others_run_all_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status = run_checks.main(["bad", "good"])
    printed = capsys.readouterr().out
    assert status == 1
    assert "assert 1 == 2" in printed
    assert "bad: failed" in printed
    assert printed.splitlines()[-1] == "7 passed, 1 failed"


def test_a_check_beside_the_others_counts_like_them(capsys: pytest.CaptureFixture[str]) -> None:
    status = run_checks.main(["--beside", "bad", "good"])
    printed = capsys.readouterr().out
    assert status == 1
    assert "1 of 2 checks passed" in printed
    assert printed.splitlines()[-1] == "7 passed, 1 failed"


def test_a_skipped_test_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    status = run_checks.main(["idle"])
    assert status == 1
    assert "idle: 1 skipped" in capsys.readouterr().out


def test_every_run_of_a_check_counts(capsys: pytest.CaptureFixture[str]) -> None:
    status = run_checks.main(["twice"])
    printed = capsys.readouterr().out
    assert status == 1
    assert "twice: 1 skipped" in printed
    assert printed.splitlines()[-1] == "6 passed, 0 failed, 1 skipped"


def test_what_a_check_reports_is_shown_though_it_passed(capsys: pytest.CaptureFixture[str]) -> None:
    lines = ("noise", "==== report: histories ====", "7 histories", "", "8 passed in 0.30s")
    echoes = "; ".join(f"echo '{line}'" for line in lines)
    Path("Makefile").write_text(f"told: ; @{echoes}\n")
    status = run_checks.main(["told"])
    printed = capsys.readouterr().out
    assert status == 0
    assert "    7 histories\n" in printed
    assert "noise" not in printed
    assert printed.splitlines()[-1] == "8 passed, 0 failed"


def test_a_check_that_hangs_is_ended(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("Makefile").write_text("hang: ; @sleep 60\n")
    monkeypatch.setattr(run_checks, "LIMIT_SECONDS", 0.5)
    status = run_checks.main(["hang"])
    assert status == 1
    assert "hang: ended after 0.5 s" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        ("12 passed, 1 skipped in 3.21s", {"passed": 12, "skipped": 1}),
        ("===== 1 failed, 12 passed in 63.21s (0:01:03) =====", {"failed": 1, "passed": 12}),
        ("Success! 9 passed, 0 failed.", {"passed": 9, "failed": 0}),
        ("Found 5 errors in 4 files (checked 68 source files)", {}),
    ],
)
def test_only_closing_lines_of_tests_are_counted(
    tmp_path: Path, line: str, counts: dict[str, int]
) -> None:
    log = tmp_path / "log"
    log.write_text(f"some output\n{line}\nmake: something\n")
    assert run_checks.counts(log) == counts
