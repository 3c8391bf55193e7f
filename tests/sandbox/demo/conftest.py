"""Hand-written runs of the demo, small enough to check by eye."""

import pytest

from sandbox.demo.model import InstanceSample, JournalEntry, Notification, Phase, Run, Sample
from sandbox.fleet.accounting import Delivery
from tests.sandbox.demo.kit import history

STAYS = "i-0aaaaaaaaaaaaaaa1"
LEAVES = "i-0bbbbbbbbbbbbbbb2"
QUEUE = "demo-buffer-dlq"


def entry(at: float, instance_id: str, event: str, **details: str) -> JournalEntry:
    return JournalEntry(at=at, instance_id=instance_id, event=event, details=details)


def saw_teeth(begin: float, end: float, period: float, top: int) -> tuple[tuple[float, int], ...]:
    """A buffer that fills and is flushed again and again, and is empty at the end."""
    points = []
    for step in range(int((end - begin) * 2)):
        phase = (step / 2 % period) / period
        points.append((begin + step / 2, int(phase * top)))
    return (*points, (end, 0))


def launch(at: float, instance_id: str) -> tuple[JournalEntry, ...]:
    return (
        entry(at, instance_id, "launched"),
        entry(at, instance_id, "pending_wait"),
        entry(at + 3, instance_id, "registered"),
        entry(at + 4, instance_id, "completed", result="CONTINUE"),
        entry(at + 4, instance_id, "in_service"),
    )


JOURNAL = (
    *launch(20.0, STAYS),
    *launch(30.0, LEAVES),
    entry(50.0, LEAVES, "terminating_wait"),
    entry(53.0, LEAVES, "deregistered"),
    entry(55.0, LEAVES, "heartbeat"),
    entry(80.0, LEAVES, "completed", result="CONTINUE"),
    entry(81.0, LEAVES, "terminated"),
)

HISTORIES = {
    STAYS: history(*saw_teeth(25.0, 95.0, 8.0, 90_000)),
    LEAVES: history(*saw_teeth(35.0, 62.0, 6.0, 60_000), ended=81.0),
}


def _sample(at: int) -> Sample:
    leaving = InstanceSample(
        LEAVES,
        "Terminating:Wait" if at >= 50 else "InService",
        33 <= at < 53,
        0 if at > 62 else 12_000,
        "DRAINING" if 53 <= at < 62 else None,
        "buffer_not_empty" if 53 <= at < 62 else None,
    )
    staying = InstanceSample(STAYS, "InService", at >= 23, 40_000)
    return Sample(
        at=float(at),
        phase="Load" if at < 50 else "Scaling in",
        desired_capacity=2 if 30 <= at < 50 else 1,
        instances=(staying, leaving) if 30 <= at < 81 else (staying,),
        lines_sent=at * 100,
        lines_delivered=at * 90,
        dead_letters={QUEUE: 0},
        alarms=(),
        notifications=0,
    )


@pytest.fixture
def staying() -> str:
    return STAYS


@pytest.fixture
def leaving() -> str:
    return LEAVES


@pytest.fixture
def good_run() -> Run:
    """Two instances, one of them drained and released; nothing went wrong."""
    return Run(
        scenario="scale-in",
        seconds=100.04,
        lines=Delivery(sent=10_000, delivered=10_000, lost=0, duplicated=3),
        samples=tuple(_sample(at) for at in range(20, 100)),
        journal=JOURNAL,
        histories=HISTORIES,
        phases=(Phase(20.0, "Load"), Phase(50.0, "Scaling in")),
        notifications=(Notification(70.0, "demo-buffer-dlq", "ALARM", "What happens <next>"),),
        proven=("Both releases came after the buffer stayed empty.",),
    )
