"""What is in the zip, and what is not."""

import re
import struct
import zipfile
from pathlib import Path, PurePosixPath

from tests.package.conftest import PROJECT, Package, build

LARGEST_BYTES = 15_000_000
# Lambda's own limit for what a zip unpacks to.
LARGEST_UNPACKED_BYTES = 262_144_000
PINNED = re.compile(r"([a-z0-9-]+)==(\S+) \\")
AARCH64, X86_64 = 183, 62  # e_machine in an ELF header


def machine(shared_object: bytes) -> int:
    assert shared_object[:4] == b"\x7fELF"
    (found,) = struct.unpack_from("<H", shared_object, 18)
    assert isinstance(found, int)
    return found


def shared_objects(package: Package) -> list[str]:
    return [name for name in package.files if ".so" in PurePosixPath(name).suffixes]


def test_two_builds_from_nothing_give_the_same_bytes(
    arm64_package: Package, tmp_path: Path
) -> None:
    again = build(tmp_path)
    assert again.path.read_bytes() == arm64_package.path.read_bytes()


def test_neither_when_nor_by_whom_it_was_built_is_recorded(package: Package) -> None:
    with zipfile.ZipFile(package.path) as archive:
        entries = archive.infolist()
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {oct(entry.external_attr >> 16) for entry in entries} == {"0o100644"}
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)


def test_the_zip_and_what_it_unpacks_to_stay_small(package: Package) -> None:
    with zipfile.ZipFile(package.path) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
    assert package.path.stat().st_size <= LARGEST_BYTES
    assert unpacked <= LARGEST_UNPACKED_BYTES


def test_no_tests_caches_or_installation_records_ship(package: Package) -> None:
    forbidden = re.compile(
        r"(^|/)(tests?|__pycache__|bin)/|(^|/)(test_[^/]*|conftest)\.py$|\.py[ci]$"
        r"|\.dist-info/(RECORD|INSTALLER|REQUESTED|direct_url\.json)$"
        r"|^(sandbox|tools|moto|pytest|pip)/"
    )
    assert [name for name in package.files if forbidden.search(name)] == []


def test_all_of_our_product_code_ships_unchanged(package: Package) -> None:
    ours = [
        file
        for folder in ("handlers", "lifecycle", "waiters")
        for file in (PROJECT / folder).rglob("*.py")
    ]
    assert len(ours) > 10
    for file in ours:
        assert package.files[file.relative_to(PROJECT).as_posix()] == file.read_bytes()


def test_every_dependency_ships_its_metadata_and_licence(package: Package) -> None:
    # Those with a marker are for Windows.
    lines = (PROJECT / "requirements.txt").read_text().splitlines()
    pinned = [found.groups() for line in lines if (found := PINNED.fullmatch(line))]
    names = package.files
    assert len(pinned) > 10
    for name, version in pinned:
        folder = f"{name.replace('-', '_')}-{version}.dist-info/"
        assert f"{folder}METADATA" in names
        assert any(n.startswith(folder) and re.search(r"(?i)licen[cs]e", n) for n in names), name


def test_the_arm64_package_holds_code_for_arm64_and_python_3_13_only(
    arm64_package: Package,
) -> None:
    found = shared_objects(arm64_package)
    assert any(name.startswith("pydantic_core/") for name in found)
    assert {machine(arm64_package.files[name]) for name in found} == {AARCH64}
    assert [name for name in found if "cpython-313-aarch64" not in name] == []


def test_the_x86_64_package_holds_code_for_x86_64_only(tmp_path: Path) -> None:
    package = build(tmp_path, "--architecture", "x86_64", "--python-version", "3.12")
    found = shared_objects(package)
    assert any(name.startswith("pydantic_core/") for name in found)
    assert {machine(package.files[name]) for name in found} == {X86_64}
    assert [name for name in found if "cpython-312-x86_64" not in name] == []


def test_no_requirement_depends_on_the_python_that_builds() -> None:
    # pip judges markers by the Python it runs in, not by the one that the package is for.
    markers = re.findall(
        r" ; (.*?) *\\?$", (PROJECT / "requirements.txt").read_text(), re.MULTILINE
    )
    assert [marker for marker in markers if "python" in marker or "machine" in marker] == []
