"""Deliberate bugs, each of which some check must catch: the one that is named with it.

Most are caught by the unit test of the very decision; those marked MODEL by random histories,
without any example having been written for them.

A bug names a function of the product and puts another in its place. Most call the original, which
they took before, with what it should not believe. Where no function can be named, the decision
wants one of its own.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from lifecycle.decisions import flush, interruption, reconcile
from lifecycle.decisions.flush import FlushReason, FlushState
from lifecycle.decisions.instance import Instance
from lifecycle.decisions.interruption import Ending, Fate
from lifecycle.decisions.marks import MarkKind
from lifecycle.decisions.reconcile import Correction, Sighting, Snapshot
from lifecycle.decisions.shards import Members, Standing
from lifecycle.events import Interruption
from lifecycle.flows.placement import Placement
from lifecycle.flows.reconcile import Reconciler
from lifecycle.flows.sudden_end import _SuddenEnd
from lifecycle.settings import ReconcileMode
from tests.model import (
    mutations_of_evidence,
    mutations_of_heartbeats,
    mutations_of_stages,
    mutations_of_states,
    mutations_of_verdicts,
)
from tests.model.bugs import Mutation, each

MODEL = "tests/model/test_histories.py"
_FLUSH_VERDICT = "tests/unit/decisions/test_flush.py"
_FLUSH_WAITER = "tests/unit/flows/test_flush.py"
_RECONCILIATION = "tests/unit/decisions/test_reconcile.py"
_SHARDS = "tests/unit/decisions/test_shards.py"
_INTERRUPTIONS = "tests/unit/decisions/test_interruption.py"
_INTERRUPTION_HANDLER = "tests/unit/flows/test_interruption.py"
_SUDDEN_ENDS = "tests/unit/flows/test_sudden_end.py"
_LAST_AGGREGATOR = "tests/integration/test_last_aggregator.py"
_OBSERVING = (
    "tests/integration/test_reconciling.py::TestObserving"
    "::test_everything_is_reported_and_nothing_changed"
)


_conclude = flush._conclude


def _flushes() -> Iterator[Mutation]:
    conclude = "lifecycle.decisions.flush:_conclude"
    yield Mutation(
        "backed-up chunks ignored",
        {conclude: lambda report: _conclude(report.model_copy(update={"set_aside": 0}))},
        _FLUSH_VERDICT,
    )
    yield Mutation(
        "what went to a secondary is delivered",
        {conclude: lambda report: _conclude(report.model_copy(update={"monitor": None}))},
        _FLUSH_VERDICT,
    )
    nothing = {"chunks": 0, "bytes": 0, "monitor": None}
    yield from each(
        _FLUSH_VERDICT,
        {
            "chunk files ignored": {
                conclude: lambda report: _conclude(report.model_copy(update=nothing))
            },
            "records that come in during a flush ignored": {
                conclude: lambda report: _conclude(report.model_copy(update={"quiet": True}))
            },
            "a Fluentd that took no signal is flushed": {conclude: _unsignalled},
        },
    )
    yield Mutation(
        "what serves is flushed on a redriven message",
        {"lifecycle.flows.ownership:may_serve": lambda state: False},
        _FLUSH_WAITER,
    )
    yield Mutation(
        "a flush before forwarders have stopped sending",
        {"lifecycle.flows.flush:FlushWaiter._settled_at": lambda self, message: -math.inf},
        _FLUSH_WAITER,
    )


def _unsignalled(report: flush._Report) -> tuple[FlushState, FlushReason, str]:
    state, reason, detail = _conclude(report)
    if reason is FlushReason.NOT_SIGNALLED and not report.chunks:
        return _conclude(report.model_copy(update={"signalled": True}))
    return state, reason, detail


_confirmed, _why_out, _longest = reconcile.confirmed, reconcile._why_out, Snapshot._longest
_correct = Reconciler._correct


def _corrections() -> Iterator[Mutation]:
    module = "lifecycle.decisions.reconcile"
    yield from each(
        _RECONCILIATION,
        {
            "a reconciler that does not look twice": {
                f"{module}:confirmed": lambda first, second: reconcile.corrections(second)
            },
            "a reconciler that overlooks who is retained since an event was lost": {
                f"{module}:_is_kept": lambda sighting: False
            },
            "a reconciler that calls again and again about who is retained with a proof": {
                f"{module}:Snapshot._longest": lambda self, sighting, kind: (
                    -math.inf if kind is MarkKind.RETAINED else _longest(self, sighting, kind)
                )
            },
        },
    )
    yield from each(
        "tests/unit/decisions/test_reconcile_capacity.py",
        {
            "missing capacity counted in instances": {
                f"{module}:Snapshot.missing_capacity": lambda self: max(
                    0, self.desired_capacity - len(self.in_service)
                )
            },
            "every member taken for one in service": {
                f"{module}:Snapshot.missing_capacity": lambda self: max(
                    0,
                    self.desired_capacity - sum(self.weights.get(one, 1) for one in self.sightings),
                )
            },
        },
    )
    yield Mutation(
        "a reconciler that takes the last aggregator out",
        {"lifecycle.flows.reconcile:can_wait": lambda sighting: False},
        f"{_LAST_AGGREGATOR}::test_one_that_is_retained_stays_registered_until_another_one_serves",
    )
    yield Mutation(
        "a late copy of a launch that takes the last aggregator out",
        {"lifecycle.flows.placement:Placement.may_leave": _may_always_leave},
        f"{_LAST_AGGREGATOR}::test_a_late_copy_of_its_launch_does_not_take_the_last_one_out",
    )
    yield from each(
        _RECONCILIATION,
        {
            "a reconciler that deregisters what EC2 does not know (yet)": {
                f"{module}:_why_out": _gone_at_once
            },
            "a reconciler that starts again what is under way": {
                f"{module}:_is_stranded": lambda sighting, snapshot: (
                    snapshot.is_waiting(sighting) or reconcile._is_kept(sighting)
                )
            },
        },
    )
    yield Mutation(
        "an observer that corrects",
        {"lifecycle.flows.reconcile:Reconciler._correct": _corrected},
        _OBSERVING,
    )
    yield Mutation(
        "the fullest shard chosen for who launches",
        {"lifecycle.decisions.shards:shard_for": _fullest},
        _SHARDS,
    )


def _may_always_leave(
    self: Placement, instance_id: str, log_fields: object, leaving: object = None
) -> bool:
    return True


def _gone_at_once(sighting: Sighting) -> str | None:
    if sighting.instance is None:
        sighting = replace(sighting, state=None, is_elsewhere=False)
    return _why_out(sighting)


def _corrected(
    self: Reconciler, found: Sequence[Correction], snapshot: Snapshot
) -> tuple[int, int]:
    settings = self.settings.model_copy(update={"reconcile_mode": ReconcileMode.CORRECT})
    return _correct(replace(self, settings=settings), found, snapshot)


def _fullest(instance_id: str, members: Members) -> str:
    homes = [service_id for service_id, ids in members.items() if instance_id in ids]
    return homes[0] if homes else max(members, key=lambda service_id: len(members[service_id]))


_once_down = _SuddenEnd._find_once_down
_how_it_ended, _fate_of = interruption.how_it_ended, interruption.fate_of


def _interruptions() -> Iterator[Mutation]:
    interrupted = "lifecycle.flows.sudden_end:_SuddenEnd"
    yield Mutation(
        "a working instance deregistered on EC2's word alone",
        {f"{interrupted}._find_once_down": _ending},
        _SUDDEN_ENDS,
    )
    yield Mutation(
        "the only trace that a killed instance had served removed",
        {f"{interrupted}._keep_trace": lambda self, discovery: None},
        _SUDDEN_ENDS,
    )
    yield Mutation(
        "a sudden end that nothing is known about counted as clean",
        {"lifecycle.decisions.interruption:how_it_ended": _clean},
        _INTERRUPTIONS,
    )
    yield Mutation(
        "an instance without a group's tag taken for a foreign one",
        {
            "lifecycle.decisions.ownership:may_be_ours": lambda module, found: (
                found.group is not None
            )
        },
        _INTERRUPTION_HANDLER,
    )
    yield Mutation(
        "an event of an instance that may be foreign pages",
        {"lifecycle.decisions.interruption:fate_of": _impatient},
        _INTERRUPTION_HANDLER,
    )
    yield Mutation(
        "what failed for an instance of ours dropped as that of a foreign one",
        {"lifecycle.decisions.interruption:fate_of": _careless},
        _INTERRUPTION_HANDLER,
    )


def _impatient(error: Exception, receive_count: int, age_seconds: float) -> Fate:
    fate = _fate_of(error, receive_count, age_seconds)
    return Fate.DEAD_LETTERED if fate is Fate.DROPPED else fate


def _careless(error: Exception, receive_count: int, age_seconds: float) -> Fate:
    fate = _fate_of(error, receive_count, age_seconds)
    return Fate.DROPPED if fate is Fate.DEAD_LETTERED else fate


def _ending(self: _SuddenEnd) -> Instance | None:
    instance = _once_down(self)
    return instance and replace(instance, state="shutting-down")


def _clean(
    termination: Interruption, instance: Instance | None, *, may_have_served: bool
) -> Ending:
    ending = _how_it_ended(termination, instance, may_have_served=may_have_served)
    return Ending.PROVEN if ending is Ending.UNKNOWN_TO_EC2 else ending


def _promises() -> Iterator[Mutation]:
    """A whole guard left out: each shows that a promise of the histories can be broken at all."""
    yield Mutation(
        "released whatever Prometheus shows",
        {
            "lifecycle.flows.buffer:BufferWaiter._act_on": lambda self, message, verdict: (
                self.exit.leave(message)
            )
        },
        MODEL,
        breaks="never released while it holds a log",
    )
    yield Mutation(
        "no wait until forwarders have stopped sending, and no check that they have",
        {
            "lifecycle.flows.flush:FlushWaiter._settled_at": lambda self, message: (
                message.deregistered_at
            ),
            "lifecycle.decisions.flush:_conclude": lambda report: _conclude(
                report.model_copy(update={"quiet": True})
            ),
        },
        MODEL,
        breaks="never released while it receives",
    )
    yield Mutation(
        "the registration checked neither before a drain nor after it",
        {
            "lifecycle.decisions.operation:next_step": mutations_of_stages.seeing(
                lambda wanted, operation, _: (operation, wanted)
            ),
            "lifecycle.flows.release:Exit.leave": lambda self, message: mutations_of_stages.leave(
                replace(self, discovery=None), message
            ),
        },
        MODEL,
        breaks="never released while registered",
    )
    yield Mutation(
        "no instance is the last aggregator",
        {"lifecycle.decisions.shards:Standing.vacancies_left_by": _none_is_the_last},
        MODEL,
        breaks="the last of a service waits for a successor",
    )
    yield Mutation(
        "an instance in service is never registered afterwards",
        {"lifecycle.decisions.reconcile:_why_in": lambda sighting: None},
        MODEL,
        breaks="who is in service is registered",
    )


def _none_is_the_last(
    self: Standing, instance_id: str, leaving: object = frozenset()
) -> frozenset[str]:
    return frozenset()


MUTATIONS = [
    *mutations_of_verdicts.verdicts(),
    *mutations_of_evidence.observers(),
    *mutations_of_evidence.answers(),
    *mutations_of_evidence.functions(),
    *mutations_of_evidence.standing_checks(),
    *mutations_of_evidence.readiness_checks(),
    *mutations_of_verdicts.questions(),
    *_flushes(),
    *mutations_of_stages.batches(),
    *mutations_of_heartbeats.failures(),
    *mutations_of_stages.exits(),
    *mutations_of_stages.steps(),
    *mutations_of_stages.entrances(),
    *_corrections(),
    *_interruptions(),
    *mutations_of_states.owners(),
    *mutations_of_states.answers(),
    *mutations_of_states.states(),
    *_promises(),
]
