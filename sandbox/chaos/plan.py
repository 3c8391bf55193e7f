"""The shares and forms of random faults: pure data, and the rules for microburst."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Fault(StrEnum):
    """What can happen to a call that a function makes."""

    THROTTLED = "throttled"
    SERVER_ERROR = "server_error"
    SLOW = "slow"
    # The connection is reset before the call has reached the service.
    RESET = "reset"
    # The service has done it, and the connection breaks before the function knows.
    ANSWER_LOST = "answer_lost"


# How each service says "too many calls", on the wire: botocore's models, and for services without
# a shape of their own docs.aws.amazon.com/AWSEC2/latest/APIReference/CommonErrors.html.
THROTTLES: Mapping[str, tuple[str, int]] = {
    "autoscaling": ("Throttling", 400),
    "ec2": ("RequestLimitExceeded", 503),
    "servicediscovery": ("ThrottlingException", 400),
    "sqs": ("RequestThrottled", 400),
    "ssm": ("ThrottlingException", 400),
}
SERVER_ERRORS: Mapping[str, int] = {"InternalFailure": 500, "ServiceUnavailable": 503}
LATENCY_MILLISECONDS = {"min": 200, "max": 2000}


@dataclass(frozen=True, slots=True)
class Plan:
    """The seed, the length, and the shares of the faults."""

    seed: int = 1
    # Rounds begin until so many seconds of chaos are over; the first one always does.
    seconds: float = 0.0
    # Shares of all calls; at most one of these happens to a call.
    faults: Mapping[Fault, float] = field(
        default_factory=lambda: {
            Fault.THROTTLED: 0.30,
            Fault.SERVER_ERROR: 0.05,
            Fault.SLOW: 0.08,
            Fault.RESET: 0.05,
            Fault.ANSWER_LOST: 0.03,
        }
    )
    # Shares of all events and of all check messages that come twice.
    duplicate_events: float = 0.4
    duplicate_messages: float = 0.25
    # The share of the functions' runs that are killed.
    killed_runs: float = 0.1


def rules(faults: Mapping[Fault, float]) -> list[dict[str, Any]]:
    """The rules that make microburst inject these shares of all calls.

    It draws for one rule after the other, so each rule gets its share of what is left.
    """
    written = []
    left = 1.0
    for kind, share in faults.items():
        written += _rules(kind, share / left)
        left -= share
    return written


def kind_of(action: str) -> Fault | None:
    """The fault behind a name in microburst's metrics; None: none of ours."""
    what, _, detail = action.partition(":")
    if what == "error":
        return Fault.SERVER_ERROR if detail in SERVER_ERRORS else Fault.THROTTLED
    named = {"latency": Fault.SLOW, "reset": Fault.RESET, "response": Fault.ANSWER_LOST}
    return named.get(what)


def _rules(kind: Fault, probability: float) -> list[dict[str, Any]]:
    match kind:
        case Fault.THROTTLED:
            return [
                {
                    "service": service,
                    "probability": probability,
                    "error": {"code": code, "status": status, "message": "Rate exceeded"},
                }
                for service, (code, status) in THROTTLES.items()
            ]
        case Fault.SERVER_ERROR:
            return _server_errors(probability)
        case Fault.SLOW:
            return [_on_every_service(probability, latency=LATENCY_MILLISECONDS)]
        case Fault.RESET:
            return [_on_every_service(probability, reset=True)]
        case Fault.ANSWER_LOST:
            return [_on_every_service(probability, response={"abort_bytes": 0})]


def _on_every_service(probability: float, **effect: object) -> dict[str, Any]:
    return {"service": "*", "probability": probability, **effect}


def _server_errors(probability: float) -> list[dict[str, Any]]:
    """Both in equal parts: the second one is asked only of what the first one has left."""
    half = probability / 2
    shares = (half, half / (1 - half))
    return [
        _on_every_service(share, error={"code": code, "status": status})
        for share, (code, status) in zip(shares, SERVER_ERRORS.items(), strict=True)
    ]
