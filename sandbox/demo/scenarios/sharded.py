"""The scenario of a fleet that no single DNS answer holds: 20 aggregators in three shards.

An answer names eight instances of a service, chosen at random if there are more. In one service
forwarders would lose some of their targets with every look-up, and find others: they would flap.
"""

import time
from dataclasses import dataclass

from sandbox.demo.scenarios import acts
from sandbox.demo.scenarios.stage import Stage
from sandbox.fleet.forwarders.dns import ANSWER_LIMIT
from sandbox.host.waiting import CheckFailed, wait_until

SHARDS = 3
# They warm the functions up: twenty cold starts at once take the emulator a minute.
FIRST = 4
SIZE = 20
STAYING = 17
# Few of them: each looks up three services and twenty addresses every two seconds.
FORWARDERS = 4
LINES_PER_SECOND = 200.0
# Twenty launches at once wait for the emulators, which have two cores, longer than one does.
TIMING = {
    "operation_timeout_seconds": 300,
    "poll_interval_max_seconds": 100,  # a sixth of the heartbeat timeouts
    "launch_heartbeat_timeout_seconds": 600,
    "terminate_heartbeat_timeout_seconds": 600,
}

_JOIN_SECONDS = 180.0
_LEARN_SECONDS = 60.0
# A dozen look-ups of each forwarder, each of which may bring another answer.
_STEADY_SECONDS = 25.0
# A forwarder applies what it learnt every 3 s: no change comes and goes between two polls.
_POLL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Watched:
    """A time in which nothing was to change: the polls, and the fullest shard in any of them."""

    begun_at: float
    polls: int
    fullest: int


def begin(stage: Stage) -> None:
    """Four, then twenty. Forwarders begin by themselves, when each shard has an aggregator."""
    stage.recorder.phase(f"{FIRST} aggregators join {SHARDS} shards")
    stage.start_load()
    stage.set_desired_capacity(FIRST)
    acts.wait_for_service(stage, FIRST, _JOIN_SECONDS)
    stage.recorder.phase(f"Scaling out {FIRST} → {SIZE} under load")
    stage.set_desired_capacity(SIZE)
    acts.wait_for_service(stage, SIZE, _JOIN_SECONDS)


def play(stage: Stage) -> None:
    """Watch what the forwarders send to while nothing changes; then let three leave."""
    addresses = _wait_until_known(stage, SIZE)
    stage.recorder.phase(f"{SIZE} aggregators under load: none may flap")
    watched = _watch(stage, addresses)
    taken = _chunks_taken(stage, watched)
    stage.proven(
        f"{SIZE} aggregators in {SHARDS} shards: in {watched.polls} polls, {_STEADY_SECONDS:g} s "
        f"long, each forwarder sent to all {SIZE}, none flapped. No shard held more than "
        f"{watched.fullest}. Each aggregator took {min(taken)} chunks or more meanwhile."
    )
    leaving = acts.leave(stage, SIZE, STAYING)
    acts.wait_for_release(stage, leaving, _JOIN_SECONDS)
    _wait_until_known(stage, STAYING)
    stage.proven(f"{len(leaving)} of them left; all forwarders then sent to the other {STAYING}.")


def _wait_until_known(stage: Stage, size: int) -> frozenset[str]:
    """Wait until no shard overflows and all forwarders send to all; the addresses of all."""

    def known() -> frozenset[str] | None:
        lists = set(stage.targets().values())
        sizes = stage.shard_sizes()
        is_settled = sum(sizes) == size and max(sizes) <= ANSWER_LIMIT
        addresses = lists.pop()
        return addresses if is_settled and not lists and len(addresses) == size else None

    return wait_until(
        f"{size} registrations in shards of at most {ANSWER_LIMIT}, and for every forwarder to "
        "know all of them",
        known,
        _LEARN_SECONDS,
        situation=lambda: (
            f"The shards hold {stage.shard_sizes()}, the forwarders know "
            f"{[len(targets) for targets in stage.targets().values()]}."
        ),
    )


def _watch(stage: Stage, addresses: frozenset[str]) -> Watched:
    begun_at, end = time.time(), time.monotonic() + _STEADY_SECONDS
    polls = fullest = 0
    while time.monotonic() < end:
        for forwarder, targets in stage.targets().items():
            if targets != addresses:
                raise CheckFailed(
                    f"{forwarder} flaps: of {len(addresses)} aggregators that stayed in service it "
                    f"does not know {sorted(addresses - targets)}, and knows besides "
                    f"{sorted(targets - addresses)}."
                )
        fullest = max(fullest, *stage.shard_sizes())
        if fullest > ANSWER_LIMIT:
            raise CheckFailed(f"A shard held {fullest} aggregators; an answer names 8 of them.")
        polls += 1
        time.sleep(_POLL_SECONDS)
    return Watched(begun_at, polls, fullest)


def _chunks_taken(stage: Stage, watched: Watched) -> list[int]:
    """How much each aggregator took while it was watched."""
    names = acts.names_in(stage.recorder.samples[-1])
    taken = {name: stage.chunks_taken(name, watched.begun_at) for name in names}
    if not all(taken.values()):
        silent = [name for name, chunks in taken.items() if not chunks]
        raise CheckFailed(f"In service, known to all, and without a line: {', '.join(silent)}.")
    return list(taken.values())
