"""Which Fluentd is held to the list: the simulated one, or a real one that is able to."""

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

OLDEST = (1, 16)
NEEDED = "Needed: Fluentd 1.16 or later with the gem fluent-plugin-prometheus, started by this file"
SECONDS = 60
# The monitor's timer dies of any exception, as it was seen to.
FREEZING = """
require 'fluent/plugin/in_prometheus_output_monitor'
Fluent::Plugin::PrometheusOutputMonitorInput.prepend(Module.new do
  def update_monitor_info
    raise 'frozen by the conformance check' if File.exist?(ENV['CONFORMANCE_FREEZE'])
    super
  end
end)
"""
PLUGINS = """
<source>
  @type prometheus
</source>
<source>
  @type prometheus_output_monitor
</source>
"""


class UnusableError(Exception):
    """This is no Fluentd that can be held to the list."""


@dataclass(frozen=True, slots=True)
class Program:
    """How to start it, and the name of the program that its processes run."""

    name: str
    command: tuple[str, ...]
    process: str


def simulated() -> Program:
    """The Fluentd of the sandbox."""
    command = (sys.executable, "-m", "sandbox.fleet.fluentd.configured")
    return Program("the simulated Fluentd", command, "python")


def real(path: str, directory: Path) -> Program:
    """The Fluentd at this path; raises UnusableError, which names it and what is needed."""
    fluentd = Path(path).absolute()
    if not fluentd.is_file():
        raise _unusable(path, "there is no such file")
    if not os.access(fluentd, os.X_OK):
        raise _unusable(path, "it is not executable")
    said = _output(path, [str(fluentd), "--version"])
    version = re.search(r"^fluentd (\d+)\.(\d+)\.\d+", said, re.MULTILINE)
    if version is None:
        raise _unusable(path, f"--version is answered with {said.strip()[:200]!r}")
    if (int(version[1]), int(version[2])) < OLDEST:
        raise _unusable(path, f"it is {version[0]}")
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as plugins:
        plugins.write(PLUGINS)
        plugins.flush()
        said = _output(path, [str(fluentd), "--dry-run", "-c", plugins.name])
    if "finished dry run mode" not in said:
        raise _unusable(path, f"it does not load fluent-plugin-prometheus: {said.strip()[-300:]}")
    freezing = directory / "freezing.rb"
    freezing.write_text(FREEZING)
    return Program(version[0], (str(fluentd), "-r", str(freezing)), "ruby")


def _output(path: str, command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _unusable(path, f"it cannot be run: {error}") from error
    return done.stdout + done.stderr


def _unusable(path: str, what: str) -> UnusableError:
    return UnusableError(f"FLUENTD={path}: {what}. {NEEDED}.")
