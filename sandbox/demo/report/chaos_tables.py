"""The random faults of a run, as rows for the terminal and for the report. Pure."""

from collections.abc import Iterator, Mapping

from sandbox.demo.model import ChaosCount

HEADINGS = {
    "throttled": "Throttled",
    "server_error": "5xx",
    "slow": "Slow",
    "reset": "Reset",
    "answer_lost": "Answer lost",
}

Row = tuple[str, ...]


def headings() -> Row:
    """The columns of `calls`."""
    return ("Service", "Calls", *HEADINGS.values(), "Share")


def calls(chaos: ChaosCount) -> list[Row]:
    """A row for each service, and one for all: calls that functions made, and faults by kind."""
    rows = [
        _row(service, chaos.calls[service], chaos.faults.get(service, {}))
        for service in chaos.calls
    ]
    total = {kind: sum(by.get(kind, 0) for by in chaos.faults.values()) for kind in HEADINGS}
    return [*rows, _row("all", sum(chaos.calls.values()), total)]


def events(chaos: ChaosCount) -> list[tuple[str, str]]:
    """Everything else that was done on purpose, and how often."""
    return [
        ("Rounds of scaling out and in", f"{chaos.rounds:,}"),
        ("Functions killed at work", _by_name(chaos.functions_killed)),
        ("Prometheus killed and restarted", f"{chaos.prometheus_crashes:,}"),
        ("Lifecycle events delivered twice", f"{chaos.duplicate_events:,}"),
        ("Check messages sent twice", _by_name(chaos.duplicate_messages)),
        ("Reconciler invoked amid drains", f"{chaos.reconciler_invocations:,}"),
        ("Dead letters alarmed and redriven", f"{chaos.redriven:,}"),
    ]


def missing(chaos: ChaosCount) -> Iterator[str]:
    """The planned faults that never happened: nothing is proven about them."""
    for kind, heading in HEADINGS.items():
        if not any(by.get(kind) for by in chaos.faults.values()):
            yield f"No call had this fault: {heading.lower()}. Nothing was proven about it."
    if not chaos.functions_killed:
        yield "No function was killed, so nothing was proven about that."
    if not chaos.prometheus_crashes:
        yield "Prometheus was never killed, so nothing was proven about that."
    if not chaos.duplicate_events and not chaos.duplicate_messages:
        yield "Nothing was delivered twice, so nothing was proven about that."


def _row(service: str, count: int, faults: Mapping[str, int]) -> Row:
    numbers = [faults.get(kind, 0) for kind in HEADINGS]
    share = f"{100 * sum(numbers) / count:.0f} %" if count else ""
    return (service, f"{count:,}", *(f"{number:,}" for number in numbers), share)


def _by_name(counts: Mapping[str, int]) -> str:
    total = f"{sum(counts.values()):,}"
    if not counts:
        return total
    return f"{total} ({', '.join(f'{name} {number}' for name, number in counts.items())})"
