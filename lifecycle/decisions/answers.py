"""What the evidence function is asked, what it answers, and which answer counts.

Both forms are an interface: during an upgrade the asking function and the answering one may be of
two versions. A question holds no credentials, and an answer none either.
"""

import json
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from lifecycle.decisions.buffer import Verdict
from lifecycle.decisions.evidence import Rules
from lifecycle.errors import EvidenceFailed, Malformed, describe_problems
from lifecycle.messages import EpochSeconds, InstanceId
from lifecycle.settings import LabelName

# An instance id or an address: it ends up in PromQL, so nothing else may pass.
_LabelValue = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z.:-]{1,255}$")]
MOST_INSTANCES = 100  # of one question
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
    """Are these instances proven empty by these rules, or what else ``purpose`` asks of them?"""

    model_config = _STRICT

    version: Literal[1]
    instances: Annotated[dict[InstanceId, Subject], Field(min_length=1, max_length=MOST_INSTANCES)]
    instance_label: LabelName
    rules: Rules
    purpose: Annotated[Purpose, Field(strict=False)] = Purpose.PROOF


class Answer(BaseModel):
    """The verdict for each instance, as of ``now`` (epoch seconds)."""

    model_config = _STRICT

    version: Literal[1]
    now: EpochSeconds
    verdicts: dict[InstanceId, Verdict]


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
