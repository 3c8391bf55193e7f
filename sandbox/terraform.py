"""Terraform: where it is, where its provider comes from, and the verbs that the Makefile uses.

    python -m sandbox.terraform fmt-check|validate|test FOLDER

The provider is taken from a filesystem mirror on this machine if there is one, else from the
registry. Terraform works on a copy of the folder in a folder of this run, with plugins, lock file
and state: nothing is left in the tree, and several runs can go on side by side.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.host.processes import clean_environment

PROJECT = Path(__file__).parents[1]
MODULE = PROJECT / "terraform"
PROVIDER = Path("hashicorp/aws")
# The Filesystem Hierarchy Standard's place for add-on software.
ADD_ON_SOFTWARE = Path("/opt")
SEARCH_DEPTH = 6

Reader = Callable[[str], None]


class TerraformError(Exception):
    """Terraform is missing, or it failed; says what it wrote."""


def find_terraform() -> str:
    """The program, from the PATH."""
    found = shutil.which("terraform")
    if found is None:
        raise TerraformError("terraform is not on the PATH; see CONTRIBUTING.md for what is needed")
    return found


def find_mirror() -> Path | None:
    """A folder laid out as HOST/hashicorp/aws/..., or None if this machine has none."""
    candidates = [*_configured(), *_implied()]
    for candidate in candidates:
        if any(candidate.glob(f"*/{PROVIDER}")):
            return candidate
    return next(_searched(ADD_ON_SOFTWARE), None)


def _configured() -> Iterator[Path]:
    folder = os.environ.get("TF_PLUGIN_DIR")
    if folder:
        yield Path(folder)


def _implied() -> Iterator[Path]:
    """The folders in which Terraform itself looks for a local mirror."""
    home = Path.home()
    yield home / ".terraform.d" / "plugins"
    data_home = os.environ.get("XDG_DATA_HOME")
    yield (Path(data_home) if data_home else home / ".local/share") / "terraform/plugins"
    data_folders = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    for folder in data_folders.split(":"):
        yield Path(folder) / "terraform" / "plugins"


def _searched(root: Path) -> Iterator[Path]:
    """Mirrors below `root`, looked for a few levels deep, without following links."""
    for folder, names, _ in os.walk(root, onerror=None):
        here = Path(folder)
        if len(here.relative_to(root).parts) >= SEARCH_DEPTH:
            names.clear()
        names.sort()
        if here.parts[-2:] == PROVIDER.parts:
            yield here.parents[2]


def _private_copy(configuration: Path, tree: Path) -> Path:
    """Copy the folder and the module, so that relative paths between them stay valid."""
    shutil.rmtree(tree, ignore_errors=True)
    if not configuration.is_relative_to(PROJECT):
        return _copied(configuration, tree / configuration.name)
    for folder in {MODULE, configuration}:
        _copied(folder, tree / folder.relative_to(PROJECT))
    # The module's default package is in `build`, next to its folder.
    (tree / "build").symlink_to(PROJECT / "build")
    return tree / configuration.relative_to(PROJECT)


def _copied(folder: Path, place: Path) -> Path:
    shutil.copytree(
        folder,
        place,
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns(".terraform", ".terraform.lock.hcl", "*.tfstate*"),
    )
    return place


def ignore(_line: str) -> None:
    """Read a line that Terraform writes, and do nothing."""


def _run(command: Sequence[str], environment: Mapping[str, str], reader: Reader) -> tuple[int, str]:
    """Run a program to its end, however long it takes; its status, and all it wrote."""
    lines = []
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            for line in process.stdout or ():
                lines.append(line)
                reader(line.rstrip())
        except BaseException:
            # Leaving the block waits for it.
            process.kill()
            raise
    return process.returncode, "".join(lines)


@dataclass(frozen=True)
class Result:
    """What a run of Terraform wrote."""

    status: int
    output: str


class Terraform:
    """Terraform on one folder of configuration, with everything it writes kept elsewhere."""

    def __init__(
        self, configuration: Path, work: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self._work = work.resolve()
        self._work.mkdir(parents=True, exist_ok=True)
        self._configuration = _private_copy(configuration.resolve(), self._work / "tree")
        self._keep_state()
        self._program = find_terraform()
        self._environment = {
            **clean_environment(),
            **(environment or {}),
            "TF_DATA_DIR": str(self._work / "data"),
            **self._settings(),
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "CHECKPOINT_DISABLE": "1",
            # Most of its time goes into the provider's schema; collecting garbage less often saves
            # a fifth of it, for 50 MB.
            "GOGC": "400",
        }

    def init(self) -> None:
        self.run("init", "-no-color")

    def apply(self, variables: Mapping[str, Any], reader: Reader = ignore) -> str:
        """Create or change what the configuration describes; `reader` gets each line at once."""
        return self.run("apply", "-auto-approve", *self._with(variables), reader=reader).output

    def plan(self, variables: Mapping[str, Any]) -> Result:
        """Compare: status 0 if there is nothing to do, 2 if there is."""
        return self.run("plan", "-detailed-exitcode", *self._with(variables), allowed=(0, 2))

    def destroy(self, variables: Mapping[str, Any]) -> str:
        return self.run("destroy", "-auto-approve", *self._with(variables)).output

    def outputs(self) -> dict[str, Any]:
        """The root module's outputs, sensitive ones too."""
        written = self.run("output", "-json").output
        return {name: output["value"] for name, output in json.loads(written).items()}

    def run(
        self, *arguments: str, allowed: Sequence[int] = (0,), reader: Reader = ignore
    ) -> Result:
        """Run any command of Terraform's; raise if its status is not an allowed one."""
        command = [self._program, f"-chdir={self._configuration}", *arguments]
        status, output = _run(command, self._environment, reader)
        if status not in allowed:
            raise TerraformError(f"terraform {arguments[0]} failed:\n{self._kept(output)}")
        return Result(status, output)

    def _with(self, variables: Mapping[str, Any]) -> list[str]:
        written = self._work / "variables.tfvars.json"
        written.write_text(json.dumps(variables, indent=2))
        return ["-no-color", "-lock=false", f"-var-file={written}"]

    def _keep_state(self) -> None:
        """Keep the state outside the copy of the configuration, which every run replaces."""
        path = json.dumps(str(self._work / "terraform.tfstate"))
        override = self._configuration / "state_override.tf"
        override.write_text(f'terraform {{\n  backend "local" {{\n    path = {path}\n  }}\n}}\n')

    def _kept(self, output: str) -> str:
        """The part of a failed run's output that says why; all of it is kept in a file."""
        everything = self._work / "failed.log"
        everything.write_text(output)
        start = output.find("Error:")
        return f"{output[max(start, 0) :]}\n(everything it wrote is in {everything})"

    def _settings(self) -> dict[str, str]:
        """What sends Terraform to the mirror; without one, the settings of the user apply."""
        mirror = find_mirror()
        own = os.environ.get("TF_CLI_CONFIG_FILE", "")
        if mirror is None:
            return {"TF_CLI_CONFIG_FILE": own} if Path(own).is_file() else {}
        method = f"filesystem_mirror {{\n    path = {json.dumps(str(mirror))}\n  }}"
        settings = self._work / "terraform.rc"
        settings.write_text(f"provider_installation {{\n  {method}\n}}\n")
        return {"TF_CLI_CONFIG_FILE": str(settings)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Check a folder of configuration as the Makefile asks."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.terraform", description=__doc__)
    parser.add_argument("verb", choices=["fmt-check", "validate", "test"])
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    checks = {"fmt-check": _check_format, "validate": _validate, "test": _test}
    try:
        checks[options.verb](options.folder)
    except TerraformError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _check_format(folder: Path) -> None:
    with _scratch("format") as work:
        Terraform(folder, Path(work)).run("fmt", "-check", "-recursive", "-diff")


def _validate(folder: Path) -> None:
    """The folder itself, and every example below it; a deprecated word is an error, too."""
    for root in [folder, *sorted(path.parent for path in folder.glob("examples/*/main.tf"))]:
        with _scratch("validate") as work:
            terraform = Terraform(root, Path(work))
            terraform.init()
            written = terraform.run("validate", "-no-color").output
            if "deprecated" in written.lower():
                raise TerraformError(f"{root}: {written}")


def _test(folder: Path) -> None:
    with _scratch("test") as work:
        terraform = Terraform(folder, Path(work))
        terraform.init()
        print(terraform.run("test", "-no-color").output, end="")


def _scratch(purpose: str) -> tempfile.TemporaryDirectory[str]:
    root = PROJECT / "build" / "terraform"
    root.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(prefix=f"{purpose}-", dir=root)


if __name__ == "__main__":
    sys.exit(main())
