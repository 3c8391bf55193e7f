"""Make a release: a tag whose commit carries the zips, and the same module as an archive.

    python tools/release.py 1.2.3
    python tools/release.py --check 1.2.3   # the same zips once more, from the tag

The main branch stays without binaries: only the tag `v1.2.3` has `terraform/package/` (a zip for
each architecture, and `SHA256SUMS`) and the version in `terraform/VERSION`. So both
`git::https://.../fluentd-lifecycle.git//terraform?ref=v1.2.3` and the address of the archive work
with nothing to build.
Nothing is pushed, and neither the working tree nor the index is touched. `--check` is for another
machine than the releaser's: with the tag checked out it builds the zips and compares.
"""

import argparse
import hashlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools import package

PROJECT = Path(__file__).resolve().parent.parent
PYTHON_VERSION = "3.13"  # the default of lambda.runtime
_VERSION = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?")
_MODULE = "terraform"
_RUNBOOKS = f"{_MODULE}/package/RUNBOOKS"
# git@HOST:OWNER/NAME.git, ssh://git@HOST/OWNER/NAME, https://HOST/OWNER/NAME.git
_REMOTE = re.compile(
    r"(?:(?:https|ssh)://(?:[^@/]+@)?|[^@/]+@)([^:/]+)(?::\d+)?[:/](.+?)(?:\.git)?/?"
)


class CannotReleaseError(Exception):
    """What has to be done first, in words for the releaser."""


@dataclass(frozen=True)
class Repository:
    """A git repository, without its working tree."""

    root: Path

    def run(self, *arguments: str, index: Path | None = None, given: bytes = b"") -> str:
        """Run git; raises CannotReleaseError with what it says."""
        done = subprocess.run(
            ["git", "-C", str(self.root), *arguments],
            check=False,
            capture_output=True,
            input=given,
            env=os.environ | ({"GIT_INDEX_FILE": str(index)} if index else {}),
        )
        if done.returncode:
            raise CannotReleaseError(f"git {arguments[0]}: {done.stderr.decode().strip()}")
        return done.stdout.decode().strip()

    def commit(self, files: Mapping[str, bytes], message: str) -> str:
        """Commit files on top of HEAD, in no branch; return the commit."""
        with tempfile.TemporaryDirectory() as work:
            index = Path(work) / "index"
            self.run("read-tree", "HEAD", index=index)
            for path, content in files.items():
                blob = self.run("hash-object", "-w", "--stdin", given=content)
                added = f"100644,{blob},{path}"
                self.run("update-index", "--add", "--cacheinfo", added, index=index)
            tree = self.run("write-tree", index=index)
        return self.run("commit-tree", tree, "-p", "HEAD", "-m", message)

    def require_committed(self) -> None:
        """Raise CannotReleaseError if a zip could hold what no commit does, hidden or not."""
        changed = self.run("status", "--porcelain", "--untracked-files=all")
        shipped = [one for one in (*package.OUR_PACKAGES, "requirements.txt") if self._has(one)]
        found = self.run("ls-files", "--others", "--", *shipped) if shipped else ""
        hidden = [one for one in found.splitlines() if one.endswith(".py")]
        if changed or hidden:
            shown = "; ".join([*changed.splitlines(), *hidden])
            raise CannotReleaseError(f"Commit or remove what `git status` shows first: {shown}")

    def _has(self, name: str) -> bool:
        return (self.root / name).exists()


def release(
    repository: Repository, version: str, zips: Sequence[Path], folder: Path, runbooks: str = ""
) -> Path:
    """Tag a commit that carries the zips, and write the archive; return its path.

    ``runbooks`` is where the release's docs/runbooks can be read, by default on the host of the
    remote ``origin``. Raises CannotReleaseError if the version is none, is there already, is not in
    the changelog, or something is not committed, or that host is not known.
    """
    tag = f"v{version}"
    if not _VERSION.fullmatch(version):
        raise CannotReleaseError(f"VERSION={version}: it must look like 1.2.3 or 1.2.3-rc.1.")
    if repository.run("tag", "--list", tag):
        raise CannotReleaseError(f"The tag {tag} exists; a version is released once.")
    repository.require_committed()
    section = rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$"
    if not re.search(section, repository.run("show", "HEAD:CHANGELOG.md"), re.MULTILINE):
        raise CannotReleaseError(
            f"CHANGELOG.md has no section `## [{version}] - YYYY-MM-DD`; write it first."
        )
    files = {
        **_files(version, zips),
        _RUNBOOKS: f"{runbooks or _runbooks_on_host(repository, tag)}\n".encode(),
    }
    commit = repository.commit(files, f"Release {version}, with its zips")
    archive = _archived(repository, version, commit, folder)
    # Last: a version is released once.
    repository.run("tag", "--annotate", tag, "-m", f"Version {version}", commit)
    return archive


