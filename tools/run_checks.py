"""Run checks and close with a summary that can be read at a glance.

    python tools/run_checks.py --beside end-to-end --beside types lint unit

They run one after the other; those behind ``--beside`` wait a lot, or use one core, and run beside
them.

Each check is a verb of the Makefile. Its output goes to build/test/<check>.log and is shown if it
fails, and what it closes with as a report in any case; the others run all the same, since each
protects something else. A skipped test counts as a failure: whatever it needed, `make test` should
have set up or asked for.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

LOGS = Path("build/test")
LIMIT_SECONDS = 45 * 60
# The closing lines: pytest's "12 passed, 1 skipped in 3.21s", Terraform's "Success! 9 passed, ...".
CLOSING = re.compile(r"(=+ )?\d+ \w+.* in \d+\.\d\ds\b|(Success|Failure)! \d+ passed")
# What a check wants to be read even if it passed: pytest's "=== report: histories ===" and on.
REPORT = re.compile(r"=+ report: .* =+")
COUNT = re.compile(r"(\d+) (passed|failed|errors?|skipped|xfailed|xpassed)\b")


@dataclass(frozen=True)
class Outcome:
    """What came of one check."""

    check: str
    status: int
    seconds: float
    counts: dict[str, int]
    log: Path

    @property
    def problem(self) -> str:
        """Say in a few words why the check failed; nothing if it passed."""
        if self.status == -signal.SIGKILL:
            return f"ended after {LIMIT_SECONDS} s"
        if self.status:
            return "failed"
        idle = {name: n for name, n in self.counts.items() if name != "passed" and n}
        return ", ".join(f"{n} {name}" for name, n in idle.items())


@dataclass(frozen=True)
class Running:
    """A check under way."""

    check: str
    process: subprocess.Popen[bytes]
    started: float
    log: Path


def main(arguments: list[str]) -> int:
    """Run all checks; fail if any did."""
    LOGS.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    beside, checks = split(arguments)
    background = [start(check) for check in beside]
    with ThreadPoolExecutor() as pool:
        finishing = [pool.submit(finish, running) for running in background]
        try:
            outcomes = [show(run(check)) for check in checks]
            outcomes += [show(one.result()) for one in finishing]
        except KeyboardInterrupt:
            for running in background:
                interrupt(running)
            raise
    checks = beside + checks
    failed = [outcome for outcome in outcomes if outcome.problem]
    print()
    for outcome in failed:
        print(f"{outcome.check}: {outcome.problem}; see {outcome.log} or: make {outcome.check}")
    minutes, seconds = divmod(round(time.monotonic() - started), 60)
    print(
        f"{len(checks) - len(failed)} of {len(checks)} checks passed in {minutes}:{seconds:02} min"
    )
    passed, lost = total(outcomes, "passed"), total(outcomes, "failed", "error", "errors")
    skipped = total(outcomes, "skipped", "xfailed")
    print(f"{passed} passed, {lost} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


def split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Tell the checks that run beside the others, if there are any, from the others."""
    if arguments[:1] != ["--beside"]:
        return [], arguments
    beside, checks = split(arguments[2:])
    return [*arguments[1:2], *beside], checks


def run(check: str) -> Outcome:
    """Run one verb of the Makefile to its end, or to ours."""
    running = start(check)
    try:
        return finish(running)
    except KeyboardInterrupt:
        interrupt(running)
        raise


def interrupt(running: Running) -> None:
    """Pass Ctrl-C on to a check and wait for its end; it may have ended already."""
    if running.process.poll() is None:
        os.killpg(running.process.pid, signal.SIGINT)
    running.process.wait()


def start(check: str) -> Running:
    """Start one verb of the Makefile."""
    log = LOGS / f"{check}.log"
    started = time.monotonic()
    with log.open("wb") as output:
        # A group of its own, so that nothing the check started outlives it.
        process = subprocess.Popen(
            ["make", "--no-print-directory", check],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | {"NO_COLOR": "1"},
            start_new_session=True,
        )
    return Running(check, process, started, log)


def finish(running: Running) -> Outcome:
    """Wait for the end of a check and read what it came to."""
    status = wait(running.process)
    seconds = time.monotonic() - running.started
    return Outcome(running.check, status, seconds, counts(running.log), running.log)


def wait(process: subprocess.Popen[bytes]) -> int:
    """Wait for a check; past the limit, ask it to stop and then make it."""
    try:
        return process.wait(LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(30)  # fixtures tear down what they started
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return -signal.SIGKILL


def counts(log: Path) -> dict[str, int]:
    """Add up the numbers of tests in the closing lines: a check can have several runs."""
    lines = log.read_text(errors="replace").splitlines()
    found: Counter[str] = Counter()
    for closing in filter(CLOSING.match, lines):
        found.update({name: int(number) for number, name in COUNT.findall(closing)})
    return dict(found)


def report(log: Path) -> list[str]:
    """Read what the check wants to be read."""
    lines = log.read_text(errors="replace").splitlines()
    first = next((n for n, line in enumerate(lines) if REPORT.fullmatch(line)), len(lines))
    return [line for line in lines[first + 1 :] if not CLOSING.match(line)]


def show(outcome: Outcome) -> Outcome:
    """Print the result and what the check reports, and the whole log of a failure."""
    shown = ", ".join(f"{n} {name}" for name, n in outcome.counts.items() if n)
    verdict = "FAILED" if outcome.problem else "ok"
    print(f"{outcome.check:<16}{verdict:<8}{outcome.seconds:6.1f} s  {shown}", flush=True)
    text = outcome.log.read_text(errors="replace").splitlines()
    for line in text if outcome.problem else report(outcome.log):
        print(f"    {line}".rstrip(), flush=True)
    return outcome


def total(outcomes: list[Outcome], *names: str) -> int:
    """Add up some of the counts of all checks."""
    return sum(outcome.counts.get(name, 0) for outcome in outcomes for name in names)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("Interrupted.")
