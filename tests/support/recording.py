"""Stand-ins that remember what they were called with."""

from collections.abc import Callable
from dataclasses import dataclass, field

from lifecycle.telemetry import LogEvent, Metric

# Everything that was logged or measured in this process, by whatever test.
SEEN: set[LogEvent | Metric] = set()


@dataclass
class Line:
    level: str
    event: LogEvent
    fields: dict[str, object]
    exception: BaseException | None = None
    at: float = 0.0
    """When it was logged, by the clock of its telemetry."""

    def __getitem__(self, name: str) -> object:
        return self.fields[name]


@dataclass
class RecordingTelemetry:
    """Keeps every event and every metric; see ``lifecycle.telemetry.Telemetry``."""

    lines: list[Line] = field(default_factory=list)
    values: list[tuple[Metric, float]] = field(default_factory=list)
    flushed: int = 0
    clock: Callable[[], float] = field(default=lambda: 0.0)
    times: list[float] = field(default_factory=list)
    """When each of the values was measured, by the clock."""

    def info(self, event: LogEvent, **fields: object) -> None:
        self._record(Line("INFO", event, fields))

    def warning(self, event: LogEvent, **fields: object) -> None:
        self._record(Line("WARNING", event, fields))

    def error(
        self, event: LogEvent, exception: BaseException | None = None, /, **fields: object
    ) -> None:
        self._record(Line("ERROR", event, fields, exception))

    def _record(self, line: Line) -> None:
        """Keep a line; its keys are those that its event declares."""
        keys, event = set(line.fields), line.event
        assert event.required <= keys, f"{event} lacks {sorted(event.required - keys)}"
        unknown = keys - event.required - event.optional
        assert not unknown, f"{event} does not declare {sorted(unknown)}"
        line.at = self.clock()
        SEEN.add(event)
        self.lines.append(line)

    def measure(self, metric: Metric, value: float = 1) -> None:
        SEEN.add(metric)
        self.values.append((metric, value))
        self.times.append(self.clock())

    def flush(self) -> None:
        self.flushed += 1

    @property
    def events(self) -> list[LogEvent]:
        return [line.event for line in self.lines]

    def of(self, event: LogEvent) -> list[Line]:
        return [line for line in self.lines if line.event is event]

    def the(self, event: LogEvent) -> Line:
        [line] = self.of(event)
        return line

    def total(self, metric: Metric) -> float:
        return sum(value for name, value in self.values if name is metric)
