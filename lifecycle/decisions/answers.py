"""What the evidence function is asked, what it answers, and which answer counts.

Both forms are an interface: during an upgrade the asking function and the answering one may be of
two versions. So what is optional is left out unless it is used: to the other version, an unknown
field is no question, and no answer. Neither holds credentials.
"""

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from lifecycle.decisions.buffer import Verdict
from lifecycle.decisions.evidence import Rules, Series
from lifecycle.errors import EvidenceFailed, Malformed, describe_problems
from lifecycle.messages import EpochSeconds, InstanceId
from lifecycle.settings import LabelName

# An instance id or an address: it ends up in PromQL, so nothing else may pass.
_LabelValue = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z.:-]{1,255}$")]
MOST_INSTANCES = 100  # of one question
# Of the samples in an answer: far below the 6 MB that Lambda returns.
MOST_SAMPLE_BYTES = 1_000_000
_STRICT = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class Purpose(StrEnum):
    """What is to be found out; an answer to one question is none to another."""

    PROOF = "proof"  # is it empty and quiet?
    STANDING = "standing"  # in service: could it be proven today?
    READINESS = "readiness"  # launching: does its Fluentd run?


class Subject(BaseModel):
    """One instance to judge: what its label holds, and when it was out of service discovery.

    Of an instance that is not to leave: when it would be, if it left now.
    """

    model_config = _STRICT

    label_value: _LabelValue
    deregistered_at: EpochSeconds


class Question(BaseModel):
    """Are these instances proven empty by these rules, or what else ``purpose`` asks of them?

    ``own_events_output`` is the ``plugin_id`` of the output that Fluentd's own events should go
    to; only STANDING looks for it. With samples only one instance can be asked about.
    """

    model_config = _STRICT

    version: Literal[1]
    instances: Annotated[dict[InstanceId, Subject], Field(min_length=1, max_length=MOST_INSTANCES)]
    instance_label: LabelName
    rules: Rules
    purpose: Annotated[Purpose, Field(strict=False)] = Purpose.PROOF
    own_events_output: Annotated[str, StringConstraints(min_length=1)] | None = None
    with_samples: bool = False

    @field_validator("with_samples")
    @classmethod
    def _of_one_instance(cls, wanted: bool, info: ValidationInfo) -> bool:  # noqa: FBT001 (a field)
        if wanted and len(info.data.get("instances", ())) > 1:
            raise ValueError("may only be set for a single instance")
        return wanted


class SampledSeries(BaseModel):
    """One series: times (epoch seconds) and values, which JSON has no number for if not finite."""

    model_config = _STRICT

    labels: dict[str, str]
    samples: tuple[tuple[float, str], ...]


class Samples(BaseModel):
    """An instance's series over the window; ``left_out`` older samples found no room."""

    model_config = _STRICT

    series: tuple[SampledSeries, ...]
    left_out: int


class Answer(BaseModel):
    """The verdict for each instance, as of ``now`` (epoch seconds)."""

    model_config = _STRICT

    version: Literal[1]
    now: EpochSeconds
    verdicts: dict[InstanceId, Verdict]
    samples: Samples | None = None


def samples_of(series: Sequence[Series]) -> Samples:
    """Return an instance's series for an answer: if they are too large, the newest samples."""
    kept = [
        SampledSeries(
            labels=dict(one.labels), samples=tuple((at, str(value)) for at, value in one.samples)
        )
        for one in series
    ]
    total = _number_of_samples(kept)
    while True:
        left_out = total - _number_of_samples(kept)
        samples = Samples(series=tuple(kept), left_out=left_out)
        if len(samples.model_dump_json().encode()) <= MOST_SAMPLE_BYTES:
            return samples
        kept = _halved(kept)


def _halved(series: Sequence[SampledSeries]) -> list[SampledSeries]:
    """Leave out the older half of each; once there are labels alone, half of the series."""
    if not _number_of_samples(series):
        return list(series[: len(series) // 2])
    return [
        SampledSeries(labels=one.labels, samples=one.samples[(len(one.samples) + 1) // 2 :])
        for one in series
    ]


def _number_of_samples(series: Sequence[SampledSeries]) -> int:
    return sum(len(one.samples) for one in series)


def parse_question(event: object) -> Question:
    """Read what the function was invoked with; raises Malformed, naming field and value."""
    try:
        return Question.model_validate_json(json.dumps(event))
    except ValidationError as error:
        raise Malformed(f"question: {describe_problems(error)}") from error


def parse_answer(payload: bytes) -> Answer:
    """Read what an invocation returned; raises EvidenceFailed for anything but an answer."""
    try:
        return Answer.model_validate_json(payload)
    except ValidationError as error:
        raise EvidenceFailed(f"not an answer: {describe_problems(error)}") from None


def flaw_of(
    answer: Answer, question: Question, *, asked_at: float, received_at: float
) -> str | None:
    """Say why an answer is none to this question, None if it is one.

    The times are the asking function's (epoch seconds): the answer must be made between them, give
    or take one scrape interval for two clocks that differ.
    """
    if not _is_about(answer, question):
        about, asked = ", ".join(answer.verdicts) or "nothing", ", ".join(question.instances)
        return f"an answer about {about}, asked was {asked}"
    if not _is_of_this_time(answer, question, asked_at, received_at):
        waited = f"{asked_at:.1f} to {received_at:.1f}"
        return f"an answer of another time: {answer.now:.1f}, it was waited for from {waited}"
    return None


def _is_about(answer: Answer, question: Question) -> bool:
    return answer.verdicts.keys() == question.instances.keys()


def _is_of_this_time(
    answer: Answer, question: Question, asked_at: float, received_at: float
) -> bool:
    slack = question.rules.scrape_interval_seconds
    return asked_at - slack <= answer.now <= received_at + slack
