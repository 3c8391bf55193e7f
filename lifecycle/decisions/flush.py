"""The verdict on whether a flush left nothing behind, from what the instance itself answered.

A pure function; it knows no AWS call. The answer is the one line of JSON that the module's SSM
document prints (``terraform/flush.sh``) after it has signalled Fluentd and looked at its disk.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lifecycle.errors import describe_problems

_Count = Annotated[int, Field(ge=0)]
_LONGEST_OUTPUT_SHOWN = 300
# GetCommandInvocation returns so many characters of the output, and nothing says that it has more.
_MOST_OUTPUT = 24_000


class FlushState(StrEnum):
    """What is known about an instance after a flush."""

    FLUSHED = "FLUSHED"
    REMAINING = "REMAINING"
    SET_ASIDE = "SET_ASIDE"
    UNKNOWN = "UNKNOWN"


class FlushReason(StrEnum):
    """Why a flush verdict is what it is."""

    NOTHING_LEFT = "nothing_left"
    # REMAINING: a sound answer, and it says "not yet".
    RETRYING = "retrying"
    CHUNKS_LEFT = "chunks_left"
    RECEIVING = "receiving"
    # SET_ASIDE: would die with the instance, and no flush brings it back.
    CHUNKS_SET_ASIDE = "chunks_set_aside"
    # UNKNOWN: no sound answer.
    AGENT_NOT_REACHABLE = "agent_not_reachable"
    NOT_FINISHED = "not_finished"
    NOT_DELIVERED = "not_delivered"
    TIMED_OUT = "timed_out"
    COMMAND_FAILED = "command_failed"
    MALFORMED_ANSWER = "malformed_answer"
    NOT_SIGNALLED = "not_signalled"


@dataclass(frozen=True, slots=True)
class Invocation:
    """A command on one instance, as ``GetCommandInvocation`` tells it.

    ``status`` and ``status_details`` are as AWS spells them
    (docs.aws.amazon.com/systems-manager/latest/userguide/monitor-commands.html).
    """

    status: str
    status_details: str = ""
    output: str = ""
    error_output: str = ""

    @property
    def is_finished(self) -> bool:
        """Whether the status can still change."""
        return self.status not in {"Pending", "InProgress", "Delayed", "Cancelling"}


@dataclass(frozen=True, slots=True)
class FlushVerdict:
    """The answer for one instance; counts are None where the instance gave no sound answer.

    ``retry_next_at`` (epoch seconds) is when Fluentd tries its destination again by itself; until
    then it ignores every signal.
    """

    state: FlushState
    reason: FlushReason
    detail: str
    chunks: int | None = None
    bytes: int | None = None
    set_aside: int | None = None
    retry_next_at: float | None = None


class _Monitor(BaseModel):
    """Live counters of ``monitor_agent``, all outputs together."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    staged: _Count
    queued: _Count
    bytes: int  # can drift below zero, like the metric
    retrying: _Count
    retry_next_at: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None
    emit_records: _Count
    # Chunks that went to a <secondary> of which flush.backup_paths do not say where it writes.
    secondary: _Count
    outputs: dict[str, _Count]


