"""`python -m sandbox.conformance [--fluentd PATH] [NAME ...]`: what `make conformance` runs."""

import argparse
import json
import shutil
import sys
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from sandbox.conformance.program import UnusableError, real, simulated
from sandbox.conformance.run import Result, play_all
from sandbox.conformance.states import STATES
from sandbox.host.processes import sigterm_interrupts


def main(arguments: list[str]) -> int:
    """Hold a Fluentd to the list; 1 if anything disagrees, 2 if it cannot be held to it."""
    parser = argparse.ArgumentParser("sandbox.conformance")
    parser.add_argument(
        "--fluentd", help="a real Fluentd; without it the simulated one", default=""
    )
    parser.add_argument("--output", type=Path, default=Path("build/conformance"))
    parser.add_argument("state", nargs="*", help="words of the names of states; none: all of them")
    given = parser.parse_args(arguments)
    directory: Path = given.output
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    try:
        program = real(given.fluentd, directory.resolve()) if given.fluentd else simulated()
    except UnusableError as error:
        print(error, file=sys.stderr)
        return 2
    states = [one for one in STATES if not given.state or any(w in one.name for w in given.state)]
    started = time.monotonic()
    print(f"===== report: {program.name}, {len(states)} states, {directory}/ =====", flush=True)
    with sigterm_interrupts():
        results = play_all(states, program, directory, show)
    written = {"fluentd": program.name, "states": [asdict(result) for result in results]}
    (directory / "results.json").write_text(json.dumps(written, indent=2) + "\n")
    found = Counter(result.outcome for result in results)
    others = [f"{found[one]} {one}" for one in ("limit", "not checked") if found[one]]
    counted = ", ".join([f"{found['agrees']} passed, {found['DISAGREES']} failed", *others])
    print(f"{counted} in {time.monotonic() - started:.2f}s")
    shown = found["agrees"] + found["limit"]
    return 0 if shown and not found["DISAGREES"] else 1


def show(result: Result) -> None:
    """Print a row of the table."""
    row = f"{result.outcome:<12}{result.state:<40}{result.evidence:<17}{result.flush:<17}"
    print(f"{row}{result.remark}".rstrip(), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
