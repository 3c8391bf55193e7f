"""Build the zip that AWS Lambda runs: our code and every dependency, the same bytes every time.

    python tools/package.py --architecture arm64 --python-version 3.13
    python tools/package.py --local        # this machine's architecture and this Python

Dependencies come as wheels for the chosen target, pinned and hashed in requirements.txt, so the
machine that builds does not matter. What varies between two builds stays out (compiled caches,
pip's own records) or is fixed (order, timestamps, permissions). Only zlib is this machine's:
another zlib may compress the same content to other bytes.
"""

import argparse
import hashlib
import platform
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
REQUIREMENTS = PROJECT / "requirements.txt"
OUR_PACKAGES = ("handlers", "lifecycle", "waiters")

# The services whose API descriptions ship with botocore; a client for any other cannot be built.
# Add a service here when lifecycle/adapters/clients.py builds a client for it.
SERVICES = (
    "autoscaling",
    "ec2",
    "lambda",
    "secretsmanager",
    "servicediscovery",
    "sqs",
    "ssm",
    "sts",
)

# Lambda's machine for Python 3.11 has the older glibc: wheels made for it run on the newer, too.
PLATFORMS = {
    "arm64": ("manylinux2014_aarch64", "manylinux_2_17_aarch64"),
    "x86_64": ("manylinux2014_x86_64", "manylinux_2_17_x86_64"),
}
ARCHITECTURES = {"aarch64": "arm64", "amd64": "x86_64"}

# Nothing below is read at run time.
UNWANTED_FOLDERS = {"__pycache__", "bin", "test", "tests", "dateparser_cli", "dateparser_scripts"}
UNWANTED_FILES = {"py.typed", "test_cases.py"}
UNWANTED_SUFFIXES = {".pyc", ".pyi", ".pyx", ".pxd", ".c", ".h"}
# Who installed what, when and from where: pip's records, other ones on every machine. METADATA
# (read by importlib.metadata) and licences stay.
PIP_RECORDS = {"INSTALLER", "RECORD", "REQUESTED", "WHEEL", "direct_url.json"}
PIP_RECORDS |= {"entry_points.txt", "top_level.txt", "zip-safe"}

TIMESTAMP = (1980, 1, 1, 0, 0, 0)  # the oldest that a zip can hold
PERMISSIONS = 0o100644 << 16
UNIX = 3  # what zip calls the system that the permissions are meant for


@dataclass(frozen=True)
class Target:
    """What the zip runs on; no platforms means whatever pip takes this machine to be."""

    architecture: str
    python_version: str
    platforms: tuple[str, ...]

    @classmethod
    def of(cls, architecture: str, python_version: str) -> "Target":
        """Name one of AWS Lambda's machines."""
        return cls(architecture, python_version, PLATFORMS[architecture])

    @classmethod
    def local(cls) -> "Target":
        """Name this machine and this Python, on which the sandbox runs the zip."""
        machine = platform.machine().lower()
        architecture = ARCHITECTURES.get(machine, machine)
        python_version = f"{sys.version_info.major}.{sys.version_info.minor}"
        if platform.system() == "Linux" and architecture in PLATFORMS:
            return cls.of(architecture, python_version)
        return cls(f"{platform.system().lower()}-{machine}", python_version, ())

    @property
    def name(self) -> str:
        """The file's name without its suffix."""
        return f"fluentd-lifecycle-{self.architecture}-python{self.python_version}"

    @property
    def pip_options(self) -> list[str]:
        """What makes pip choose wheels for the target rather than for itself."""
        if not self.platforms:
            return []
        options = ["--implementation", "cp", "--python-version", self.python_version]
        return options + [f"--platform={name}" for name in self.platforms]


def main(arguments: list[str]) -> int:
    """Build the zip, or only say where it would be."""
    options = parse(arguments)
    target = (
        Target.local() if options.local else Target.of(options.architecture, options.python_version)
    )
    path = options.folder / f"{target.name}.zip"
    if not options.print_path:
        build(target, path)
    shown = path.relative_to(PROJECT) if path.is_relative_to(PROJECT) else path
    print(shown if options.print_path else f"{shown}  {describe(path)}")
    return 0


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Build the zip that AWS Lambda runs.")
    parser.add_argument("--architecture", choices=sorted(PLATFORMS), default="arm64")
    parser.add_argument("--python-version", default="3.13", type=python_version)
    parser.add_argument("--local", action="store_true", help="for this machine and this Python")
    parser.add_argument("--folder", type=Path, default=PROJECT / "build" / "package")
    parser.add_argument("--print-path", action="store_true", help="build nothing")
    return parser.parse_args(arguments)


