"""A release is a tag that carries its zips; everything else of the repository stays as it is."""

import hashlib
import subprocess
import zipfile
from pathlib import Path

import pytest

from tools.release import CannotReleaseError, Repository, check, release

CHANGELOG = """\
# Changelog

## [Unreleased]

## [0.3.0]

## [0.2.0] - 2027-01-02

## [0.1.0] - 2026-12-31
"""
NAMES = ["fluentd-lifecycle-arm64-python3.13.zip", "fluentd-lifecycle-x86_64-python3.13.zip"]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    root = tmp_path / "repository"
    (root / "terraform").mkdir(parents=True)
    (root / "terraform" / "VERSION").write_text("0.1.0-dev\n")
    (root / "terraform" / "main.tf").write_text("locals {}\n")
    (root / "LICENSE").write_text("free\n")
    (root / "CHANGELOG.md").write_text(CHANGELOG)
    for command in (
        ["init", "--quiet", "--initial-branch=main"],
        ["remote", "add", "origin", "git@github.com:example/fluentd-lifecycle.git"],
        ["config", "user.name", "A"],
        ["config", "user.email", "a@example.com"],
        ["add", "."],
        ["commit", "--quiet", "-m", "Begin"],
    ):
        subprocess.run(["git", "-C", str(root), *command], check=True)
    return Repository(root)


@pytest.fixture
def zips(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / name for name in NAMES]
    for path in paths:
        path.write_bytes(path.name.encode() * 100)
    return paths


def test_only_the_tag_carries_the_zips_their_checksums_and_the_version(
    repository: Repository, zips: list[Path], tmp_path: Path
) -> None:
    before = repository.run("rev-parse", "HEAD")
    release(repository, "0.1.0", zips, tmp_path / "release")
    assert repository.run("rev-parse", "HEAD") == before
    assert repository.run("status", "--porcelain") == ""
    assert repository.run("show", "HEAD:terraform/VERSION") == "0.1.0-dev"
    assert repository.run("show", "v0.1.0:terraform/VERSION") == "0.1.0"
    sums = repository.run("show", "v0.1.0:terraform/package/SHA256SUMS").splitlines()
    assert sums == [f"{hashlib.sha256(one.read_bytes()).hexdigest()}  {one.name}" for one in zips]
    carried = repository.run("ls-tree", "--name-only", "v0.1.0:terraform/package").splitlines()
    assert carried == ["RUNBOOKS", "SHA256SUMS", *NAMES]
    assert repository.run("rev-parse", "v0.1.0^{commit}^") == before


@pytest.mark.parametrize(
    ("origin", "shown"),
    [
        ("git@github.com:a/fluentd.git", "https://github.com/a/fluentd/blob/v0.1.0"),
        ("https://github.com/a/fluentd", "https://github.com/a/fluentd/blob/v0.1.0"),
        ("https://token@git.a.com/b/c/d.git", "https://git.a.com/b/c/d/blob/v0.1.0"),
        ("ssh://git@gitlab.a.com:2222/b/c.git", "https://gitlab.a.com/b/c/-/blob/v0.1.0"),
    ],
)
def test_a_release_says_where_its_own_runbooks_can_be_read(
    repository: Repository, zips: list[Path], tmp_path: Path, origin: str, shown: str
) -> None:
    repository.run("remote", "set-url", "origin", origin)
    release(repository, "0.1.0", zips, tmp_path / "release")
    said = repository.run("show", "v0.1.0:terraform/package/RUNBOOKS")
    assert said == f"{shown}/docs/runbooks"


def test_a_release_whose_runbooks_would_be_nowhere_is_refused_unless_it_is_told(
    repository: Repository, zips: list[Path], tmp_path: Path
) -> None:
    for change in (["set-url", "origin", "/srv/git/fluentd.git"], ["remove", "origin"]):
        repository.run("remote", *change)
        with pytest.raises(CannotReleaseError, match=r"give RUNBOOKS=https://"):
            release(repository, "0.1.0", zips, tmp_path / "release")
    wiki = "https://wiki.internal/runbooks"
    release(repository, "0.1.0", zips, tmp_path / "release", wiki)
    assert repository.run("show", "v0.1.0:terraform/package/RUNBOOKS") == wiki


def test_the_archive_holds_the_same_module(
    repository: Repository, zips: list[Path], tmp_path: Path
) -> None:
    archive = release(repository, "0.1.0", zips, tmp_path / "release")
    assert archive.name == "fluentd-lifecycle-0.1.0.zip"
    with zipfile.ZipFile(archive) as opened:
        files = [name for name in opened.namelist() if not name.endswith("/")]
        assert sorted(files) == [
            "LICENSE",
            "terraform/VERSION",
            "terraform/main.tf",
            "terraform/package/RUNBOOKS",
            "terraform/package/SHA256SUMS",
            *(f"terraform/package/{name}" for name in NAMES),
        ]
        assert opened.read(f"terraform/package/{NAMES[0]}") == zips[0].read_bytes()


