"""`python -m sandbox demo`: run a scenario, show it, judge it, leave three files behind."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from sandbox.demo.model import Run
from sandbox.demo.recording import Clock
from sandbox.demo.report import figure
from sandbox.demo.report.conclusion import conclude, write_page
from sandbox.demo.report.judgement import problems
from sandbox.demo.report.summary import summarise
from sandbox.demo.run import perform
from sandbox.demo.scenarios.catalog import SCENARIOS, Scenario
from sandbox.demo.view.view import View
from sandbox.demo.warm_up import WarmUpFailed
from sandbox.fleet.prometheus import PrometheusNotInstalledError
from sandbox.host.processes import ProcessFailedError, sigterm_interrupts
from sandbox.ministack.server import MinistackMissingError
from sandbox.terraform import TerraformError

KEPT_ITS_PROMISE = 0
BROKE_ITS_PROMISE = 1
COULD_NOT_RUN = 2
INTERRUPTED = 130

_LOG_WIDTH = 110
_LEFT_BEHIND = {
    "report.html": "The report",
    "timeline.png": "The picture",
    "summary.json": "The numbers",
}

# What the user can correct: something is missing on this machine, or did not start.
_NO_SET_UP = (
    TerraformError,
    MinistackMissingError,
    PrometheusNotInstalledError,
    ProcessFailedError,
    WarmUpFailed,
)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    about = "\n".join(f"  {one.name:<17} {one.about}" for one in SCENARIOS.values())
    parser = argparse.ArgumentParser(
        prog="python -m sandbox demo",
        description="Drive a simulated fleet of Fluentd aggregators with the real module.",
        epilog=f"scenarios:\n{about}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--scenario", choices=list(SCENARIOS), default="scale-in")
    parser.add_argument("--output", type=Path, default=Path("build/demo"), help="(build/demo)")
    parser.add_argument(
        "--plain", action="store_true", help="write lines even if standard output is a terminal"
    )
    parser.add_argument("--seed", type=int, help="chaos: the seed of the random numbers (1)")
    parser.add_argument(
        "--seconds", type=float, help="chaos: start rounds for so many seconds (one round)"
    )
    return parser.parse_args(arguments)


def chosen(options: argparse.Namespace) -> Scenario:
    """The scenario, with the seed and the length that are asked for."""
    scenario = SCENARIOS[options.scenario]
    asked = {"seed": options.seed, "seconds": options.seconds}
    given = {name: value for name, value in asked.items() if value is not None}
    return (
        scenario
        if scenario.chaos is None
        else replace(scenario, chaos=replace(scenario.chaos, **given))
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a scenario; the exit status says whether the promise was kept."""
    options = parse(arguments)
    console, since = _console(), Clock()
    scenario, view = chosen(options), _view(options, console, since)
    try:
        with sigterm_interrupts():
            run = perform(scenario, options.output, since, view)
    except KeyboardInterrupt:
        console.print("Interrupted. Everything that was started is stopped.")
        return INTERRUPTED
    except _NO_SET_UP as error:
        console.print(f"The scenario could not be played: {error}", style="red", markup=False)
        return COULD_NOT_RUN
    found = problems(run)
    _write(run, found, options.output)
    conclude(run, found, console)
    console.print()
    for name, content in _LEFT_BEHIND.items():
        console.print(f"{content:<12} {options.output / name}", highlight=False, soft_wrap=True)
    return BROKE_ITS_PROMISE if found else KEPT_ITS_PROMISE


def _console() -> Console:
    """The terminal; without one, lines of a width that suits a log."""
    console = Console()
    return console if console.is_terminal else Console(width=_LOG_WIDTH)


def _view(options: argparse.Namespace, console: Console, since: Clock) -> View:
    live = console.is_terminal and not options.plain
    return View(options.scenario, console, since.now, live=live)


def _write(run: Run, found: Sequence[str], output: Path) -> None:
    summary = json.dumps(summarise(run), indent=2) + "\n"
    (output / "summary.json").write_text(summary, encoding="utf-8")
    figure.draw(run, output / "timeline.png")
    write_page(run, found, output / "timeline.png", output / "report.html")