def check(repository: Repository, version: str, zips: Sequence[Path], folder: Path) -> Path:
    """Write the archive of a tag that carries these very zips; return its path.

    Raises CannotReleaseError if the tag is not checked out, or carries anything else.
    """
    tag = f"v{version}"
    tagged = repository.run("rev-parse", "--verify", f"refs/tags/{tag}^{{commit}}")
    if tagged != repository.run("rev-parse", "HEAD"):
        raise CannotReleaseError(f"Check {tag} out first; this is another commit.")
    repository.require_committed()
    files = _files(version, zips)
    changed = {*repository.run("diff", "--name-only", "HEAD^", "HEAD").splitlines()}
    others = changed - {*files, _RUNBOOKS}
    if others:
        raise CannotReleaseError(f"{tag} changes more than its zips: {', '.join(sorted(others))}")
    for path, content in files.items():
        built = repository.run("hash-object", "--stdin", given=content)
        if built != repository.run("rev-parse", f"{tag}:{path}"):
            raise CannotReleaseError(
                f"{path} of {tag} is not what this checkout builds. Another zlib may write other"
                " bytes; compare what is inside before you trust the tag."
            )
    return _archived(repository, version, tagged, folder)


def _archived(repository: Repository, version: str, commit: str, folder: Path) -> Path:
    """Write the module of a commit as an archive, and its checksum beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / f"fluentd-lifecycle-{version}.zip"
    repository.run("archive", "--format=zip", f"--output={archive}", commit, _MODULE, "LICENSE")
    (folder / "SHA256SUMS").write_text(_sums({archive.name: archive.read_bytes()}))
    return archive


def _runbooks_on_host(repository: Repository, tag: str) -> str:
    """Return where a tag's runbooks are shown: by GitHub and its like, or by GitLab."""
    remotes = repository.run("remote").splitlines()
    url = repository.run("remote", "get-url", "origin") if "origin" in remotes else ""
    remote = _REMOTE.fullmatch(url)
    if remote is None:
        raise CannotReleaseError(
            f"The remote origin ({url or 'there is none'}) does not tell where the runbooks can be"
            " read, and every alarm names its runbook: give RUNBOOKS=https://.../docs/runbooks."
        )
    host, path = remote.groups()
    return f"https://{host}/{path}/{'-/' if 'gitlab' in host else ''}blob/{tag}/docs/runbooks"


def _files(version: str, zips: Sequence[Path]) -> dict[str, bytes]:
    contents = {path.name: path.read_bytes() for path in zips}
    return {
        f"{_MODULE}/VERSION": f"{version}\n".encode(),
        **{f"{_MODULE}/package/{name}": content for name, content in contents.items()},
        f"{_MODULE}/package/SHA256SUMS": _sums(contents).encode(),
    }


def _sums(contents: Mapping[str, bytes]) -> str:
    """Say what `sha256sum --check` reads."""
    hashed = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(hashed.items()))


def build(folder: Path) -> list[Path]:
    """Build the zip of each architecture."""
    targets = [package.Target.of(one, PYTHON_VERSION) for one in sorted(package.PLATFORMS)]
    paths = [folder / f"{target.name}.zip" for target in targets]
    for target, path in zip(targets, paths, strict=True):
        package.build(target, path)
    return paths


def main(arguments: list[str]) -> int:
    """Make the release, and say what is left to do."""
    parser = argparse.ArgumentParser(description="Tag a release that carries its zips.")
    parser.add_argument("version")
    parser.add_argument("--check", action="store_true", help="build what the tag has once more")
    parser.add_argument("--runbooks", default="", help="where docs/runbooks of it can be read")
    options = parser.parse_args(arguments)
    version = options.version
    try:
        repository = Repository(PROJECT)
        repository.require_committed()
        zips = build(PROJECT / "build" / "package")
        folder = PROJECT / "build" / "release"
        archive = (
            check(repository, version, zips, folder)
            if options.check
            else release(repository, version, zips, folder, options.runbooks)
        )
    except CannotReleaseError as error:
        print(error, file=sys.stderr)
        return 1
    checksum = hashlib.sha256(archive.read_bytes()).hexdigest()
    push = f"push it with `git push origin v{version}`"
    print(f"tag v{version}: {'it has these very zips' if options.check else push}")
    print(f"{archive.relative_to(PROJECT)}  {package.describe(archive)}")
    print(f'  source = "https://HOST/{archive.name}//terraform?checksum=sha256:{checksum}"')
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