def test_a_version_is_released_once_and_the_next_one_beside_it(
    repository: Repository, zips: list[Path], tmp_path: Path
) -> None:
    release(repository, "0.1.0", zips, tmp_path / "release")
    with pytest.raises(CannotReleaseError, match=r"The tag v0\.1\.0 exists"):
        release(repository, "0.1.0", zips, tmp_path / "release")
    release(repository, "0.2.0", zips, tmp_path / "release")
    assert repository.run("tag", "--list").splitlines() == ["v0.1.0", "v0.2.0"]


@pytest.mark.parametrize("version", ["", "1.2", "v1.2.3", "1.2.3 ", "1.2.3-", "latest"])
def test_what_is_no_version_is_refused(
    repository: Repository, zips: list[Path], tmp_path: Path, version: str
) -> None:
    with pytest.raises(CannotReleaseError, match="must look like"):
        release(repository, version, zips, tmp_path / "release")
    assert repository.run("tag", "--list") == ""


@pytest.mark.parametrize("version", ["0.3.0", "0.4.0"])
def test_what_the_changelog_does_not_tell_with_its_date_is_not_released(
    repository: Repository, zips: list[Path], tmp_path: Path, version: str
) -> None:
    with pytest.raises(CannotReleaseError, match=rf"no section `## \[{version}\] - YYYY"):
        release(repository, version, zips, tmp_path / "release")


def test_what_is_not_committed_is_not_released(
    repository: Repository, zips: list[Path], tmp_path: Path
) -> None:
    (repository.root / "terraform" / "main.tf").write_text("locals { a = 1 }\n")
    with pytest.raises(CannotReleaseError, match="git status"):
        release(repository, "0.1.0", zips, tmp_path / "release")


def test_code_that_git_does_not_show_is_not_released(
    repository: Repository, zips: list[Path], tmp_path: Path
) -> None:
    (repository.root / "lifecycle").mkdir()
    (repository.root / "lifecycle" / "secret.py").write_text("")
    (repository.root / ".git" / "info" / "exclude").write_text("secret.py\n")
    assert repository.run("status", "--porcelain") == ""
    with pytest.raises(CannotReleaseError, match=r"lifecycle/secret\.py"):
        release(repository, "0.1.0", zips, tmp_path / "release")


def test_an_archive_that_cannot_be_written_leaves_no_tag(
    repository: Repository, zips: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "release").write_text("no folder")
    with pytest.raises(FileExistsError):
        release(repository, "0.1.0", zips, tmp_path / "release")
    assert repository.run("tag", "--list") == ""


def test_a_tag_with_the_zips_that_its_checkout_builds_passes_the_check(
    repository: Repository, zips: list[Path], tmp_path: Path
) -> None:
    released = release(repository, "0.1.0", zips, tmp_path / "release").read_bytes()
    repository.run("checkout", "--quiet", "v0.1.0")
    archive = check(repository, "0.1.0", zips, tmp_path / "checked")
    assert archive.read_bytes() == released
    sums = (tmp_path / "checked" / "SHA256SUMS").read_text()
    assert sums == f"{hashlib.sha256(released).hexdigest()}  fluentd-lifecycle-0.1.0.zip\n"


@pytest.mark.parametrize("changed", [0, 1])
def test_a_tag_with_another_zip_fails_the_check_and_has_no_archive(
    repository: Repository, zips: list[Path], tmp_path: Path, changed: int
) -> None:
    release(repository, "0.1.0", zips, tmp_path / "release")
    repository.run("checkout", "--quiet", "v0.1.0")
    zips[changed].write_bytes(b"built from the source")
    with pytest.raises(CannotReleaseError, match=rf"package/{NAMES[changed]} of v0\.1\.0 is not"):
        check(repository, "0.1.0", zips, tmp_path / "checked")
    assert not (tmp_path / "checked").exists()


def test_the_check_builds_from_the_tag_and_from_nothing_else(
    repository: Repository, zips: list[Path], tmp_path: Path
) -> None:
    release(repository, "0.1.0", zips, tmp_path / "release")
    with pytest.raises(CannotReleaseError, match=r"Check v0\.1\.0 out first"):
        check(repository, "0.1.0", zips, tmp_path / "checked")
    with pytest.raises(CannotReleaseError, match="git rev-parse"):
        check(repository, "0.2.0", zips, tmp_path / "checked")


@pytest.mark.parametrize("path", ["terraform/package/more.zip", "terraform/main.tf"])
def test_a_tag_that_changes_more_than_its_zips_fails_the_check(
    repository: Repository, zips: list[Path], tmp_path: Path, path: str
) -> None:
    release(repository, "0.1.0", zips, tmp_path / "release")
    repository.run("checkout", "--quiet", "v0.1.0")
    (repository.root / path).write_text("unreviewed")
    repository.run("add", path)
    repository.run("commit", "--quiet", "--amend", "--no-edit")
    repository.run("tag", "--force", "v0.1.0")
    with pytest.raises(CannotReleaseError, match=f"changes more than its zips: {path}"):
        check(repository, "0.1.0", zips, tmp_path / "checked")