class _Report(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    version: Literal[1]
    service: str
    signalled: bool
    chunks: _Count
    bytes: _Count
    set_aside: _Count
    quiet: bool
    # Whether a restart of Fluentd would lose nothing: for the operator, no part of the verdict.
    restartable: bool
    looked_at: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
    # What each output had emitted at the look before.
    outputs_before: dict[str, _Count]
    monitor: _Monitor | None


def judge_flush(invocation: Invocation) -> FlushVerdict:
    """Judge one instance from a finished invocation of the flush document.

    FLUSHED only for a success whose answer leaves nothing open. Never raises for what it holds.
    """
    if invocation.status != "Success":
        return _unfinished(invocation)
    if len(invocation.output) >= _MOST_OUTPUT:
        detail = f"the answer may be cut off after {_MOST_OUTPUT} characters"
        return unknown_flush(FlushReason.MALFORMED_ANSWER, detail)
    try:
        report = _Report.model_validate_json(invocation.output.strip())
    except ValidationError as error:
        output = invocation.output.strip()[:_LONGEST_OUTPUT_SHOWN]
        detail = f"{describe_problems(error, show=lambda _: '')}: {output!r}"
        return unknown_flush(FlushReason.MALFORMED_ANSWER, detail)
    return _from_report(report)


def unknown_flush(reason: FlushReason, detail: str) -> FlushVerdict:
    """Return the verdict for an instance that gave no sound answer."""
    return FlushVerdict(FlushState.UNKNOWN, reason, detail)


def _unfinished(invocation: Invocation) -> FlushVerdict:
    details = invocation.status_details or invocation.status
    reason = FlushReason.COMMAND_FAILED
    if not invocation.is_finished:
        reason = FlushReason.NOT_FINISHED
    elif details.replace(" ", "") in {"Undeliverable", "DeliveryTimedOut"}:
        reason = FlushReason.NOT_DELIVERED
    elif invocation.status == "TimedOut":
        reason = FlushReason.TIMED_OUT
    said = (invocation.error_output or invocation.output).strip()[:_LONGEST_OUTPUT_SHOWN]
    return unknown_flush(reason, f"{details}: {said}" if said else details)


def _from_report(report: _Report) -> FlushVerdict:
    state, reason, detail = _conclude(report)
    return FlushVerdict(
        state=state,
        reason=reason,
        detail=detail,
        chunks=report.chunks,
        bytes=report.bytes,
        set_aside=report.set_aside,
        retry_next_at=report.monitor.retry_next_at if report.monitor else None,
    )


def _conclude(report: _Report) -> tuple[FlushState, FlushReason, str]:
    monitor = report.monitor
    if report.set_aside:
        detail = f"{report.set_aside} backed-up chunks: they would die with the instance"
        return FlushState.SET_ASIDE, FlushReason.CHUNKS_SET_ASIDE, detail
    if monitor is not None and monitor.secondary:
        detail = (
            f"{monitor.secondary} chunks went to a <secondary>, perhaps on this instance: "
            "flush.backup_paths do not say where"
        )
        return FlushState.SET_ASIDE, FlushReason.CHUNKS_SET_ASIDE, detail
    held = report.chunks or report.bytes
    counted = monitor is not None and (monitor.staged or monitor.queued or monitor.bytes)
    if held or counted:
        left = f"{report.chunks} chunk files ({report.bytes} bytes)"
        if monitor is not None:
            left += f", {monitor.staged} staged, {monitor.queued} queued, {monitor.bytes} bytes"
            if monitor.retrying:
                detail = f"{left}: an output is in retry back-off and ignores signals until then"
                return FlushState.REMAINING, FlushReason.RETRYING, detail
        if not report.signalled:
            detail = f"{left}: {report.service} took no signal: it may not run, or hang"
            return FlushState.UNKNOWN, FlushReason.NOT_SIGNALLED, detail
        return FlushState.REMAINING, FlushReason.CHUNKS_LEFT, left
    if not report.signalled:
        detail = f"{report.service} took no signal: it may not run, or hang"
        return FlushState.UNKNOWN, FlushReason.NOT_SIGNALLED, detail
    if not report.quiet:
        after = monitor.outputs if monitor else {}
        moved = {one: count - report.outputs_before.get(one, 0) for one, count in after.items()}
        names = ", ".join(f"{one} (+{records})" for one, records in moved.items() if records)
        detail = f"empty, but records came in between two looks{names and ': into '}{names}"
        return FlushState.REMAINING, FlushReason.RECEIVING, detail
    looked_at = ", ".join(report.looked_at)
    detail = f"no chunk file left, none backed up; looked at {looked_at}"
    return FlushState.FLUSHED, FlushReason.NOTHING_LEFT, detail
