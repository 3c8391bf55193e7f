"""What the histories came to: how many, what hit them, what was checked."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path

_NAME_WIDTH = 64  # of a heartbeat that failed before it took effect


@dataclass
class Counts:
    """Everything that one process, or all of them together, counted."""

    histories: int = 0
    steps: int = 0
    virtual_seconds: float = 0.0
    calls: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Counts") -> None:
        """Add what another process counted."""
        self.histories += other.histories
        self.steps += other.steps
        self.virtual_seconds += other.virtual_seconds
        self.calls += other.calls
        self.ends.update(other.ends)
        self.faults.update(other.faults)
        self.checks.update(other.checks)

    def as_dict(self) -> dict[str, object]:
        """Form for a JSON file."""
        return {
            "histories": self.histories,
            "steps": self.steps,
            "virtual_seconds": round(self.virtual_seconds),
            "aws_calls": self.calls,
            "ends": dict(sorted(self.ends.items())),
            "faults": dict(sorted(self.faults.items())),
            "checks": dict(sorted(self.checks.items())),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, object]) -> "Counts":
        """Read what ``as_dict`` made."""
        found = json.loads(json.dumps(document))
        return cls(
            found["histories"],
            found["steps"],
            found["virtual_seconds"],
            found["aws_calls"],
            Counter(found["ends"]),
            Counter(found["faults"]),
            Counter(found["checks"]),
        )

    def save(self, path: Path) -> None:
        """Write the numbers down."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.as_dict(), indent=2) + "\n")


COUNTS = Counts()
"""Those of this process."""


@contextmanager
def uncounted() -> Iterator[None]:
    """Leave what follows out of the numbers of this process."""
    before = deepcopy(vars(COUNTS))
    yield
    vars(COUNTS).update(before)


def total(paths: Iterable[Path]) -> Counts:
    """Add up what several processes wrote down."""
    counts = Counts()
    for path in paths:
        counts.add(Counts.from_dict(json.loads(path.read_text())))
    return counts


def table(counts: Counts) -> list[str]:
    """Lines to print."""
    hours = counts.virtual_seconds / 3600
    of_time = f"{hours:,.0f} hours of virtual time"
    of_calls = f"{counts.calls:,} calls of AWS by the functions"
    lines = [f"{counts.histories:,} histories, {counts.steps:,} steps, {of_time}, {of_calls}"]
    for title, numbers in (
        ("Faults hit", counts.faults),
        ("Invariants checked", counts.checks),
        ("How instances ended", counts.ends),
    ):
        lines += ["", f"{title}: {sum(numbers.values()):,}"]
        lines += [
            f"  {name:<{_NAME_WIDTH}}{number:>10,}" for name, number in sorted(numbers.items())
        ]
    return lines