def python_version(text: str) -> str:
    """Accept 3.11 and later, as Lambda names them."""
    match = re.fullmatch(r"3\.(\d+)", text)
    if not match or int(match[1]) < 11:  # noqa: PLR2004 - see pyproject.toml, requires-python
        raise argparse.ArgumentTypeError(f"{text} is not 3.11 or later")
    return text


def build(target: Target, path: Path) -> None:
    """Write the zip at `path`, whole or not at all: others may be reading it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    found = content(dependencies(target, path.parent), PROJECT)
    with tempfile.TemporaryDirectory(dir=path.parent) as work:
        unfinished = Path(work) / path.name
        with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for name, file in sorted(found.items()):
                archive.writestr(entry(name), file.read_bytes())
        unfinished.replace(path)


def entry(name: str) -> zipfile.ZipInfo:
    """Describe a file by its name alone."""
    described = zipfile.ZipInfo(name, TIMESTAMP)
    described.compress_type = zipfile.ZIP_DEFLATED
    described.create_system = UNIX
    described.external_attr = PERMISSIONS
    return described


def dependencies(target: Target, folder: Path) -> Path:
    """Install the dependencies into a folder, unless it is there from an earlier build."""
    digest = hashlib.sha256(repr(target).encode() + REQUIREMENTS.read_bytes()).hexdigest()
    installed = folder / f"{target.name}-{digest[:16]}"
    if installed.exists():
        return installed
    with tempfile.TemporaryDirectory(dir=folder) as work:
        fresh = Path(work) / "dependencies"
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-qq"]
        pip += ["--target", str(fresh), "--no-compile", "--no-deps", "--only-binary=:all:"]
        pip += ["--require-hashes", *target.pip_options, "-r", str(REQUIREMENTS)]
        subprocess.run(pip, check=True)
        try:
            fresh.rename(installed)
        except OSError:  # another build was faster; its folder has the same content
            if not installed.exists():
                raise
    return installed


def content(installed: Path, project: Path) -> dict[str, Path]:
    """Say which file ships under which name."""
    found = {name: file for name, file in files(installed) if is_wanted(name)}
    newest = newest_descriptions(found)
    found = {name: file for name, file in found.items() if is_described(name, newest)}
    for package in OUR_PACKAGES:
        ours = files(project / package)
        found |= {f"{package}/{name}": file for name, file in ours if name.endswith(".py")}
    return found


def files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Walk a folder: names with forward slashes, and the files."""
    for file in folder.rglob("*"):
        if file.is_file():
            yield file.relative_to(folder).as_posix(), file


def is_wanted(name: str) -> bool:
    """Tell whether an installed file is any use at run time."""
    *folders, file = name.split("/")
    if UNWANTED_FOLDERS.intersection(folders) or file in UNWANTED_FILES:
        return False
    if folders and folders[0].endswith(".dist-info"):
        return file not in PIP_RECORDS and "sboms" not in folders
    # Descriptions for boto3's resources, of which we use none, and examples for documentation.
    if name.startswith("boto3/data/") or file == "examples-1.json":
        return False
    return Path(file).suffix not in UNWANTED_SUFFIXES


def newest_descriptions(names: dict[str, Path]) -> set[str]:
    """Name each used service's newest API version, the one that a client takes by default."""
    newest: dict[str, str] = {}
    for name in names:
        match = re.match(r"botocore/data/([^/]+)/(\d{4}-\d\d-\d\d)/", name)
        if match and match[1] in SERVICES:
            newest[match[1]] = max(newest.get(match[1], ""), match[2])
    if unknown := set(SERVICES) - set(newest):
        raise ValueError(f"botocore does not know these services: {', '.join(sorted(unknown))}")
    return {f"botocore/data/{service}/{version}/" for service, version in newest.items()}


def is_described(name: str, newest: set[str]) -> bool:
    """Drop what botocore knows of services and versions that we do not use."""
    of_a_service = re.match(r"botocore/data/[^/]+/", name)
    return not of_a_service or name.startswith(tuple(newest))


def describe(path: Path) -> str:
    """Give the size and the digest."""
    packed = path.read_bytes()
    return f"{len(packed) / 1e6:.1f} MB  sha256 {hashlib.sha256(packed).hexdigest()}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
