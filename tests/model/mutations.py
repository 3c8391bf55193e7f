"""Deliberate bugs, each of which some check must catch: the one that is named with it.

Most are caught by the unit test of the very decision; those marked MODEL by random histories,
without any example having been written for them.

A bug names a function of the product and puts another in its place. Most call the original, which
they took before, with what it should not believe. Where no function can be named, the decision
wants one of its own.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import requests

from lifecycle.adapters import prometheus
from lifecycle.adapters.prometheus import Querier, Selection
from lifecycle.decisions import buffer, flush, heartbeats, interruption, operation, reconcile
from lifecycle.decisions.buffer import Verdict
from lifecycle.decisions.evidence import BUFFER_METRICS, Evidence, Series
from lifecycle.decisions.flush import FlushReason, FlushState
from lifecycle.decisions.instance import Instance
from lifecycle.decisions.interruption import Ending, Fate
from lifecycle.decisions.marks import MarkKind
from lifecycle.decisions.operation import WANTED_TYPE, NextStep, Operation, OperationStatus
from lifecycle.decisions.reconcile import Correction, Snapshot, Subject
from lifecycle.decisions.shards import Members
from lifecycle.errors import NotReady, PrometheusFailed
from lifecycle.events import Interruption
from lifecycle.flows import batch
from lifecycle.flows.placement import Placement, Standing
from lifecycle.flows.reconcile import Reconciler
from lifecycle.flows.release import Exit
from lifecycle.flows.stage import NextStage
from lifecycle.flows.sudden_end import _SuddenEnd
from lifecycle.messages import DrainCheck, LifecycleAction, Transition, parse_check_message
from lifecycle.settings import ReconcileMode
from tests.model import mutations_of_evidence, mutations_of_heartbeats, mutations_of_states
from tests.model.bugs import Mutation

MODEL = "tests/model/test_histories.py"
_VERDICT = "tests/unit/decisions/test_buffer.py"
_FLUSH_VERDICT = "tests/unit/decisions/test_flush.py"
_FLUSH_WAITER = "tests/unit/flows/test_flush.py"
_BATCH = "tests/unit/flows/test_batch.py"
_OPERATIONS = "tests/unit/decisions/test_operation.py"
_HANDLER = "tests/unit/flows/test_entrance.py"
_AUTOSCALING = "tests/unit/adapters/test_autoscaling.py"
_RECONCILIATION = "tests/unit/decisions/test_reconcile.py"
_STATES = "tests/unit/decisions/test_states.py"
_SHARDS = "tests/unit/decisions/test_shards.py"
_INTERRUPTIONS = "tests/unit/decisions/test_interruption.py"
_INTERRUPTION_HANDLER = "tests/unit/flows/test_interruption.py"
_SUDDEN_ENDS = "tests/unit/flows/test_sudden_end.py"
_PROMETHEUS = "tests/unit/adapters/test_prometheus.py"
_FAULTY_AWS = (
    "tests/integration/test_faulty_aws.py"
    "::test_a_drain_survives_a_call_that_fails[CompleteLifecycleAction-refuse]"
)
_LAST_AGGREGATOR = "tests/integration/test_last_aggregator.py"
_OBSERVING = (
    "tests/integration/test_reconciling.py::TestObserving"
    "::test_everything_is_reported_and_nothing_changed"
)
_DRAINING = (
    "tests/integration/test_draining.py::TestDiscovery"
    "::test_an_instance_that_somebody_registered_again_is_taken_out_again"
)


_unreadable, _holding, _incomplete = buffer._unreadable, buffer._holding, buffer._incomplete


def _verdicts() -> Iterator[Mutation]:
    module = "lifecycle.decisions.buffer"
    yield Mutation(
        "a sum over all outputs instead of minimum and maximum",
        {
            f"{module}:_miscounted": lambda evidence: None,
            f"{module}:_highest": lambda evidence, series: sum(
                value for one in evidence.buffers for _, value in evidence.window(one)
            ),
        },
        _VERDICT,
    )
    yield Mutation(
        "only the maximum, so that a negative count hides bytes",
        {
            f"{module}:_miscounted": lambda evidence: None,
            f"{module}:_is_held": lambda count: count > 0,
        },
        _VERDICT,
    )
    yield Mutation(
        "an empty answer read as zero", {f"{module}:_unreadable": _empty_is_zero}, _VERDICT
    )
    yield Mutation(
        "a window that may start before forwarders have let go",
        {f"{module}:_settling": lambda evidence, deregistered_at: None},
        _VERDICT,
    )
    yield Mutation(
        "`up` ignored",
        {
            f"{module}:_unreadable": lambda evidence: _unreadable(_always_up(evidence)),
            f"{module}:_incomplete": lambda evidence: _incomplete(_always_up(evidence)),
        },
        _VERDICT,
    )
    yield Mutation(
        "staged and queued chunks without the total",
        {f"{module}:_holding": lambda evidence: _holding(_without_total(evidence))},
        _VERDICT,
    )
    yield Mutation(
        "the newest sample may be of any age",
        {f"{module}:_unreadable": lambda evidence: _unreadable(_of_any_age(evidence))},
        _VERDICT,
    )
    yield Mutation(
        "an instant instead of a range",
        {
            "lifecycle.decisions.evidence:Evidence.window_start": lambda self: (
                self.now - self.rules.scrape_interval_seconds
            )
        },
        _VERDICT,
    )
    yield Mutation(
        "emit_records ignored", {f"{module}:_receiving": lambda evidence: None}, _VERDICT
    )
    yield Mutation(
        "a missing series ignored",
        {f"{module}:_without": lambda metric, evidence: None},
        _VERDICT,
    )
    yield Mutation(
        "gaps ignored",
        {"lifecycle.decisions.evidence:Evidence.gap": lambda self, series: None},
        _VERDICT,
    )
    yield Mutation(
        "the heartbeat output ignored", {f"{module}:_frozen": lambda evidence: None}, _VERDICT
    )
    yield Mutation(
        "fewer outputs than expected accepted",
        {f"{module}:_incomplete": lambda evidence: _incomplete(_of_any_number(evidence))},
        _VERDICT,
    )


def _empty_is_zero(evidence: Evidence) -> Verdict | None:
    total = evidence.of(BUFFER_METRICS[0])
    return _unreadable(evidence) if total else buffer._drained(evidence)


def _always_up(evidence: Evidence) -> Evidence:
    return replace(evidence, up=_all_up(evidence.up), further_up=_all_up(evidence.further_up))


def _all_up(series: Sequence[Series]) -> list[Series]:
    return [replace(up, samples=[(time, 1.0) for time, _ in up.samples]) for up in series]


def _without_total(evidence: Evidence) -> Evidence:
    rest = {metric: of for metric, of in evidence.outputs.items() if metric != BUFFER_METRICS[0]}
    return replace(evidence, outputs=rest)


def _of_any_age(evidence: Evidence) -> Evidence:
    return replace(evidence, rules=replace(evidence.rules, scrape_interval_seconds=math.inf))


def _of_any_number(evidence: Evidence) -> Evidence:
    return replace(evidence, rules=replace(evidence.rules, expected_buffered_outputs=None))


_fetch = prometheus.fetch


def _questions() -> Iterator[Mutation]:
    module = "lifecycle.adapters.prometheus"
    yield Mutation(
        "one instance judged by another's series",
        {f"{module}:_grouped": _all_to_each},
        _PROMETHEUS,
    )
    yield Mutation(
        "an answer that is none read as no series", {f"{module}:fetch": _none_is_empty}, _PROMETHEUS
    )
    yield Mutation(
        "a redirect followed that repeats the credentials",
        {f"{module}:_Discreet.get_redirect_target": _redirected},
        _PROMETHEUS,
    )


def _all_to_each(series: Sequence[Series], selection: Selection) -> dict[str, list[Series]]:
    return {value: list(series) for value in selection.values} if series else {}


def _none_is_empty(querier: Querier, selection: Selection, now: float) -> dict[str, list[Series]]:
    try:
        return _fetch(querier, selection, now)
    except PrometheusFailed as error:
        if isinstance(error.__cause__, (LookupError, TypeError, ValueError)):
            return {}
        raise


def _redirected(self: requests.Session, resp: requests.Response) -> str | None:
    target = requests.Session.get_redirect_target(self, resp)
    if target and "@" in urlsplit(target).netloc:
        raise PrometheusFailed("the redirect has credentials in it: not shown, not followed")
    return target


_conclude = flush._conclude


def _flushes() -> Iterator[Mutation]:
    conclude = "lifecycle.decisions.flush:_conclude"
    yield Mutation(
        "chunks set aside ignored",
        {conclude: lambda report: _conclude(report.model_copy(update={"set_aside": 0}))},
        _FLUSH_VERDICT,
    )
    nothing = {"chunks": 0, "bytes": 0, "monitor": None}
    yield Mutation(
        "chunk files ignored",
        {conclude: lambda report: _conclude(report.model_copy(update=nothing))},
        _FLUSH_VERDICT,
    )
    yield Mutation(
        "records that come in during a flush ignored",
        {conclude: lambda report: _conclude(report.model_copy(update={"quiet": True}))},
        _FLUSH_VERDICT,
    )
    yield Mutation(
        "a Fluentd that took no signal is flushed", {conclude: _unsignalled}, _FLUSH_VERDICT
    )
    yield Mutation(
        "a flush before forwarders have let go",
        {"lifecycle.flows.flush:FlushWaiter._settled_at": lambda self, message: -math.inf},
        _FLUSH_WAITER,
    )


def _unsignalled(report: flush._Report) -> tuple[FlushState, FlushReason, str]:
    state, reason, detail = _conclude(report)
    if reason is FlushReason.NOT_SIGNALLED and not report.chunks:
        return _conclude(report.model_copy(update={"signalled": True}))
    return state, reason, detail


_Receive = batch._Receive
_run, _wait, _dead_letter = _Receive.run, _Receive._wait, _Receive._dead_letter
_keep_alive = _Receive._keep_alive


def _batches() -> Iterator[Mutation]:
    receive = "lifecycle.flows.batch:_Receive"
    yield Mutation(
        "an error of a check treated as drained", {f"{receive}._wait": _error_is_done}, _BATCH
    )
    yield Mutation("a deadline that drops the message", {f"{receive}._wait": _drops}, MODEL)
    yield Mutation(
        "a dead letter that fails silently", {f"{receive}._dead_letter": _silently}, _BATCH
    )
    yield Mutation(
        "one malformed message crashes its batch",
        {
            "lifecycle.flows.batch:_parse": lambda record, model: parse_check_message(
                model, record.get("body")
            )
        },
        _BATCH,
    )
    yield Mutation("a heartbeat after the completion", {f"{receive}.run": _beats_after_it}, MODEL)
    yield Mutation(
        "no heartbeat while it waits",
        {f"{receive}._keep_alive": lambda self, message: (True, None)},
        f"{_BATCH}::TestNotReady",
    )
    yield Mutation(
        "a failed heartbeat ends the wait", {f"{receive}._keep_alive": _must_beat}, _BATCH
    )


def _error_is_done(
    self: "batch._Receive[Any]",
    message: DrainCheck,
    reason: str,
    pause_seconds: float | None,
    error: Exception,
) -> None:
    if isinstance(error, NotReady):
        _wait(self, message, reason, pause_seconds, error)


def _drops(
    self: "batch._Receive[Any]",
    message: DrainCheck,
    reason: str,
    pause_seconds: float | None,
    error: Exception,
) -> None:
    if self._stage.polls.has_timed_out(self._sent_at, self._stage.runtime.clock()):
        self._keep_alive(message)
    else:
        _wait(self, message, reason, pause_seconds, error)


def _silently(
    self: "batch._Receive[Any]",
    reason: str,
    message: DrainCheck | None,
    redrive_with: str | None = None,
) -> None:
    with suppress(Exception):
        _dead_letter(self, reason, message, redrive_with)


def _beats_after_it(
    self: "batch._Receive[Any]", message: DrainCheck, check: Callable[[DrainCheck], None]
) -> None:
    def checked(message: DrainCheck) -> None:
        check(message)
        self._stage.heartbeats.autoscaling.record_heartbeat(message.action)

    _run(self, message, checked)


def _must_beat(
    self: "batch._Receive[Any]", message: DrainCheck
) -> tuple[bool, heartbeats.Silence | None]:
    is_waited_for, silence = _keep_alive(self, message)
    return is_waited_for and silence is None, silence


_leave, _release = Exit.leave, Exit._release


def _exits() -> Iterator[Mutation]:
    exit_ = "lifecycle.flows.release:Exit"
    yield Mutation(
        "acknowledged before it is completed", {f"{exit_}._release": _released}, _FAULTY_AWS
    )
    yield Mutation(
        "completed before the last stage",
        {f"{exit_}.leave": lambda self, message: _leave(replace(self, next_stage=None), message)},
        _FLUSH_WAITER,
    )
    yield Mutation(
        "completed without asking Cloud Map again",
        {f"{exit_}.leave": lambda self, message: _leave(replace(self, discovery=None), message)},
        _DRAINING,
    )
    yield Mutation(
        "handed on without a message for the next stage",
        {"lifecycle.flows.stage:NextStage.enqueue": _forgets},
        MODEL,
    )


def _forgets(
    self: NextStage, action: LifecycleAction, *, deregistered_at: float, requested_again: int = 0
) -> None: ...


def _released(self: Exit, action: LifecycleAction, state: str | None) -> None:
    with suppress(Exception):
        _release(self, action, state)


_next_step = operation.next_step
_Seen = tuple[Operation | None, bool]  # the operation, and whether the instance is registered


def _steps() -> Iterator[Mutation]:
    step = "lifecycle.decisions.operation:next_step"
    yield Mutation(
        "SUCCESS believed without a look at the registration",
        {step: _seeing(lambda wanted, operation, _: (operation, wanted))},
        _OPERATIONS,
    )
    yield Mutation(
        "the operation of a DuplicateRequest taken for ours", {step: _seeing(_ours)}, _OPERATIONS
    )
    yield Mutation("a failed operation taken for done", {step: _seeing(_done)}, _OPERATIONS)
    yield Mutation(
        "InstanceNotFound believed at once",
        {
            step: _seeing(
                lambda wanted, one, registered: (one, wanted if one is None else registered)
            )
        },
        _OPERATIONS,
    )
    yield Mutation("an operation under way taken for done", {step: _seeing(_over)}, _OPERATIONS)


def _seeing(change: Callable[[bool, Operation | None, bool], _Seen]) -> Callable[..., NextStep]:
    """The decision, upon something else than what there is."""

    def next_step(
        transition: Transition,
        operation: Operation | None,
        *,
        registered: bool,
        requested_again: int,
    ) -> NextStep:
        wanted = transition is Transition.LAUNCHING
        operation, registered = change(wanted, operation, registered)
        return _next_step(
            transition, operation, registered=registered, requested_again=requested_again
        )

    return next_step


def _ours(wanted: bool, operation: Operation | None, registered: bool) -> _Seen:
    transition = Transition.LAUNCHING if wanted else Transition.TERMINATING
    return operation and replace(operation, type=WANTED_TYPE[transition]), registered


def _done(wanted: bool, operation: Operation | None, registered: bool) -> _Seen:
    if operation is not None and operation.status is OperationStatus.FAIL:
        operation = replace(operation, status=OperationStatus.SUCCESS)
    return operation, registered


def _over(wanted: bool, operation: Operation | None, registered: bool) -> _Seen:
    if operation is None or operation.status not in {
        OperationStatus.SUBMITTED,
        OperationStatus.PENDING,
    }:
        return operation, registered
    operation = replace(operation, status=OperationStatus.SUCCESS)
    return _ours(wanted, operation, registered)[0], wanted


def _entrances() -> Iterator[Mutation]:
    module = "lifecycle.flows.entrance"
    yield Mutation(
        "an instance registered though it is on its way out",
        {f"{module}:may_serve": lambda state: True},
        _HANDLER,
    )
    yield Mutation(
        "a working instance deregistered", {f"{module}:is_leaving": lambda state: True}, _HANDLER
    )
    yield Mutation(
        "an instance bound for the warm pool registered",
        {f"{module}:Entrance.enter_warm_pool": lambda self, action: self.launch(action)},
        _HANDLER,
    )
    yield Mutation(
        "any ValidationError taken for an ended action",
        {
            "lifecycle.adapters.autoscaling:_is_no_active_action": lambda error: (
                error.response["Error"]["Code"] == "ValidationError"
            )
        },
        _AUTOSCALING,
    )
    yield Mutation(
        "an action that ended by itself taken for a release",
        {"lifecycle.decisions.states:has_ended": lambda state: True},
        _STATES,
    )


_confirmed, _why_out, _longest = reconcile.confirmed, reconcile._why_out, Snapshot._longest
_correct = Reconciler._correct


def _corrections() -> Iterator[Mutation]:
    module = "lifecycle.decisions.reconcile"
    yield Mutation(
        "a reconciler that does not look twice",
        {f"{module}:confirmed": lambda first, second: reconcile.corrections(second)},
        _RECONCILIATION,
    )
    yield Mutation(
        "a reconciler that overlooks who is retained since an event was lost",
        {f"{module}:_is_kept": lambda subject: False},
        _RECONCILIATION,
    )
    yield Mutation(
        "a reconciler that calls again and again about who is retained with a proof",
        {
            f"{module}:Snapshot._longest": lambda self, subject, kind: (
                -math.inf if kind is MarkKind.RETAINED else _longest(self, subject, kind)
            )
        },
        _RECONCILIATION,
    )
    yield Mutation(
        "a reconciler that takes the last aggregator out",
        {"lifecycle.flows.reconcile:can_wait": lambda subject: False},
        f"{_LAST_AGGREGATOR}::test_one_that_is_retained_stays_registered_until_somebody_else_serves",
    )
    yield Mutation(
        "a late copy of a launch that takes the last aggregator out",
        {"lifecycle.flows.placement:Placement.may_leave": _may_always_leave},
        f"{_LAST_AGGREGATOR}::test_a_late_copy_of_its_launch_does_not_take_the_last_one_out",
    )
    yield Mutation(
        "a reconciler that deregisters what EC2 does not know (yet)",
        {f"{module}:_why_out": _gone_at_once},
        _RECONCILIATION,
    )
    yield Mutation(
        "a reconciler that starts again what is under way",
        {
            f"{module}:_is_stranded": lambda subject, look: (
                look.is_waiting(subject) or reconcile._is_kept(subject)
            )
        },
        _RECONCILIATION,
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


def _gone_at_once(subject: Subject) -> str | None:
    if subject.instance is None:
        subject = replace(subject, state=None, is_elsewhere=False)
    return _why_out(subject)


def _corrected(self: Reconciler, found: Sequence[Correction], look: Snapshot) -> tuple[int, int]:
    settings = self.settings.model_copy(update={"reconcile_mode": ReconcileMode.CORRECT})
    return _correct(replace(self, settings=settings), found, look)


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
        "a sudden end that nobody knows anything about counted as clean",
        {"lifecycle.decisions.interruption:how_it_ended": _clean},
        _INTERRUPTIONS,
    )
    yield Mutation(
        "an instance without a group's tag taken for a foreign one",
        {"lifecycle.decisions.interruption:may_be_in": lambda group, tagged: tagged == group},
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
        "nobody waits until forwarders have let go, nor looks whether they have",
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
        "nobody looks at the registration, neither before a drain nor after it",
        {
            "lifecycle.decisions.operation:next_step": _seeing(
                lambda wanted, operation, _: (operation, wanted)
            ),
            "lifecycle.flows.release:Exit.leave": lambda self, message: _leave(
                replace(self, discovery=None), message
            ),
        },
        MODEL,
        breaks="never released while registered",
    )
    yield Mutation(
        "nobody is the last aggregator",
        {"lifecycle.flows.placement:Standing.vacancies_left_by": _none_is_the_last},
        MODEL,
        breaks="the last of a service waits for a successor",
    )
    yield Mutation(
        "nobody who serves is registered afterwards",
        {"lifecycle.decisions.reconcile:_why_in": lambda subject: None},
        MODEL,
        breaks="who is in service is registered",
    )


def _none_is_the_last(
    self: Standing, instance_id: str, leaving: object = frozenset()
) -> frozenset[str]:
    return frozenset()


MUTATIONS = [
    *_verdicts(),
    *mutations_of_evidence.observers(),
    *mutations_of_evidence.answers(),
    *_questions(),
    *_flushes(),
    *_batches(),
    *mutations_of_heartbeats.failures(),
    *_exits(),
    *_steps(),
    *_entrances(),
    *_corrections(),
    *_interruptions(),
    *mutations_of_states.answers(),
    *mutations_of_states.states(),
    *_promises(),
]
