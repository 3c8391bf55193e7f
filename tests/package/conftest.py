import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


@dataclass
class Package:
    """A zip as `make package` made it."""

    path: Path

    @cached_property
    def files(self) -> dict[str, bytes]:
        with zipfile.ZipFile(self.path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}


def build(folder: Path, *options: str) -> Package:
    command = [sys.executable, "tools/package.py", "--folder", str(folder), *options]
    built = subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True)
    path = Path(built.stdout.split()[0])
    assert path.parent == folder
    return Package(path)


@pytest.fixture(scope="session")
def arm64_package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return build(tmp_path_factory.mktemp("arm64"))


@pytest.fixture(scope="session")
def local_package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return build(tmp_path_factory.mktemp("local"), "--local")


@pytest.fixture(scope="session", params=["arm64", "local"])
def package(request: pytest.FixtureRequest) -> Package:
    found = request.getfixturevalue(f"{request.param}_package")
    assert isinstance(found, Package)
    return found


@dataclass(frozen=True)
class Lambda:
    """A Python that sees the unzipped package and its own standard library, nothing else."""

    folder: Path

    def run(self, program: str) -> str:
        program = f"import sys; sys.path.insert(0, {str(self.folder)!r})\n{program}"
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", program],
            # As in Lambda, the region comes from the environment; nothing else does.
            env={"AWS_DEFAULT_REGION": "eu-west-1", "POWERTOOLS_SERVICE_NAME": "test"},
            cwd=self.folder.parent,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="session")
def isolated(local_package: Package, tmp_path_factory: pytest.TempPathFactory) -> Lambda:
    folder = tmp_path_factory.mktemp("task") / "package"
    shutil.unpack_archive(local_package.path, folder)
    return Lambda(folder)
